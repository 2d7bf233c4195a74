"""Wall time of the hook on ten staged files, as a ratio to `python -c pass` in the same run.

    python benchmarks/hook.py

Four cases: files without a call and with calls (the sources of fixtures/), in a repository of 20 files and of 2,000.
Each figure is the median of the ratios of interleaved pairs.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAIRS = 15
HOOK = [sys.executable, "-c", "import sys; from llmguard.cli.hook import main; sys.exit(main())"]


def seconds(command: list[str], cwd: Path) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    return time.perf_counter() - started


def repository(folder: Path, files: int, *, calls: bool) -> list[str]:
    """A repository; returns the names of the ten staged files."""
    kind = "LLG102" if calls else "silent"
    sources = sorted((ROOT / "fixtures" / "check" / kind).glob("*.py"))[:10]
    names = []
    for number, source in enumerate(sources):
        text = source.read_text(encoding="utf-8")
        if not calls:
            text = f"import logging\n\nLOG = logging.getLogger({number})\n" * 40
        (folder / f"staged_{number}.py").write_text(text)
        names.append(f"staged_{number}.py")
    for number in range(files - len(names)):
        below = folder / f"package_{number % 20}"
        below.mkdir(exist_ok=True)
        (below / f"module_{number}.py").write_text(f"import os\nimport openai\n\nVALUE = {number}\n" * 30)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    return names


def main() -> None:
    print(f"Python {sys.version.split()[0]}; median ratio to `python -c pass` of {PAIRS} interleaved pairs")
    for calls, bound in ((False, 8), (True, 30)):
        for files in (20, 2000):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                staged = repository(folder, files, calls=calls)
                seconds([*HOOK, *staged], folder)
                pairs = [
                    (seconds([*HOOK, *staged], folder), seconds([sys.executable, "-c", "pass"], folder))
                    for _ in range(PAIRS)
                ]
            ratio = statistics.median(hook / bare for hook, bare in pairs)
            hook = statistics.median(hook for hook, _ in pairs) * 1000
            what = "with calls" if calls else "without a call"
            print(f"  10 files {what}, repository of {files:>5}: {ratio:5.1f}x ({hook:.0f} ms; bound {bound}x)")


if __name__ == "__main__":
    main()
