"""The command line: `llmguard COMMAND`. Each command imports what it needs when it runs."""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn

#: What the system says of an output that takes nothing: full disk, closed descriptor, a device that fails.
_UNWRITABLE = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG, errno.EBADF, errno.EIO)


def main() -> None:
    """Entry of the console script. Errors are one line on stderr and exit code 2; no traceback reaches a user."""
    from llmguard.errors import LLMGuardError

    _open_streams()
    try:
        _refuse_empty(sys.argv[1:])
        _refuse_nowhere()
        from llmguard.cli.app import app

        try:
            app()
        finally:
            sys.stdout.flush()  # here, where it can be said that it does not work
    except LLMGuardError as error:
        print(f"llmguard: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("sqlalchemy", "alembic"):
            raise
        from llmguard.config.source import how_to_install

        print(f"llmguard: error: this needs {error.name}: {how_to_install('runtime')}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:
        # The reader went away (`| head`): nothing left to say, and nothing to say it to.
        _discard_output()
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("llmguard: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except OSError as error:
        if error.filename is not None or error.errno not in _UNWRITABLE or not _discard_output():
            _say_internal(error)
        print(f"llmguard: error: standard output cannot be written: {error.strerror}", file=sys.stderr)
        raise SystemExit(2) from None
    except Exception as error:  # noqa: BLE001  (the last resort, so that no traceback reaches a user)
        _say_internal(error)


def _say_internal(error: Exception) -> NoReturn:
    from llmguard.printable import printable

    if os.environ.get("LLMGUARD_TRACEBACK"):
        raise error
    reason = printable(" ".join(str(error).split()))
    print(
        f"llmguard: internal error: {type(error).__name__}: {reason} (LLMGUARD_TRACEBACK=1 shows where)",
        file=sys.stderr,
    )
    raise SystemExit(2) from None


def _open_streams() -> None:
    """Make standard output and error usable: one that was closed before we began takes what it gets and drops it, and
    a source line or a file name that the terminal's encoding lacks does not end the run."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  (for as long as we run)
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _discard_output() -> bool:
    """Drop what is still to be written to standard output (Python would try at its end); whether that could be done."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return False
    return True


def _refuse_nowhere() -> None:
    """Refuse to work in a folder that has been removed.

    Raises:
        UsageError: the working directory is gone.
    """
    from llmguard.errors import UsageError

    try:
        os.getcwd()
    except OSError as error:
        raise UsageError(
            f"the working directory cannot be used: {error.strerror}; change to one that is there"
        ) from None


def _refuse_empty(words: list[str]) -> None:
    """Refuse an option without a value: `--baseline "$UNSET"` must not mean that there is no such option.

    Raises:
        UsageError: there is one.
    """
    from llmguard.errors import UsageError

    options = words[: words.index("--")] if "--" in words else words
    for word, following in zip(options, [*options[1:], "?"], strict=True):
        if word.startswith("--") and len(word) > 2 and (word.endswith("=") or following == ""):
            raise UsageError(f"{word.removesuffix('=')}: what follows is empty; give it a value, or leave it out")
