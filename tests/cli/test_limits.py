"""`llmguard limits`, as a user runs it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llmguard.cli.app import app
from llmguard.errors import UsageError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of its own, found by the environment."""
    monkeypatch.setenv("LLMGUARD_DATABASE_URL", f"sqlite:///{tmp_path / 'usage.db'}")
    monkeypatch.setenv("LLMGUARD_SPOOL_DIR", str(tmp_path / "spool"))


def limits(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["limits", *arguments], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output if code == 2 else done.stdout


def test_set_show_test_and_remove() -> None:
    assert limits("show") == (
        "No limit is enforced. (The shipped defaults are only shown: 30 requests a minute, 14,400 a day.)\n"
    )
    assert limits("set", "100", "--user", "*") == "Set: 100 requests per minute of user *.\n"
    limits("set", "0.5", "--kind", "cost", "--window", "day", "--service", "search", "--on-outage", "closed")
    limits("set", "2000", "--kind", "tokens", "--window", "month", "--tenant", "acme", "--time-zone", "Europe/Berlin")
    limits("set", "1000", "--kind", "tokens", "--window", "month", "--tenant", "acme", "--time-zone", "Europe/Berlin")
    shown = json.loads(limits("show", "--output-format", "json"))
    assert [(each["limit"], each["used"], each["origin"], each["on_outage"]) for each in shown["limits"]] == [
        ("100 requests per minute of user *", "0", "default", "open"),
        ("0.50 USD per day of service search", "0", "limit", "closed"),
        ("1,000 tokens per month (Europe/Berlin) of tenant acme", "0", "limit", "open"),
    ]
    rows = list(csv.DictReader(io.StringIO(limits("show", "--output-format", "csv"))))
    assert [row["value"] for row in rows] == ["100", "0.5", "1000"]
    text = limits("show")
    assert "0.50 USD per day of service search: 0.00 USD used, until " in text
    assert "(limit, closed in an outage, unpriced models: count)" in text
    asked = ("--service", "search", "--provider", "openai", "--model", "gpt-4o")
    assert limits("test", *asked, "--max-tokens", "100").startswith("admitted: 0.50 USD per day of service search: ")
    assert "this call takes 1.00 USD" in limits("test", *asked, "--max-tokens", "100000", code=1)
    assert limits("test", "--model", "m") == "admitted: no limit holds for this call\n"
    assert limits("remove", "--user", "*") == "Removed: 1.\n"
    assert limits("remove", "--user", "*", code=1) == "There is no such limit.\n"
    assert limits("remove", shown["limits"][1]["id"]) == "Removed: 1.\n"


def test_stop_and_resume() -> None:
    assert limits("stop", "--service", "search", "--reason", "runaway agent") == "Stopped: calls of service search.\n"
    assert "Stopped: calls of service search (runaway agent)" in limits("show")
    refused = limits("test", "--service", "search", code=1)
    assert refused.startswith("refused: calls of service search: stopped (runaway agent)")
    assert limits("resume", "--user", "ann", code=1) == "They were not stopped.\n"
    limits("stop", "--all")
    assert limits("resume", "--all") == "Resumed: 2.\n"
    assert limits("test", "--service", "search") == "admitted: no limit holds for this call\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("set", "nan"), "a limit must be a number from 0 to 999,999,999, not 'nan'"),
        (("set", "--", "-3"), "a limit must be a number from 0 to 999,999,999, not '-3'"),
        (("set", "1.5"), "a limit of requests must be a whole number, not '1.5'"),
        (("set", "1", "--time-zone", "Mars/Base"), "there is no time zone 'Mars/Base'"),
        (("set", "1", "--warn-at", "7"), "warn-at must be a share from 0 to 1"),
        (("stop",), "limits stop: say which calls (--user, --service, ...), or --all"),
        (("stop", "--all", "--user", "ann"), "limits stop: say which calls (--user, --service, ...), or --all"),
        (("stop", "--user", "*"), "a stop is of one user, service, ...: leave out what shall be *"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError) as error:
        limits(*arguments)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_window_is_named() -> None:
    assert "'fortnight' is not one of" in limits("set", "1", "--window", "fortnight", code=2)
