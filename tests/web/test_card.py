"""The card in a real browser, in a page of a host."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from llmguard.usage.settings import UsageSettings
from tests.command import ROOT
from tests.optional import optional
from tests.usage.test_weaknesses import refutes
from tests.web.conftest import NOW
from tests.web.test_page import Add, browser, served

__all__ = ["browser"]
pytestmark = [pytest.mark.full, pytest.mark.parametrize("settings", ["sqlite"], indirect=True)]
CARD = ROOT / "llmguard" / "web" / "card"
HOST = """<!doctype html><html lang="en"><title>host</title><main><h1>Host</h1>
<script type="module" src="/finops/card/llm-usage-card.js"></script>
<llm-usage-card src="/summary" refresh="1"></llm-usage-card></main></html>"""


def summary(count: int, limit: int | None, **more: Any) -> dict[str, Any]:
    reset = (datetime.now(timezone.utc) + timedelta(minutes=1)).isoformat()
    remaining = None if limit is None else max(0, limit - count)
    told = {"can_call": remaining != 0, "current_count": count, "limit_value": limit, "reset_at": reset}
    told |= {"remaining": remaining, "source": "limit", "retry_after": None, **more}
    amounts = {"calls": 1234, "tokens": 5_600_000, "prompt_tokens": 5_000_000, "completion_tokens": 600_000}
    limits = {"per_minute": told, "per_day": {**told, "limit_value": None, "remaining": None, "can_call": True}}
    return {"success": True, "summary": {"today": amounts, "this_month": amounts, "rate_limits": limits}}


class Host:
    """A page with the card, whose requests are answered here."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.asked = page, list[dict[str, str]]()
        self.answer: tuple[int, Any] = (200, summary(3, 30))
        page.route("**/host", lambda route: route.fulfill(body=HOST, content_type="text/html"))
        page.route("**/summary", self._answered)
        page.goto(f"{address}/host")

    def _answered(self, route: Any) -> None:
        self.asked.append(route.request.headers)
        status, body = self.answer
        route.fulfill(status=status, body=json.dumps(body), content_type="application/json")

    def text(self) -> str:
        found: str = self.page.locator("llm-usage-card .card").inner_text()
        return found

    def answers(self, status: int, body: Any = None) -> None:
        self.answer = (status, body)
        self.page.locator("llm-usage-card").get_by_role("button", name="Refresh").click()


@pytest.fixture
def host(browser: Any, settings: UsageSettings) -> Iterator[Host]:
    with served(settings) as address:
        page = browser.new_page(timezone_id="UTC")
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield Host(page, address)
        page.close()
        assert wrong == []


def test_it_shows_what_is_left_and_when_it_begins_anew(host: Host) -> None:
    host.page.get_by_text("27 left").wait_for()
    text = host.text()
    for part in ("LLM API Usage", "3 of 30 (10.0 %), resets at ", "no limit", "1.2K calls, 5.6M tokens"):
        assert part in text
    assert "Limit Exceeded" not in text
    host.answers(200, summary(24, 30))
    host.page.get_by_text("Approaching Rate Limit: 80 % used").wait_for()
    host.answers(200, summary(30, 30))
    host.page.get_by_text("Rate Limit Exceeded: again at").wait_for()
    host.answers(503)
    host.page.get_by_text("Usage is not known now: the answer is 503.").wait_for()
    assert "left" not in host.text(), "figures of before are no figures of now"
    host.answers(200, {"success": True, "summary": {"today": "<b>"}})
    host.page.get_by_text("the answer is no summary").wait_for()


def test_another_token_is_another_user(host: Host) -> None:
    host.page.get_by_text("27 left").wait_for()
    host.page.route("**/summary", lambda route: None)  # the next answer is never given
    host.page.evaluate("document.querySelector('llm-usage-card').token = () => Promise.resolve('of-bob')")
    host.page.get_by_text("Loading").wait_for()
    assert "27 left" not in host.text()
    host.page.unroute("**/summary")
    host.page.route("**/summary", host._answered)
    host.page.evaluate("document.querySelector('llm-usage-card').reload()")
    host.page.get_by_text("27 left").wait_for()
    assert host.asked[-1]["authorization"] == "Bearer of-bob"
    assert "authorization" not in host.asked[0]
    assert host.page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_a_hidden_tab_asks_nothing_and_who_is_gone_neither(host: Host) -> None:
    hide = """value => { Object.defineProperty(document, 'hidden', { value, configurable: true });
    document.dispatchEvent(new Event('visibilitychange')); }"""
    host.page.get_by_text("27 left").wait_for()
    host.page.evaluate(hide, True)
    before = len(host.asked)
    host.page.wait_for_timeout(2500)
    assert len(host.asked) == before
    host.page.evaluate(hide, False)
    host.page.wait_for_timeout(1600)
    assert before + 1 <= len(host.asked) <= before + 3
    host.page.evaluate("document.querySelector('llm-usage-card').remove()")
    before = len(host.asked)
    host.page.wait_for_timeout(2000)
    assert len(host.asked) == before


#: A card as programs have it: one cache for all users, a token that any script can read, no end to its asking.
STAND_IN = """
let cache = null;
customElements.define("stand-in", class extends HTMLElement {
  connectedCallback() { localStorage.access_token = "secret"; setInterval(() => this.show(), 300); this.show(); }
  async show() {
    cache ??= await (await fetch("/summary", { headers: { authorization: localStorage.access_token } })).json();
    fetch("/summary");
    this.textContent = cache.summary.rate_limits.per_minute.remaining + " left";
  }
});
document.querySelector("llm-usage-card").replaceWith(document.createElement("stand-in"));
"""


def test_19_the_faults_of_such_cards(host: Host) -> None:
    def check(tag: str) -> None:
        host.page.get_by_text("27 left").first.wait_for()
        assert host.page.evaluate("localStorage.length + sessionStorage.length") == 0
        host.page.evaluate(f"document.querySelector('{tag}').token = 'of-bob'")  # somebody else logs in
        host.answer = (200, summary(29, 30))
        host.page.get_by_text("1 left").first.wait_for(timeout=5000)
        assert "resets at" in host.page.locator(f"{tag} .card").inner_text()
        host.page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
        host.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        before = len(host.asked)
        host.page.wait_for_timeout(1500)
        assert len(host.asked) == before

    check("llm-usage-card")
    host.answer = (200, summary(3, 30))
    host.page.goto(host.page.url)
    host.page.get_by_text("27 left").first.wait_for()
    host.page.add_script_tag(content=STAND_IN, type="module")
    refutes(check, "stand-in")


def test_everybody_can_use_it(host: Host) -> None:
    axe = optional("axe_playwright_python.sync_playwright").Axe()
    for body in (summary(3, 30), summary(30, 30)):
        host.answers(200, body)
        host.page.get_by_text("resets at").wait_for()
        for scheme in ("light", "dark"):
            host.page.emulate_media(color_scheme=scheme)
            assert [each["id"] for each in axe.run(host.page).response["violations"]] == []


def test_it_shows_what_the_api_says(browser: Any, settings: UsageSettings, add: Add) -> None:
    from llmguard.usage.store.api_keys import create_key
    from llmguard.usage.store.ledger import Ledger

    add(NOW, user_id="ann")
    opened = Ledger.open(settings)
    key = create_key(opened.engine, "ann")
    opened.close()
    with served(settings, local=False) as address:
        page = browser.new_page()
        body = HOST.replace("/summary", "/api/llm/usage/summary")
        page.route("**/host", lambda route: route.fulfill(body=body, content_type="text/html"))
        page.goto(f"{address}/host")
        page.get_by_text("you are not logged in").wait_for()
        page.evaluate("key => { document.querySelector('llm-usage-card').token = key }", key)
        page.get_by_text("1 calls, 1.1K tokens").first.wait_for()
        page.close()


def test_npm_takes_the_folder(settings: UsageSettings, tmp_path: Path) -> None:
    import shutil

    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm")
    done = subprocess.run(
        [npm, "pack", "--dry-run", "--json", str(CARD)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    (packed,) = json.loads(done.stdout)
    assert {file["path"] for file in packed["files"]} == {
        *("README.md", "llm-usage-card.d.ts", "llm-usage-card.js", "package.json", "react.d.ts", "react.js"),
    }
