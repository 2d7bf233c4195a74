"""Where this llmguard was installed from, so that others can install the same: it is on no public index, and the names
that are near to its own there are other people's."""

from __future__ import annotations

import json
from importlib import metadata
from typing import NamedTuple


class Source(NamedTuple):
    """Where it is from; all "" when that is not known.

    Attributes:
        url: of the repository.
        revision: of it.
        place: URL of the folder or archive that it is from instead; "index" when pip found it in an index.
    """

    url: str = ""
    revision: str = ""
    place: str = ""

    def requirement(self, extra: str = "") -> str:
        """What pip installs it by, with an extra; "" when that is not known."""
        name = f"llmguard[{extra}]" if extra else "llmguard"
        if self.place == "index":
            return name
        if self.url and self.revision:
            return f"{name} @ git+{_as_pip_takes_it(self.url)}@{self.revision}"
        return f"{name} @ {self.place}" if self.place else ""


def installed_from(url: str = "", revision: str = "") -> Source:
    """The repository that was named, or what pip recorded (PEP 610's direct_url.json)."""
    recorded = _recorded()
    if not url:
        return recorded._replace(revision=revision) if revision and recorded.url else recorded
    if not revision:
        revision = recorded.revision if recorded.url == url else ""
    return Source(url, revision)


def requirement(extra: str = "") -> str:
    """What pip installs this llmguard by; "" when nobody recorded it."""
    return installed_from().requirement(extra)


def how_to_install(extra: str) -> str:
    """Words for a message: how to get an extra of this llmguard."""
    named = requirement(extra)
    return f'pip install "{named}"' if named else f'install llmguard with its extra "{extra}", from where you have it'


def _as_pip_takes_it(url: str) -> str:
    host, colon, path = url.partition(":")
    return f"ssh://{host}/{path}" if "://" not in url and colon else url  # git's short form


def _recorded() -> Source:
    try:
        distribution = metadata.distribution("llmguard")
        text = distribution.read_text("direct_url.json")
    except (metadata.PackageNotFoundError, OSError):
        return Source()
    if not text:
        return Source(place="index" if distribution.read_text("INSTALLER") else "")
    record = json.loads(text)
    version = record.get("vcs_info", {})
    if version.get("vcs") != "git":
        return Source(place=record.get("url", ""))
    asked = version.get("requested_revision", "")
    return Source(record.get("url", ""), asked if asked.startswith("v") else version.get("commit_id", asked))
