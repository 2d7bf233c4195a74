"""`llmguard-hook [--strict] [--config FILE] [FILES...]`: the pre-commit entry.

Every commit pays for it, so nothing but the standard library and the screen is loaded until a file may hold a call.
It never blocks a commit: exit code 0 whatever happens, unless `--strict` was asked for.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmguard.check.finding import Report
    from llmguard.config import Settings

USAGE = "usage: llmguard-hook [--strict] [--config FILE] [FILES...]"


def main(arguments: list[str] | None = None) -> int:
    """Check the files named, the whole working directory when none is.

    Returns:
        0; with `--strict`, 1 for findings and 2 when the check could not be made (a broken configuration, say). A
        file that could not be read or parsed is said so and changes nothing.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    strict = "--strict" in arguments
    try:
        return _run([a for a in arguments if a != "--strict"], strict=strict)
    except Exception as error:  # noqa: BLE001  (a hook never crashes a commit; the reason is printed)
        _say(f"llmguard: could not check: {' '.join(str(error).split()) or type(error).__name__}")
        return 2 if strict else 0


def _run(arguments: list[str], *, strict: bool) -> int:
    from llmguard.config.folders import Configuration
    from llmguard.errors import UsageError

    if "-h" in arguments or "--help" in arguments:
        _say(USAGE)
        return 0
    config, files = "", []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--config":
            config = next(rest, "")
        elif argument.startswith("--config="):
            config = argument.partition("=")[2]
        elif argument.startswith("-") and argument != "--":
            raise UsageError(f"unknown option {argument}; {USAGE}")
        elif argument != "--":
            files.append(argument)
    configuration = Configuration(os.getcwd(), explicit=config)
    if files:
        files, gone = _existing(files)
        for path in gone:
            _say(f"{path}:1:1: LLG901 could not check: no such file")
        if not any(_may_matter(path, configuration.for_file(path)) for path in files):
            return 0
    from llmguard.check.run import Options, run

    report = run(files or ["."], configuration, Options(thorough=False))
    _report(report, strict=strict)
    return 1 if strict and report.findings else 0


def _existing(files: list[str]) -> tuple[list[str], list[str]]:
    return [f for f in files if os.path.lexists(f)], [f for f in files if not os.path.lexists(f)]


def _may_matter(path: str, settings: Settings) -> bool:
    """Whether a file has to be looked at more closely. What cannot be read has: the check says why."""
    from llmguard.check.screen import LARGEST, has_mark, may_hold_call
    from llmguard.providers import vocabulary

    if not os.path.isfile(path) or os.path.getsize(path) > LARGEST:
        return True
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return True
    with vocabulary.extended(settings.providers, settings.sanctioned):
        return may_hold_call(data) or has_mark(data)


def _report(report: Report, *, strict: bool) -> None:
    from llmguard.check.report.concise import lines
    from llmguard.check.report.summary import count

    for line in lines(report, False):
        _say(line)
    if report.findings:
        _say(
            f"llmguard: {count(len(report.findings), 'finding')}; "
            + ("commit blocked (--strict)." if strict else "a warning only, the commit goes on.")
        )


def _say(text: str) -> None:
    """Print a line on whatever stdout there is: what it cannot encode is escaped, and a closed one is no error."""
    if sys.stdout is None:  # closed before we began
        return
    from llmguard.printable import printable

    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    text = text if text == USAGE else printable(text)
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except (OSError, ValueError):
        return


if __name__ == "__main__":
    raise SystemExit(main())
