"""Starting the program of these tests in several processes at once."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import NamedTuple

from llmguard.usage.settings import UsageSettings
from tests.command import ROOT


class Said(NamedTuple):
    """What a call came to, when (seconds since 1970), and in which process."""

    what: str
    at: float
    process: int


class Processes:
    """Several processes, which begin at once.

    Args:
        settings: of their ledger.
        base_url: of the provider.
        groups: `NUMBER ATTEMPTS WAY [FIELD=VALUE ...]`.
    """

    def __init__(self, settings: UsageSettings, base_url: str, *groups: str) -> None:
        where = (settings.database_url, settings.schema, settings.spool_dir, base_url)
        command = [sys.executable, "-W", "ignore", "-m", "tests.usage.limits.program", *where]
        pipe = subprocess.PIPE
        self._parent = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write("".join(f"{group}\n" for group in groups))
        self._parent.stdin.flush()
        for _ in range(sum(int(group.split()[0]) for group in groups)):
            line = self._parent.stdout.readline()
            assert line == "ready\n", line + self._parent.communicate()[1][-2000:]

    def go(self) -> None:
        """Have them begin."""
        assert self._parent.stdin is not None
        self._parent.stdin.write("\n")
        self._parent.stdin.flush()

    def results(self) -> list[Said]:
        """What their calls came to, once they have ended."""
        out, said = self._parent.communicate(timeout=240)
        assert self._parent.returncode == 0, said[-2000:]
        assert "limits cannot be enforced" not in said, said[-2000:]
        found = [line.split() for line in out.splitlines()]
        return [Said(what, float(at), int(process)) for what, at, process in found]


def counted(said: list[Said]) -> Counter[str]:
    """How many calls came to what."""
    return Counter(each.what for each in said)
