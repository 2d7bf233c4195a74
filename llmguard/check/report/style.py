"""Colours for a terminal, as ANSI codes; nothing where there is no terminal."""

from __future__ import annotations

_CODES = {"bold": "1", "red": "31", "yellow": "33", "blue": "34", "cyan": "36", "dim": "2"}


def styled(text: str, colour: bool, *names: str) -> str:
    """`text` in these styles when `colour` is on."""
    if not colour or not text:
        return text
    return f"\x1b[{';'.join(_CODES[name] for name in names)}m{text}\x1b[0m"
