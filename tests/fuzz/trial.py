"""One program through check and migrate, and what must hold of it."""

from __future__ import annotations

import time
import warnings

from llmguard.check import check_source
from llmguard.errors import UncheckableError
from llmguard.migrate import migrate_source

#: Seconds that no program of this size may take.
LONGEST = 10.0


def problem_of(text: str) -> str:
    """What is wrong with how a program is checked and migrated, "" for nothing."""
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SyntaxWarnings of the program itself
            found = _problem(text)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the finding)
        return f"{type(error).__name__}: {error}"
    took = time.perf_counter() - began
    return found or (f"took {took:.1f} s" if took > LONGEST else "")


def _problem(text: str) -> str:
    check_source(text, "made.py")
    try:
        once = migrate_source(text, "made.py")
    except UncheckableError:
        return ""
    if once == text:
        return ""
    try:
        compile(once, "made.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        try:
            compile(text, "made.py", "exec", dont_inherit=True)
        except SyntaxError:
            return ""  # it did not compile before (a `return` at the top, say)
        return f"does not compile any more: {error}"
    return "" if migrate_source(once, "made.py") == once else "changes again at the second run"
