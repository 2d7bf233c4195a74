#!/usr/bin/env python3
"""check_llm_calls.py [files...]: warns about direct language-model calls; the exit code is always 0.

The interface of the script that teams have in `scripts/` (`main`, `check_file`, `should_skip_file`), on top of
llmguard's engine. Without files it checks the `app` folder beside the folder it lies in, or the working directory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

try:
    from llmguard.check import check_paths
    from llmguard.check.discover import discover
    from llmguard.cli.hook import main as hook
    from llmguard.config import Configuration
    from llmguard.errors import LLMGuardError
except ModuleNotFoundError as error:
    if error.name != "llmguard":
        raise
    MISSING = (
        "llmguard is not installed here, so nothing was checked: in .pre-commit-config.yaml, give this hook "
        "additional_dependencies with the line that installs llmguard elsewhere, and verbose: true"
    )
else:
    MISSING = ""


def should_skip_file(path: str | Path) -> bool:
    """Whether the configuration's exclusions, or the kind of file, leave a file out."""
    try:
        return not discover([str(path)], _configuration()).files
    except LLMGuardError:
        return True


def check_file(path: str | Path) -> list[tuple[int, str, str]]:
    """(line, source line, message) of every direct call in a file."""
    report = check_paths([str(path)], _configuration())
    if not report.findings:
        return []
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    return [(f.region.line, lines[f.region.line - 1].strip(), f.message) for f in report.findings]


def main(files: list[str] | None = None) -> int:
    """Check the files, print what is found, return 0."""
    if MISSING:
        say(MISSING)
        return 0
    files = list(sys.argv[1:] if files is None else files)
    if not files:
        app = Path(__file__).resolve().parent.parent / "app"
        files = [str(app)] if app.is_dir() else []
    hook(files)
    return 0


def say(text: str) -> None:
    """A line on stderr; on the terminal too where pre-commit would hide what a hook that passes says."""
    print(f"check_llm_calls: {text}", file=sys.stderr)
    if os.environ.get("PRE_COMMIT") and not sys.stderr.isatty():
        try:
            with open("/dev/tty", "w", encoding="utf-8") as terminal:
                terminal.write(f"check_llm_calls: {text}\n")
        except OSError:
            return  # there is none


def _configuration() -> Configuration:
    return Configuration(os.getcwd())


if __name__ == "__main__":
    sys.exit(main())
