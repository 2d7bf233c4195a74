"""Where nothing can be said: full, closed and vanished outputs, and a working directory that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import CALL, ROOT, write


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What a shell line says; `llmguard` in it is this one."""
    command = line.replace("llmguard", f"{sys.executable} -c 'from llmguard.cli import main; main()'", 1)
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
@pytest.mark.parametrize("command", ["check", "check --output-format json", "rules", "--help"])
def test_a_full_output_is_one_line(command: str, tmp_path: Path) -> None:
    write(tmp_path, {"a.py": CALL})
    done = shell(f"llmguard {command} >/dev/full", tmp_path)
    assert done.stderr == "llmguard: error: standard output cannot be written: No space left on device\n"
    assert done.returncode == 2


@pytest.mark.parametrize("form", ["full", "json", "sarif"])
def test_closed_outputs_do_not_change_what_the_check_says(form: str, tmp_path: Path) -> None:
    write(tmp_path, {"a.py": CALL})
    done = shell(f"llmguard check --output-format {form} >&-", tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert shell(f"llmguard check --output-format {form} >&- 2>&-", tmp_path).returncode == 1


def test_a_working_directory_that_is_gone_is_one_line(tmp_path: Path) -> None:
    done = shell("mkdir gone; cd gone; rmdir ../gone; llmguard check", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("llmguard: error: the working directory cannot be used: ")
    assert done.stderr.count("\n") == 1
