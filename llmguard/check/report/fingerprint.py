"""An identity for each finding that survives moves of its line, for the services that follow findings over time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmguard.check.finding import Finding


def fingerprints(findings: Iterable[Finding]) -> Iterator[tuple[Finding, str]]:
    """Each finding with a hexadecimal fingerprint, unique in the report and free of line numbers."""
    seen: dict[str, int] = {}
    for finding in findings:
        identity = "\0".join((finding.rule, finding.site or f"{finding.path}::{finding.message}"))
        seen[identity] = seen.get(identity, 0) + 1
        digest = hashlib.sha256(f"{identity}\0{seen[identity]}".encode("utf-8", "backslashreplace"))
        yield finding, digest.hexdigest()[:32]
