"""Where this llmguard was installed from, so that a hook or a workflow can install the same."""

from __future__ import annotations

import json
from importlib import metadata
from typing import NamedTuple


class Source(NamedTuple):
    """A repository and a revision; both "" when not known."""

    url: str = ""
    revision: str = ""

    @property
    def requirement(self) -> str:
        """What pip installs it by."""
        url = self.url
        host, colon, path = url.partition(":")
        if "://" not in url and colon:
            url = f"ssh://{host}/{path}"  # git's short form, which pip does not take
        return f"llmguard @ git+{url}@{self.revision}"


def installed_from(url: str = "", revision: str = "") -> Source:
    """The repository that was named, or the one that pip recorded (PEP 610's direct_url.json)."""
    recorded = _recorded()
    if not url:
        url, revision = recorded.url, revision or recorded.revision
    elif not revision:
        revision = recorded.revision if recorded.url == url else ""
    return Source(url, revision) if url else Source()


def _recorded() -> Source:
    try:
        text = metadata.distribution("llmguard").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return Source()
    record = json.loads(text) if text else {}
    version = record.get("vcs_info", {})
    if version.get("vcs") != "git":
        return Source()
    asked = version.get("requested_revision", "")
    return Source(record.get("url", ""), asked if asked.startswith("v") else version.get("commit_id", asked))
