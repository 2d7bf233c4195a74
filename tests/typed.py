"""What a user's type checker says of a program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.command import ROOT


def check_types(folder: Path, program: str) -> None:
    """A program is clean under `mypy --strict`."""
    (folder / "program.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.12", "--cache-dir", str(folder / "c")]
    done = subprocess.run(
        [*command, "program.py"],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout
