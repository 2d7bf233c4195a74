"""Rows of the ledger as JSON and CSV have them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, TextIO


def plain(value: Any) -> Any:
    """A value of the ledger as JSON and CSV have it: times in ISO form, money exact, as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value


def as_json(document: dict[str, Any]) -> str:
    """A JSON document."""
    return json.dumps(document, indent=2, default=plain)


def write_csv(
    out: TextIO, columns: tuple[str, ...], rows: Iterable[dict[str, Any]], *, lineterminator: str = "\n"
) -> int:
    """Write rows as CSV, with a head; how many there were."""
    writer = csv.DictWriter(out, columns, lineterminator=lineterminator)
    writer.writeheader()
    number = 0
    for row in rows:
        number += 1
        writer.writerow(cells(row))
    return number


def cells(row: dict[str, Any]) -> dict[str, Any]:
    """A row for CSV: objects as JSON. A text that a spreadsheet would take for a formula is quoted."""
    return {name: _cell(value) if isinstance(value, str) else _cell_of(plain(value)) for name, value in row.items()}


def _cell_of(value: Any) -> Any:
    return json.dumps(value, default=plain) if isinstance(value, (dict, list)) else value


_NUMBER = re.compile(r"-?\d+(\.\d+)?")


#: How a text begins that a spreadsheet takes for a formula (OWASP, CSV injection), in wide letters too.
_FORMULAS = frozenset("=+-@\t\r\n＝＋－＠")


def _cell(value: str) -> str:
    if not _NUMBER.fullmatch(value) and value[:1] in _FORMULAS:
        return "'" + value
    return value
