"""The command line: `llmguard COMMAND`. Each command imports what it needs when it runs."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Entry of the console script. Errors are one line on stderr and exit code 2; no traceback reaches a user."""
    from llmguard.errors import LLMGuardError
    from llmguard.printable import printable

    for stream in (sys.stdout, sys.stderr):
        # A source line or a file name that the terminal's encoding lacks must not end the run.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        _refuse_empty(sys.argv[1:])
        from llmguard.cli.app import app

        app()
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("llmguard: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:  # the last resort, so that no traceback reaches a user
        if os.environ.get("LLMGUARD_TRACEBACK"):
            raise
        reason = printable(" ".join(str(error).split()))
        print(
            f"llmguard: internal error: {type(error).__name__}: {reason} (LLMGUARD_TRACEBACK=1 shows where)",
            file=sys.stderr,
        )
        raise SystemExit(2) from None


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
