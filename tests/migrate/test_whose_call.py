"""Whose a call is: users that are in reach, passed down, and said; services whose names say something."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmguard.config import Configuration
from llmguard.migrate import migrate_paths, migrate_source
from llmguard.migrate.verdict import Decision

TOP = "from groq import Groq\n\nclient = Groq()\nprint(client.models.list())\n\n\n"
ASK = 'client.chat.completions.create(model="m", messages=[])'

REACHED = {
    "a parameter": ("def f(user_id):\n    return {ask}\n", "user_id=user_id"),
    "a conventional name": ("def f(customer_id):\n    return {ask}\n", "user_id=customer_id"),
    "the state of a request": (
        "def f(request):\n    print(request.state.user_id)\n    return {ask}\n",
        "user_id=request.state.user_id",
    ),
    "a key": ("def f(user):\n    name = user['id']\n    return name, {ask}\n", "user_id=name"),
    "a look-up": ("def f(event):\n    u = event.get('user_id')\n    return u, {ask}\n", "user_id=u,"),
    "a field of a class": (
        "import attrs\n\n\n@attrs.define\nclass Asked:\n    user_id: str\n\n\ndef f(asked: Asked):\n    return {ask}\n",
        "user_id=asked.user_id",
    ),
    "an identifier of a person": (
        "class User(Model):\n    id: int\n\n\ndef f(current_user: User):\n    return {ask}\n",
        "user_id=current_user.id",
    ),
    "a text that is a user": ("def f(user: str):\n    return {ask}\n", "user_id=user"),
    "an attribute of the object": (
        "class Bot:\n    def __init__(self, user_id):\n        self.user_id = user_id\n\n    def f(self):\n        return {ask}\n",
        "user_id=self.user_id",
    ),
    "what another function reads": (
        "def g(request):\n    return request.user.pk\n\n\ndef f(request):\n    return {ask}\n",
        "user_id=request.user.pk",
    ),
    "what a framework gives": (
        "import discord\n\n\ndef f(interaction):\n    return {ask}\n",
        "user_id=interaction.user.id",
    ),
    "a private function": (
        "def _f(text):\n    return {ask}\n\n\ndef f(user_id):\n    return _f('x')\n",
        "_f('x', user_id=user_id)",
    ),
    "two private functions": (
        "def _f(text):\n    return {ask}\n\n\ndef _g(text):\n    return _f(text)\n\n\ndef f(user_id: str):\n    return _g('x')\n",
        "_g('x', user_id=user_id)",
    ),
    "a private method": (
        "class A:\n    def _f(self, *, long: bool = False) -> str:\n        return {ask}\n\n"
        "    def f(self, user_id: str):\n        return self._f(long=True)\n",
        "def _f(self, *, long: bool = False, user_id: str | None = None) -> str:",
    ),
}


@pytest.mark.parametrize("name", REACHED)
def test_a_user_that_is_in_reach(name: str) -> None:
    before, expected = REACHED[name]
    after = migrate_source(TOP + before.format(ask=ASK), "answers.py")
    assert expected in after, after
    assert migrate_source(after, "answers.py") == after


UNSURE = {
    "a name that is set later": "def f(x):\n    y = {ask}\n    user_id = x\n    return y, user_id\n",
    "a decorated function": "@print\ndef _f(text):\n    return {ask}\n\n\ndef f(user_id):\n    return _f('x')\n",
    "a function that is handed on": "def _f(text):\n    return {ask}\n\n\ndef f(user_id):\n    return map(_f, ['x'])\n",
    "a function that takes anything": "def _f(*texts):\n    return {ask}\n\n\ndef f(user_id):\n    return _f('x')\n",
    "a function that is overridden": (
        "class A:\n    def _f(self):\n        return {ask}\n\n    def f(self, user_id):\n        return self._f()\n\n\n"
        "class B(A):\n    def _f(self):\n        return None\n"
    ),
}


@pytest.mark.parametrize("name", UNSURE)
def test_a_user_that_may_not_be_there(name: str) -> None:
    after = migrate_source(TOP + UNSURE[name].format(ask=ASK), "answers.py")
    assert "client=client" in after
    assert "user_id=" not in after, after


def test_what_the_request_says_is_enough(tmp_path: Path) -> None:
    text = TOP + "def f(user):\n    return client.chat.completions.create(model='m', messages=[], user=user.email)\n"
    (decision,) = decided(tmp_path, {"answers.py": text})
    assert "user_id" not in decision.after
    assert "no-user-id" not in decision.notes


def decided(folder: Path, files: dict[str, str]) -> list[Decision]:
    (folder / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    plan = migrate_paths([str(folder)], Configuration(str(folder)))
    for change in plan.changes:
        compile(change.after, change.path, "exec")
        Path(change.path).write_bytes(change.after)
    assert not migrate_paths([str(folder)], Configuration(str(folder))).changes
    return list(plan.decisions)


SERVICE = {"ai.py": TOP + f"def ask(text: str) -> object:\n    return {ASK}\n"}


def test_a_user_comes_from_another_file(tmp_path: Path) -> None:
    views = "from ai import ask\n\n\ndef view(request):\n    print(request.user.id)\n    return ask('x')\n"
    (decision,) = decided(tmp_path, {**SERVICE, "views.py": views})
    assert "ask('x', user_id=request.user.id)" in (tmp_path / "views.py").read_text()
    assert "def ask(text: str, user_id: object = None) -> object:" in (tmp_path / "ai.py").read_text()
    assert "no-user-id" not in decision.notes


def test_callers_without_a_user_go_on_as_before(tmp_path: Path) -> None:
    views = "from ai import ask\n\n\ndef view(user_id):\n    return ask('x')\n\n\ndef job():\n    return ask('y')\n"
    (decision,) = decided(tmp_path, {**SERVICE, "views.py": views})
    after = (tmp_path / "views.py").read_text()
    assert "ask('x', user_id=user_id)" in after
    assert "return ask('y')\n" in after
    assert decision.reason == "no-user-id-everywhere"


def test_files_of_tests_go_on_as_they_are(tmp_path: Path) -> None:
    views = "from ai import ask\n\n\ndef view(user_id):\n    return ask('x')\n"
    test = "from ai import ask\n\n\ndef test_it(user_id):\n    assert ask('x')\n"
    decided(tmp_path, {**SERVICE, "views.py": views, "test_views.py": test})
    assert "ask('x', user_id=user_id)" in (tmp_path / "views.py").read_text()
    assert (tmp_path / "test_views.py").read_text() == test


@pytest.mark.parametrize(
    "other",
    [
        "from fastapi import Depends\nfrom ai import ask\n\n\ndef view(user_id, answer=Depends(ask)):\n    return ask('x')\n",
        "from unittest.mock import patch\n\nfrom ai import ask\n\n\n@patch('ai.ask')\ndef test(user_id, fake):\n    ask('x')\n",
        "import ai\n\n\ndef view(user_id):\n    ai.ask = print\n    return ai.ask('x')\n",
    ],
)
def test_a_function_that_is_looked_at_or_replaced_stays_as_it_is(other: str, tmp_path: Path) -> None:
    decided(tmp_path, {**SERVICE, "other.py": other})
    assert (tmp_path / "other.py").read_text() == other
    assert "def ask(text: str) -> object:" in (tmp_path / "ai.py").read_text()


def test_a_file_outside_of_what_was_asked_for_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    views = "from app.ai import ask\n\n\ndef view(user_id):\n    return ask('x')\n"
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "ai.py").write_text(SERVICE["ai.py"])
    (tmp_path / "views.py").write_text(views)
    plan = migrate_paths([str(tmp_path / "app")], Configuration(str(tmp_path)))
    assert [Path(change.path).name for change in plan.changes] == ["ai.py"]
    assert b"def ask(text: str) -> object:" in plan.changes[0].after


@pytest.mark.parametrize(
    ("path", "text", "service"),
    [
        ("search.py", f"def f():\n    {ASK}\n", "search"),
        ("app.py", f"def answer_mail():\n    {ASK}\n", "answer_mail"),
        ("llm.py", f"class SupportDesk:\n    def f(self):\n        {ASK}\n", "support_desk"),
        ("billing/app/tasks.py", f"def f():\n    {ASK}\n", "billing"),
        ("shop/main.py", f"{ASK}\n", "shop"),
    ],
)
def test_the_name_of_a_service_says_something(path: str, text: str, service: str, tmp_path: Path) -> None:
    (decision,) = decided(tmp_path, {path: TOP + text})
    assert f'service_name="{service}"' in decision.after


def test_a_groq_key_goes_to_groq() -> None:
    before = "import settings\nfrom groq import Groq\n\nclient = Groq(api_key=settings.KEY)\n"
    after = migrate_source(f"{before}\n\ndef f(user_id):\n    return {ASK}\n", "answers.py")
    assert 'provider="groq"' in after
    assert 'client_options={"api_key": settings.KEY}' in after


def test_a_method_that_runs_in_a_thread_gets_a_block() -> None:
    before = (
        "import asyncio\n\nfrom vertexai.generative_models import GenerativeModel\n\n\nasync def ask(prompt, user_id):\n"
        '    model = GenerativeModel("gemini-2.5-flash")\n'
        "    return await asyncio.to_thread(model.generate_content, prompt)\n"
    )
    after = migrate_source(before, "answers.py")
    block = 'async with llm_tracker.track_llm_call(provider="google", user_id=user_id, service_name="answers")'
    assert block in after
    assert "usage_log.response = await asyncio.to_thread(model.generate_content, prompt)" in after


def test_logging_by_hand_goes_though_the_client_stays(tmp_path: Path) -> None:
    service = (
        "import time\n\nfrom groq import Groq\n\nfrom app.services.llm_usage_tracker import llm_usage_tracker\n\n\n"
        "class Voice:\n    def __init__(self):\n        self.client = Groq()\n\n"
        "    async def analyze(self, samples, user_id=None):\n        start = time.time()\n"
        "        response = self.client.chat.completions.create(model='m', messages=samples)\n"
        "        duration = int((time.time() - start) * 1000)\n        if user_id:\n"
        "            await llm_usage_tracker.log_llm_call(user_id=user_id, model='m', duration_ms=duration,\n"
        "                tokens_used=response.usage.total_tokens, metadata={'samples': len(samples)})\n"
        "        return response\n"
    )
    test = "from voice import Voice\n\nv = Voice()\nv.client.chat.completions.create = print\n"
    (decision,) = decided(tmp_path, {"voice.py": service, "test_voice.py": test})
    after = (tmp_path / "voice.py").read_text()
    assert "client=self.client" in after
    assert "metadata={'samples': len(samples)}" in after
    assert "log_llm_call" not in after
    assert "import time" not in after
    assert "logged-by-hand" not in decision.notes
