"""What finance and those who keep the ledger ask, as they ask it."""

from __future__ import annotations

import contextlib
import csv
import http.server
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from llmguard.usage.prices import catalog, own
from llmguard.usage.prices.own import Book
from llmguard.usage.settings import UsageSettings
from tests.cli.test_usage import NOW, add, home
from tests.command import ROOT, Done
from tests.command import run as run_in

__all__ = ["home"]
SNAPSHOT = Path(catalog.__file__).with_name("snapshot.json").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No prices of one's own, before and after."""
    monkeypatch.setenv("LLMGUARD_PRICE_LIST", str(tmp_path / "list" / "prices.json"))
    yield
    own.use(Book())
    catalog.adopt(None)


def run(*arguments: str, stdin: str | None = None) -> Done:
    return run_in(*arguments, cwd=ROOT, stdin=stdin)


def table(*arguments: str) -> list[dict[str, str]]:
    done = run(*arguments, "--output-format", "csv")
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_two_dimensions_the_largest_and_the_period_before(home: UsageSettings) -> None:
    for number in range(6):
        add(
            home, NOW, user_id=f"u{number % 3}", feature_context="chat" if number else "search", duration_ms=number * 10
        )
    add(home, NOW - timedelta(days=9), user_id="u1")
    rows = table("usage", "summary", "--by", "user,feature", "--since", "7d", "--top", "2", "--compare", "--latency")
    assert [(row["user"], row["feature"], row["calls"]) for row in rows][2:] == [("(others)", "", "2")]
    done = run("usage", "summary", "--by", "user", "--since", "7d", "--compare", "--output-format", "json")
    document = json.loads(done.stdout)
    by_user = {row["user"]: row for row in document["rows"]}
    assert by_user["u1"]["calls_before"] == 1
    assert by_user["u1"]["cost_change_percent"] == 100.0
    assert by_user["u0"]["cost_change_percent"] is None
    assert document["total"]["calls"] == 6
    shown = run("usage", "summary", "--by", "user", "--latency", "--savings", "--compare", "--since", "7d").stdout
    for title in ("p95 ms", "saved", "cost before", "+100.0%"):
        assert title in shown
    assert run("usage", "summary", "--since", "yesterday").returncode == 0
    assert run("usage", "summary", "--since", NOW.strftime("%Y-%m")).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("usage", "summary", "--by", "colour"), "there is no dimension 'colour'"),
        (("usage", "summary", "--by", "user,model,day"), "two dimensions at most"),
        (("usage", "summary", "--compare", "--by", "day"), "a time has no twin"),
        (("usage", "erase", "", "--yes"), "empty"),
        (("prices", "set", "acme", "m", "--input", "1", "--output", "1", "--to", "2020-01-01"), "is not after"),
        (("usage", "prune", "--before", "never"), "'never' is no time"),
        (("prices", "set", "openai", "gpt-4o", "--input", "1"), "--output is missing"),
        (("prices", "set", "openai", "gpt-4o"), "give --input and --output, or --discount"),
        (("prices", "set", " ", "gpt-4o", "--discount", "5"), "PROVIDER: ' ' is no name"),
        (("prices", "set", "openai", "a\x1bb", "--discount", "5"), "is no name"),
        (("prices", "set", "openai", "gpt-4o", "--discount", "5.12345"), "more than the 4 decimal places"),
        (("prices", "set", "x", "m", "--input", "0.0000015", "--output", "1"), "more than the 6 decimal places"),
        (
            ("prices", "set", "x", "m", "--discount", "5", "--from", "2026-02", "--to", "2026-02"),
            "--from 2026-02 is not",
        ),
        (("usage", "summary", "--user", "\udcff"), "--user: '\\udcff' is no UTF-8"),
        (("prices", "set", "openai", "gpt-4o", "--discount", "200"), "no number from 0 to 100"),
        (("prices", "diff", "/nothing/here.json"), "cannot be read"),
        (("prices", "update", "http://127.0.0.1:1/prices.json", "--yes"), "127.0.0.1:1"),
        (("db", "downgrade", "nonsense", "--yes"), "nonsense"),
        (("db", "sql", "0099"), "there is none '0099'"),
    ],
)
def test_what_cannot_be_done_is_one_line(home: UsageSettings, arguments: tuple[str, ...], says: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2, done.stdout
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_prices_of_ones_own_are_set_shown_and_ended(home: UsageSettings) -> None:
    assert (
        run("prices", "set", "acme", "large", "--input", "1", "--output", "2", "--source", "contract").returncode == 0
    )
    assert run("prices", "set", "openai", "gpt-4*", "--discount", "15%").returncode == 0
    shown = run("prices", "show", "openai", "gpt-4o-mini").stdout
    assert "15 % less" in shown
    assert "input 0.15, output 0.6" in shown
    assert [row["price"] for row in table("prices", "show", "acme")] == ["input 1, output 2"]
    assert run("prices", "end", "acme", "large").returncode == 0
    assert run("prices", "end", "acme", "large").returncode == 1
    assert run("prices", "show", "acme").returncode == 1


def _model(document: Any, provider: str, model: str) -> Any:
    return document["providers"][provider]["models"][model]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: _model(d, "anthropic", "claude-haiku-4-5")["v"][0][2].update(i=0.4), "batch.*input 0.4"),
        (
            lambda d: _model(d, "arcee", "deepseek/deepseek-v4.1-flash")["p"].append(["2031-01-01", {"i": 9}]),
            "from 2031-01-01: input 9",
        ),
        (lambda d: d["batch"].update(openai="0.4"), "batch requests cost 0.4"),
        (lambda d: d["aliases"].update(acme="openai"), "also named acme"),
        (lambda d: _model(d, "openai", "gpt-4o").update(m=["=gpt-4o"]), 'matches ."=gpt-4o"'),
    ],
)
def test_all_that_a_list_says_differently_is_shown(
    home: UsageSettings, tmp_path: Path, change: Callable[[Any], Any], said: str
) -> None:
    changed = json.loads(SNAPSHOT)
    change(changed)
    path = tmp_path / "new.json"
    path.write_text(json.dumps(changed))
    done = run("prices", "diff", str(path), "--output-format", "csv")
    assert done.returncode == 1, done.stderr
    assert [bool(re.search(said, row["after"].replace('""', '"'))) for row in csv_rows(done.stdout)] == [True]


def test_a_url_keeps_its_password_and_a_large_answer_stops(home: UsageSettings, tmp_path: Path) -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if "missing" in self.path else 200)
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(400):
                    self.wfile.write(b" " * 100_000)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://ann:secret@127.0.0.1:{server.server_port}"
    try:
        for path, said in (("large?token=t0ken", "is larger than"), ("missing?token=t0ken", "answers 404")):
            done = run("prices", "diff", f"{url}/{path}")
            assert (done.returncode, said in done.stderr) == (2, True), done.stderr
            assert "secret" not in done.stderr + done.stdout
            assert "t0ken" not in done.stderr + done.stdout
    finally:
        server.shutdown()


def test_figures_are_not_made_by_the_wrong_prices(
    home: UsageSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(home, NOW)
    before = table("usage", "summary", "--since", "all")
    (tmp_path / "pyproject.toml").write_text('[[tool.llmguard.prices]]\nprovider = "openai"\ndiscount = "50 percent"\n')
    monkeypatch.setenv("LLMGUARD_PROJECT_ROOT", str(tmp_path))
    asking = (
        ("usage", "reprice", "--all"),
        ("usage", "summary", "--savings"),
        ("usage", "export", "--output-format", "focus"),
    )
    for arguments in asking:
        done = run(*arguments)
        assert done.returncode == 2, arguments
        assert "figures would be wrong, mend this first" in done.stderr
    (tmp_path / "pyproject.toml").unlink()
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "prices.json").write_text("{")
    for arguments in asking:
        assert run(*arguments).returncode == 2
    (tmp_path / "list" / "prices.json").unlink()
    assert [run(*arguments).returncode for arguments in asking] == [2, 0, 0]  # the first would change rows
    assert table("usage", "summary", "--since", "all") == before


def test_a_price_for_a_time_leaves_the_standing_one(home: UsageSettings) -> None:
    run("prices", "set", "openai", "gpt-4o", "--discount", "10", "--from", "2026-01-01")
    done = run("prices", "set", "openai", "gpt-4o", "--discount", "20", "--from", "2026-10-01", "--to", "2026-11-01")
    assert "ended" not in done.stdout
    assert table("prices", "show", "openai", "gpt-4o")[0]["price"] == "10 % less"
    assert "knows no provider opnai" in run("prices", "set", "opnai", "*", "--discount", "5").stderr


def test_names_cannot_write_to_the_terminal(home: UsageSettings) -> None:
    add(home, NOW, service_name="(others)", user_id="\x1b[31mred")
    shown = run("usage", "summary", "--by", "service", "--by", "user", "--top", "9").stdout
    assert "\x1b" not in shown
    assert "\\x1b[31mred" in shown


def test_a_folder_that_cannot_be_made_is_one_line(
    home: UsageSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new.json").write_text("\ufeff" + SNAPSHOT, encoding="utf-8")
    monkeypatch.setenv("LLMGUARD_PRICE_LIST", "/proc/nope/prices.json")
    done = run("prices", "update", str(tmp_path / "new.json"), "--yes")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "its folder cannot be made" in done.stderr


def test_a_list_is_compared_and_adopted(home: UsageSettings, tmp_path: Path) -> None:
    changed = json.loads(SNAPSHOT)
    changed["date"] = "2027-01-01"
    changed["providers"]["openai"]["models"]["gpt-4o"]["p"]["i"] = 100
    path = tmp_path / "new.json"
    path.write_text(json.dumps(changed))
    assert run("prices", "diff", str(path)).returncode == 1
    assert [row["model"] for row in csv_rows(run("prices", "diff", str(path), "--output-format", "csv").stdout)] == [
        "gpt-4o"
    ]
    refused = run("prices", "update", str(path), stdin="n\n")
    assert refused.returncode == 1
    assert "1 prices differ" in refused.stdout
    assert not (tmp_path / "list").exists() or not list((tmp_path / "list").iterdir())
    assert run("prices", "update", str(path), "--yes").returncode == 0
    assert run("prices", "diff", str(path)).returncode == 0
    assert "2027-01-01" in run("usage", "doctor").stdout
    (tmp_path / "list" / "prices.json").write_text("{")
    doctor = run("usage", "doctor")
    assert doctor.returncode == 1
    assert "is no price list of llmguard" in doctor.stdout


def csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_calls_are_priced_anew(home: UsageSettings) -> None:
    add(home, NOW, provider="acme", model="large")
    assert "1 calls looked at; 0 would cost" in run("usage", "reprice", "--dry-run").stdout
    run("prices", "set", "acme", "large", "--input", "1", "--output", "1", "--from", "2026-01-01")
    done = run("usage", "reprice", "--since", "30d").stdout
    assert "1 cost $0.0011 instead of $0.00" in done
    assert table("usage", "summary")[0]["cost"] == "0.001100000"


def test_exports_by_day_and_by_focus(home: UsageSettings, tmp_path: Path) -> None:
    add(home, NOW, user_id="ann")
    add(home, NOW, provider="acme", model="x")
    daily = csv_rows(run("usage", "export", "--output-format", "daily").stdout)
    assert sorted((row["user_id"], row["calls"], row["unpriced_calls"]) for row in daily) == [
        ("", "1", "1"),
        ("ann", "1", "0"),
    ]
    done = run("usage", "export", str(tmp_path / "focus.csv"), "--output-format", "focus", "--billing-account", "acme")
    assert "1 calls whose cost is not known are left out" in done.stderr
    rows = csv_rows((tmp_path / "focus.csv").read_text())
    assert {(row["x_TokenType"], row["BilledCost"], row["BillingAccountId"]) for row in rows} == {
        ("input", "0.002500000", "acme"),
        ("output", "0.001000000", "acme"),
    }


def test_old_calls_are_deleted_and_a_user_is_erased(home: UsageSettings) -> None:
    add(home, NOW - timedelta(days=100), user_id="bob")
    add(home, NOW, user_id="ann")
    assert "1 calls are from before" in run("usage", "prune", "--before", "90d", "--dry-run").stdout
    assert run("usage", "prune", "--before", "90d", stdin="n\n").returncode == 1
    assert "1 calls deleted; their sums stay." in run("usage", "prune", "--before", "90d", "--yes").stdout
    assert {row["user"] for row in table("usage", "summary", "--by", "user", "--since", "2020-01")} == {"ann", "bob"}
    told = "have been deleted"
    for more, is_told in (
        (("--by", "tag:team"), True),
        (("--latency",), True),
        (("--by", "tag:team", "--since", "7d"), False),
        ((), False),
    ):
        assert (told in run("usage", "summary", "--since", "2020-01", *more).stderr) is is_told
    assert told in run("usage", "export", "--output-format", "focus").stderr
    assert told not in run("usage", "export", "--output-format", "daily").stderr
    kolkata = run("usage", "export", "--output-format", "daily", "--time-zone", "Asia/Kolkata").stderr
    assert "whole hours of UTC" in kolkata
    assert run("usage", "verify").returncode == 0
    assert "anonymous-" in run("usage", "erase", "ann", "--anonymise", "--yes").stdout
    assert run("usage", "erase", "bob", stdin="n\n").returncode == 1
    assert "0 calls, 1 sums, 0 limits deleted." in run("usage", "erase", "bob", "--yes").stdout
    assert run("usage", "erase", "bob", "--yes").returncode == 1
    assert run("usage", "verify").returncode == 0


def test_a_schema_is_taken_back_when_somebody_says_yes(home: UsageSettings) -> None:
    add(home, NOW)
    assert run("db", "downgrade", "0003", stdin="n\n").returncode == 1
    assert run("db", "current").returncode == 0
    assert run("db", "downgrade", "0003", "--yes").returncode == 0
    assert run("db", "current").returncode == 1
    planned = run("db", "upgrade", "--dry-run").stdout
    assert "CREATE TABLE llm_model_pricing" in planned
    assert run("db", "current").returncode == 1
    assert run("db", "upgrade").returncode == 0
    assert run("db", "upgrade", "--dry-run").stdout == ""
    assert table("usage", "summary")[0]["calls"] == "1"


def test_the_script_is_for_postgresql_whatever_is_configured(home: UsageSettings, tmp_path: Path) -> None:
    assert "CREATE TABLE llm_usage_logs" in run("db", "sql").stdout
    done = run("db", "sql", "--output", str(tmp_path / "005_api_usage_tracking.sql"))
    assert done.returncode == 0
    text = (tmp_path / "005_api_usage_tracking.sql").read_text()
    assert "JSONB" in text
    assert not Path(home.sqlite_file).exists()
