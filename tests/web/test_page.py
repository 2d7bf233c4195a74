"""The page in a real browser: its figures are the API's, it goes by keyboard, and what rows hold is text."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from llmguard.usage.limits.limit import Limit
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.api_keys import create_key
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.limits import set_limit
from tests.command import ROOT, run
from tests.optional import optional
from tests.web.conftest import NOW

pytestmark = [pytest.mark.full, pytest.mark.parametrize("settings", ["sqlite"], indirect=True)]
SIZES = {"phone": {"width": 390, "height": 800}, "desk": {"width": 1280, "height": 900}}
SCRIPT = "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"
Add = Callable[..., str]


@contextmanager
def served(settings: UsageSettings, *, local: bool = True) -> Iterator[str]:
    """The application on the loopback; its address."""
    uvicorn = optional("uvicorn")
    from llmguard.web import ledger as opened
    from llmguard.web.app import create_app

    before, opened.ledger._settings = opened.ledger._settings, lambda: settings
    with socket.create_server(("127.0.0.1", 0)) as free:
        server = uvicorn.Server(uvicorn.Config(create_app(local=local), log_level="error"))
        thread = threading.Thread(target=server.run, args=([free],), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{free.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            opened.ledger.close()
            opened.ledger._settings = before


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = optional("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium: .ci/run installs it")
        pytest.skip("no chromium")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@contextmanager
def looked_at(browser: Any, address: str, size: str = "desk", **options: Any) -> Iterator[Any]:
    """The page, shown; whatever its console says is an error of ours."""
    page = browser.new_page(viewport=SIZES[size], timezone_id="UTC", **options)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    settled(page)
    yield page
    page.close()
    assert {url.split("/")[2] for url in asked if not url.startswith("data:")} == {address.split("/")[2]}
    assert [text for text in said if "503" not in text and "401" not in text] == []


def settled(page: Any) -> None:
    page.wait_for_selector('main[aria-busy="false"]', timeout=30_000)


def tiles(page: Any) -> dict[str, str]:
    values = page.locator("#tiles dd:nth-of-type(1)").all_text_contents()
    return dict(zip(page.locator("#tiles dt").all_text_contents(), values, strict=True))


@pytest.fixture
def filled(add: Add, ledger: Ledger) -> None:
    for number in range(70):
        add(NOW - timedelta(hours=7 * number), user_id="ann" if number % 2 else "bob", service_name="search")
    add(user_id="ann", model="nobody-knows-it", status="error", error_type="RateLimitError")
    set_limit(ledger.engine, Limit((), "cost", "month", Decimal(5)))
    set_limit(ledger.engine, Limit((("user_id", "ann"),), "requests", "day", Decimal(0)))


def test_figures_are_those_of_the_api_and_of_the_command(
    browser: Any, settings: UsageSettings, filled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx

    monkeypatch.setenv("LLMGUARD_DATABASE_URL", settings.database_url)
    done = run("usage", "summary", "--by", "model", "--since", "30d", "--output-format", "json", cwd=ROOT)
    command = json.loads(done.stdout)["total"]

    with served(settings) as address, looked_at(browser, f"{address}/finops/llm-costs") as page:
        total = httpx.get(f"{address}/api/llm/usage/totals?by=model").json()["total"]
        assert {name: command[name] for name in ("calls", "tokens", "cost")} == {
            name: total[name] for name in ("calls", "tokens", "cost")
        }
        shown = tiles(page)
        assert shown["Calls"] == f"{total['calls']:,}" == "71"
        assert shown["Tokens"] == f"{total['tokens']:,}"
        assert shown["Spend"] == f"${Decimal(total['cost']):.4f}"
        assert (shown["Errors"], shown["Calls without a price"]) == ("1", "1")
        rows = page.locator("#parts-table tbody tr").all_text_contents()
        assert len(rows) == 2
        assert rows[0].startswith("openai gpt-4o70")
        assert page.locator("#unpriced-table tbody tr").all_text_contents() == ["openai nobody-knows-it1"]
        assert page.locator("#limits-table td.over").all_text_contents()[1:] == ["exceeded"]
        assert page.locator("#calls-table tbody tr").count() == 50
        page.evaluate("const more = document.getElementById('more'); more.click(); more.click(); more.click()")
        page.locator("#calls-table tbody tr").nth(70).wait_for()
        page.wait_for_timeout(300)
        assert page.locator("#calls-table tbody tr").count() == 71
        assert page.locator("#line canvas").count() == 1
        assert page.locator("#bars svg rect").count() > 5


def test_a_view_has_an_address_and_a_file(browser: Any, settings: UsageSettings, filled: None) -> None:
    with served(settings) as address, looked_at(browser, f"{address}/finops/llm-costs?user=ann&by=user") as page:
        assert page.locator("#parts-table tbody tr").count() == 1
        page.get_by_role("button", name="Errors").click()
        settled(page)
        assert "status=error" in page.url
        assert page.locator("#calls-table tbody tr").count() == 1
        page.go_back()
        settled(page)
        assert page.locator("#calls-table tbody tr").count() == 36
        with page.expect_download() as download:
            page.get_by_role("link", name="By user as CSV").click()
        text = download.value.path().read_text()
        assert text.splitlines()[1].startswith("ann,36,1,")


def test_what_rows_hold_is_text(browser: Any, settings: UsageSettings, add: Add) -> None:
    for hostile in (SCRIPT, "=1+1", "\x1b[31mred\u202e", "x" * 10_000):
        add(user_id=hostile, service_name=hostile, model=hostile, provider=hostile, feature_context=hostile)
    with served(settings) as address:
        for by in ("model", "user", "service", "feature", "provider"):
            with looked_at(browser, f"{address}/finops/llm-costs?by={by}") as page:
                assert page.evaluate("window.ran") is None
                assert page.locator("main script, main img").count() == 0
                text = page.locator("main").inner_text()
                assert "<script>" in text
                assert "=1+1" in text
                assert not re.search("[\x1b\u202e]", text)
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_everybody_can_use_it(size: str, scheme: Any, browser: Any, settings: UsageSettings, filled: None) -> None:
    axe = optional("axe_playwright_python.sync_playwright").Axe()
    with (
        served(settings) as address,
        looked_at(browser, f"{address}/finops/llm-costs", size, color_scheme=scheme) as page,
    ):
        found = axe.run(page).response["violations"]
        assert [(each["impact"], each["id"]) for each in found] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 28)")


def test_it_goes_by_keyboard_alone(browser: Any, settings: UsageSettings, filled: None) -> None:
    with served(settings) as address, looked_at(browser, f"{address}/finops/llm-costs") as page:
        reached = []
        for _ in range(60):
            page.keyboard.press("Tab")
            reached.append(
                page.evaluate("(document.activeElement.textContent || document.activeElement.name).trim().slice(0, 30)")
            )
            if reached[-1] == "Tokens":
                break
        assert reached[0] == "To the figures"
        page.keyboard.press("Enter")
        settled(page)
        assert "measure=tokens" in page.url
        assert page.get_by_role("button", name="Tokens").get_attribute("aria-pressed") == "true"


def test_an_outage_is_said_and_shows_nothing(browser: Any, settings: UsageSettings, filled: None) -> None:
    from llmguard.web import ledger as opened

    away = UsageSettings("postgresql+psycopg://x@127.0.0.1:1/none")
    with served(settings) as address, looked_at(browser, f"{address}/finops/llm-costs") as page:
        here, opened.ledger._settings = opened.ledger._settings, lambda: away
        page.get_by_role("button", name="Refresh").click()
        page.wait_for_selector("#status.wrong")
        assert page.locator("#status").inner_text().startswith("No figures: ")
        assert page.locator("#tiles").inner_text() == ""
        opened.ledger._settings = here
        page.get_by_role("button", name="Refresh").click()
        page.wait_for_selector("#status:not(.wrong)")
        settled(page)
        assert tiles(page)["Calls"] == "71"


def test_an_empty_ledger_says_so(browser: Any, settings: UsageSettings, ledger: Ledger) -> None:
    with served(settings) as address, looked_at(browser, f"{address}/finops/llm-costs") as page:
        assert tiles(page)["Calls"] == "0"
        assert "There are no calls in this period." in page.locator("#parts-table").inner_text()
        assert "No limit is enforced." in page.locator("#limits-table").inner_text()


def test_a_key_opens_it_for_its_owner(browser: Any, settings: UsageSettings, filled: None, ledger: Ledger) -> None:
    key = create_key(ledger.engine, "ann")
    with served(settings, local=False) as address, looked_at(browser, f"{address}/finops/llm-costs") as page:
        assert "No figures: an API key is needed" in page.locator("#status").inner_text()
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Use it").click()
        page.wait_for_selector("#tiles dt")
        settled(page)
        assert tiles(page)["Calls"] == "36"
        with page.expect_download() as download:
            page.get_by_role("link", name="By model as CSV").click()
        assert download.value.path().read_text().splitlines()[1].startswith("openai gpt-4o,35,")
        assert page.evaluate("localStorage.length") == 0
        assert key not in page.url


def test_odd_addresses_have_figures_or_say_why(browser: Any, settings: UsageSettings, add: Add) -> None:
    add(NOW - timedelta(hours=26), user_id="ann", prompt_tokens=10_000, completion_tokens=1_000)
    add(NOW - timedelta(hours=1), user_id="ann")
    with served(settings) as address:
        for query, calls in (
            ("time_zone=", "2"),
            ("since=", "2"),
            ("time_zone=localtime", "2"),
            ("since=2099-01-01", "0"),
            ("since=all&until=2020-01-01", "0"),
        ):
            with looked_at(browser, f"{address}/finops/llm-costs?{query}") as page:
                assert tiles(page).get("Calls") == calls, (query, page.locator("#status").inner_text())
        page = browser.new_page(timezone_id="UTC")
        for query in ("time_zone=Mars", "since=x", "by=%3Cscript%3E"):
            page.goto(f"{address}/finops/llm-costs?{query}")
            settled(page)
            assert page.locator("#status").inner_text().startswith("No figures: ")
        page.goto(f"{address}/finops/llm-costs?since=24h&time_zone=UTC&measure=tokens")
        settled(page)
        drawn = page.evaluate("Array.from(document.querySelectorAll('#bars title'), each => each.textContent)")
        assert sum(int(text.rpartition(" ")[2].replace(",", "")) for text in drawn) == 1100
        page.close()


def test_a_key_that_is_none_locks_nobody_out(browser: Any, settings: UsageSettings, filled: None) -> None:
    with served(settings, local=False) as address:
        page = browser.new_page()
        page.goto(f"{address}/finops/llm-costs")
        for key in ("\u043a\u043b\u044e\u0447", "wrong"):
            page.wait_for_selector("#status.wrong")
            page.get_by_label("API key").fill(key)
            page.get_by_role("button", name="Use it").click()
            page.wait_for_timeout(500)
            assert page.get_by_label("API key").is_visible()
        page.close()


def test_it_fits_again_when_the_window_gets_small(browser: Any, settings: UsageSettings, filled: None) -> None:
    with served(settings) as address, looked_at(browser, f"{address}/finops/llm-costs") as page:
        page.set_viewport_size({"width": 375, "height": 800})
        page.wait_for_timeout(600)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("document.querySelector('#line canvas').clientWidth <= innerWidth")
