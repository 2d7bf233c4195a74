"""Calls that are on the books already: in a door's own module, and LiteLLM's where the callback is installed."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from llmguard.check.discover import git_environment
from llmguard.check.reading import decode, parse
from llmguard.check.scopes import ClassScope, last_name
from llmguard.doors import DOORS, LITELLM_SETUP
from llmguard.errors import UncheckableError

if TYPE_CHECKING:
    from llmguard.check.module import ModuleFacts

_SECONDS = 1.0  # how long git may look for the callback
_MOST_FILES = 50


def door_of(facts: ModuleFacts) -> str:
    """The door that a module defines (its own calls are the tracked ones), "" for any other module."""
    path = facts.path.replace(os.sep, "/").removesuffix(".py")
    for door in DOORS:
        defined = facts.scope.bindings.get(door.cls, [])
        if any(isinstance(b.defined, ClassScope) for b in defined) and any(
            f"/{path}".endswith("/" + module.replace(".", "/")) for module in door.modules
        ):
            return door.name
    return ""


def mentions_setup(data: bytes) -> bool:
    """Whether a file may install the LiteLLM callback."""
    return any(name.encode() in data for name in LITELLM_SETUP)


def installs_callback(data: bytes) -> bool:
    """Whether a file really calls what installs the LiteLLM callback (defining or importing it is not enough)."""
    if not mentions_setup(data):
        return False
    from llmguard.check.module import ModuleFacts

    try:
        facts = ModuleFacts.of(parse(decode(data).text).tree, "")
    except UncheckableError:
        return False
    return any(last_name(site.node) in LITELLM_SETUP for site in facts.calls)


def callback_file(root: str) -> str:
    """The file of a project that installs the callback, "" when none is found in the time that a hook has.

    git's own index is searched; outside a repository (and without git) nothing is, and the answer is "".
    """
    patterns = [part for name in sorted(LITELLM_SETUP) for part in ("-e", name)]
    try:
        listed = subprocess.run(
            ["git", "-C", root, "grep", "-l", "-z", "-F", *patterns, "--", "*.py"],
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            env=git_environment(),
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    for name in listed.stdout.split(b"\0")[:_MOST_FILES]:
        path = os.path.join(root, os.fsdecode(name))
        if name:
            try:
                with open(path, "rb") as file:
                    if installs_callback(file.read()):
                        return os.fsdecode(name)
            except OSError:
                continue  # gone since git listed it
    return ""
