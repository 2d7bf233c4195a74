"""Which repository and commit a process runs from, as its `.git` folder says. Git is not run, and nothing of the
repository's configuration is followed."""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from llmguard.config.place import top_above

_MOST = 1_000_000  # bytes of a file of git's that are read
_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_ORIGIN = re.compile(r'^\s*\[\s*remote\s+"origin"\s*\]')
_URL = re.compile(r"^\s*url\s*=\s*(\S+)\s*$")


class Revision(NamedTuple):
    """What is known of the code that runs, as OpenTelemetry's `vcs.repository.url.full` and `vcs.ref.head.revision`.

    Attributes:
        repository: URL of the repository, without a password; "" when it is not known.
        commit: full hash, "" when it is not known.
    """

    repository: str = ""
    commit: str = ""


@lru_cache(maxsize=8)
def revision_of(project_root: str) -> Revision:
    """What a folder's work tree says; asked once in a process, for that is what runs."""
    top = top_above(project_root)
    folder = _git_folder(os.path.join(top, ".git")) if top else ""
    if not folder:
        return Revision()
    shared = os.path.normpath(os.path.join(folder, _text(os.path.join(folder, "commondir")).strip() or "."))
    return Revision(_origin(_text(os.path.join(shared, "config"))), _head(folder, shared))


def _git_folder(path: str) -> str:
    """The folder that a `.git` is, or points to (a work tree of its own, a submodule)."""
    if os.path.isdir(path):
        return path
    pointer = _text(path)
    if not pointer.startswith("gitdir:"):
        return ""
    return os.path.normpath(os.path.join(os.path.dirname(path), pointer[len("gitdir:") :].strip()))


def _head(folder: str, shared: str) -> str:
    head = _text(os.path.join(folder, "HEAD")).strip()
    if not head.startswith("ref:"):
        return head if _HASH.fullmatch(head) else ""
    name = head[len("ref:") :].strip()
    if not name.startswith("refs/") or ".." in name:
        return ""
    for place in (folder, shared):
        found = _text(os.path.join(place, *name.split("/"))).strip()
        if _HASH.fullmatch(found):
            return found
    for line in _text(os.path.join(shared, "packed-refs")).splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name and _HASH.fullmatch(commit):
            return commit
    return ""


def _origin(configuration: str) -> str:
    inside = False
    for line in configuration.splitlines():
        if line.lstrip().startswith("["):
            inside = bool(_ORIGIN.match(line))
        elif inside and (found := _URL.match(line)):
            return without_password(found[1])
    return ""


def without_password(url: str) -> str:
    """A URL without what may be a password or a token in it.

    >>> without_password("https://user:secret@git.example.com/a.git")
    'https://git.example.com/a.git'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme in ("http", "https") and "@" in parts.netloc:
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return url


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST)
    except (OSError, ValueError):
        return ""
