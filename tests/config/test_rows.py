"""Doors and providers of a project's own, from its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmguard.check import check_paths, check_source
from llmguard.check.finding import Report
from llmguard.config import find_settings
from llmguard.errors import ConfigError
from llmguard.providers import vocabulary
from tests.command import CALL, write

GATE = """
from openai import OpenAI

client = OpenAI()

def ask(messages):
    return client.chat.completions.create(model="m", messages=messages)

class Gate:
    def ask(self, messages):
        return client.chat.completions.create(model="m", messages=messages)

def make():
    return OpenAI()

def opaque():
    return build_somehow()

def direct(messages):
    return client.chat.completions.create(model="m", messages=messages)
"""
USER = """
from app.gate import Gate, ask, make, opaque
from app.metrics import on_the_books

def one(m):
    return ask(m)

def two(m):
    return Gate().ask(m)

def three(m):
    return make().chat.completions.create(model="m", messages=m)

def four(m):
    with on_the_books("x"):
        return OpenAI().chat.completions.create(model="m", messages=m)

def five(m):
    return opaque().chat.completions.create(model="m", messages=m)
"""


def report(folder: Path, configuration: str, monkeypatch: pytest.MonkeyPatch, **files: str) -> Report:
    write(folder, {".git/HEAD": "", "llmguard.yaml": configuration, "app/gate.py": GATE, "app/user.py": USER, **files})
    monkeypatch.chdir(folder)
    return check_paths(["."])


def test_without_doors_all_are_direct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = report(tmp_path, "", monkeypatch)
    assert [(f.path, f.function) for f in found.findings] == [
        ("app/gate.py", "ask"),
        ("app/gate.py", "Gate.ask"),
        ("app/gate.py", "direct"),
        ("app/user.py", "three"),
        ("app/user.py", "four"),
        ("app/user.py", "five"),
    ]


def test_doors_of_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doors = """
doors:
  - name: app.gate.ask
  - {name: app.gate.Gate, methods: [ask]}
  - {name: app.gate.make, kind: client}
  - {name: app.gate.opaque, kind: client}
  - {name: app.metrics.on_the_books, kind: tracker}
"""
    found = report(tmp_path, doors, monkeypatch)
    assert [(f.path, f.function) for f in found.findings] == [("app/gate.py", "direct")]
    assert {(f.function, f.tracked) for f in found.tracked} == {
        ("ask", "inside app.gate.ask"),
        ("Gate.ask", "inside app.gate.Gate"),
        ("one", "through app.gate.ask"),
        ("two", "through app.gate.Gate"),
        ("three", "on a tracked client"),
        ("four", "inside a tracker block"),
        ("five", "on a tracked client"),
    }


def test_a_module_can_be_a_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = report(tmp_path, "doors: [{name: app.gate}]", monkeypatch)
    assert {f.path for f in found.findings} == {"app/user.py"}


def test_the_wrapper_that_findings_suggest_is_a_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = report(tmp_path, "wrapper: app.gate.ask", monkeypatch)
    assert "ask" not in [f.function for f in found.findings]
    assert {f.message.rpartition(": ")[2] for f in found.findings} == {"call app.gate.ask() instead"}


PROVIDERS = """
providers:
  - name: acme
    title: Acme
    modules: [acme_ai, company.gateway]
    clients:
      - {names: [Client], calls: {chat.ask: chat, embed: embedding}}
      - {names: [OpenAILike], calls: openai}
    functions: {acme_ai.generate: text}
    endpoints: {/v1/acme/generate: http}
    hosts: [llm.acme.example]
"""


def test_a_provider_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = """
import acme_ai, httpx
from company.gateway import Client
from openai import OpenAI

client = Client()
client.chat.ask("hello")
client.embed(["x"])
client.close()
acme_ai.OpenAILike().chat.completions.create(model="m", messages=[])
acme_ai.generate("x")
httpx.post("https://llm.acme.example/v1/acme/generate", json={})
OpenAI(base_url="https://llm.acme.example/v1").chat.completions.create(model="m", messages=[])
"""
    gateway = "class Client:\n    def chat(self): ...\n"
    files = {"use.py": user, "company/gateway.py": gateway, "company/__init__.py": ""}
    write(tmp_path, {".git/HEAD": "", "llmguard.yaml": PROVIDERS, **files})
    monkeypatch.chdir(tmp_path)
    found = [(f.region.line, f.rule, f.provider, f.family) for f in check_paths(["use.py"]).findings]
    assert found == [
        (7, "LLG102", "acme", "chat"),
        (8, "LLG201", "acme", "embedding"),
        (10, "LLG102", "acme", "chat"),
        (11, "LLG105", "acme", "text"),
        (12, "LLG190", "acme", "http"),
        (13, "LLG102", "acme", "chat"),
    ]


def test_rows_hold_only_for_the_run_that_has_them(tmp_path: Path) -> None:
    write(tmp_path, {"llmguard.yaml": PROVIDERS})
    source = "from acme_ai import Client\nClient().chat.ask('x')\n"
    settings = find_settings(str(tmp_path))
    assert len(check_source(source, settings=settings).findings) == 1
    assert check_source(source).findings == ()
    assert vocabulary.current.own_providers == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("doors: {name: x}", "doors: must be a list of tables"),
        ("doors: [{}]", "doors[1].name: is missing"),
        ("doors: [{name: a b}]", "doors[1].name: must be a dotted name, not 'a b'"),
        ("doors: [{name: a, kind: gate}]", "doors[1].kind: must be one of wrapper, tracker, client, not 'gate'"),
        ("doors: [{name: a}, {nam: b}]", "doors[2].nam: unknown key; did you mean name?"),
        ("providers: [{name: openai, hosts: [x]}]", "providers[1].name: 'openai' is a row already"),
        ("providers: [{name: a}]", "providers[1]: says nothing: give clients, functions, endpoints or hosts"),
        ("providers: [{name: a, functions: {a.b: chat}}]", "providers[1].modules: is needed for clients and functions"),
        (
            "providers: [{name: a, modules: [a], functions: {a.b: talk}}]",
            "providers[1].functions.a.b: must be one of completion, chat,",
        ),
        (
            "providers: [{name: a, modules: [a], clients: [{names: [C], calls: grok}]}]",
            "providers[1].clients[1].calls: must be one of openai, anthropic, not 'grok'",
        ),
        (
            "providers: [{name: a, modules: [a], clients: [{names: [C]}]}]",
            "providers[1].clients[1].calls: is missing",
        ),
    ],
)
def test_a_row_of_no_use_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, {"llmguard.yaml": text})
    with pytest.raises(ConfigError) as caught:
        find_settings(str(tmp_path))
    assert said in str(caught.value)


def test_findings_are_the_same_with_a_row_that_matches_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"llmguard.yaml": PROVIDERS})
    settings = find_settings(str(tmp_path))
    assert check_source(CALL, settings=settings).findings == check_source(CALL).findings


def test_a_tracker_is_known_by_what_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
import litellm, sentry_sdk
from app import obs
from app.obs import span as s, span
from . import obs as relative

def f(m, self):
    with sentry_sdk.span(): litellm.completion(model="a", messages=m)
    with s(): litellm.completion(model="b", messages=m)
    with obs.span("x"): litellm.completion(model="c", messages=m)
    with relative.span(): litellm.completion(model="d", messages=m)
    with self.span(): litellm.completion(model="e", messages=m)

@span
def g(m): litellm.completion(model="f", messages=m)

@sentry_sdk.span
def h(m): litellm.completion(model="g", messages=m)
"""
    write(tmp_path, {"llmguard.yaml": "doors: [{name: app.obs.span, kind: tracker}]", "app/a.py": source})
    monkeypatch.chdir(tmp_path)
    assert [f.region.line for f in check_paths(["."]).findings] == [8, 18]


def test_a_client_maker_of_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "from acme_llm import get_client\n\n\ndef f(m):\n    get_client('x').chat.completions.create(model='m')\n"
    source += "    client = get_client()\n    client.chat.completions.create(model='m', messages=m)\n"
    write(tmp_path, {"llmguard.yaml": "doors: [{name: acme_llm.get_client, kind: client}]", "a.py": source})
    monkeypatch.chdir(tmp_path)
    report = check_paths(["."])
    assert ([f.region.line for f in report.findings], [f.region.line for f in report.tracked]) == ([], [5, 7])


def test_a_provider_can_be_endpoints_alone(tmp_path: Path) -> None:
    write(tmp_path, {"llmguard.yaml": "providers: [{name: gw, endpoints: {gw2.example/v1/chat: chat}}]"})
    source = "import requests\nrequests.post('https://gw2.example/v1/chat', json={})\n"
    found = check_source(source, settings=find_settings(str(tmp_path))).findings
    assert [(f.provider, f.rule) for f in found] == [("gw", "LLG190")]


def test_a_client_that_nobody_can_resolve_is_not_taken_for_litellm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import litellm\nlitellm.completion(model='m', messages=[])\n"
    source += "def f(client):\n    client.chat.completions.create(model='m', messages=[])\n"
    write(tmp_path, {"a.py": source, "b.py": "from llmguard import setup_litellm_tracking\nsetup_litellm_tracking()\n"})
    monkeypatch.chdir(tmp_path)
    report = check_paths(["."])
    assert ([f.region.line for f in report.findings], [f.region.line for f in report.tracked]) == ([4], [2])
