"""What a hostile reader found: programs that a user, a parameter or a missing client would have broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmguard.migrate import migrate_source
from tests.migrate.test_whose_call import ASK, TOP, decided

CREATE = "client.chat.completions.create(model='m', messages=[])"
#: Text of a program -> what must not be in it afterwards.
NEVER = {
    "a call is not made twice": (
        f"def f(db):\n    who = db.execute('x').fetchone()['user_id']\n    print(db.pop().user_id)\n    return {ASK}, db\n",
        "user_id=db",
    ),
    "an awaited look-up": (
        f"async def f(cache):\n    print(await cache.get('user_id'))\n    return {ASK}\n",
        "user_id=cache",
    ),
    "a key that may be gone": (
        f"def f(session):\n    print(session['user_id'])\n    session.clear()\n    return {ASK}\n",
        "user_id=session",
    ),
    "a variable that a `try` may not have set": (
        f"def f(payload):\n    try:\n        user_id = payload['u']\n    except KeyError:\n        pass\n    return {ASK}\n",
        "user_id=user_id",
    ),
    "an argument that may be None": (
        f"from dataclasses import dataclass\n\n\n@dataclass\nclass User:\n    id: str\n\n\ndef f(user: User = None):\n    return {ASK}\n",
        "user_id=user.id",
    ),
    "a dictionary with types": (
        f"from typing import TypedDict\n\n\nclass Event(TypedDict):\n    user_id: str\n\n\ndef f(event: Event):\n    return {ASK}\n",
        "user_id=event.user_id",
    ),
    "an attribute that comes late": (
        f"class A:\n    def __init__(self, who):\n        self.hello = self.f()\n        self.user_id = who\n\n    def f(self):\n        return {ASK}\n",
        "user_id=self.user_id",
    ),
    "a key of another's loop": (
        f"def f(rows):\n    r = {ASK}\n    return r, [rows[j].user_id for j in range(2)]\n",
        "user_id=rows",
    ),
    "parameters by position only": (
        f"def _f(q, /):\n    return {ASK}\n\n\ndef f(user_id):\n    return _f('x')\n",
        "user_id=None",
    ),
    "a table of functions": (
        f"def ask(q):\n    return {ASK}\n\n\nTOOLS = {{'ask': ask}}\n\n\ndef f(user_id):\n    return ask('x')\n",
        "user_id=None",
    ),
    "a method that another class has": (
        f"class Base:\n    def run(self, user_id):\n        return self.ask()\n\n\nclass Chat(Base):\n    def ask(self):\n        return {ASK}\n\n\n"
        "class Echo(Base):\n    def ask(self):\n        return 1\n",
        "self.ask(user_id",
    ),
    "a caller in an f-string": (
        f"def ask(q):\n    return {ASK}\n\n\ndef f(user):\n    print(user['id'])\n    return f'{{ask(1)}}'\n",
        "ask(1, user_id",
    ),
}


@pytest.mark.parametrize("name", NEVER)
def test_a_user_that_would_break_the_program_is_left_out(name: str) -> None:
    body, never = NEVER[name]
    after = migrate_source(TOP + body, "answers.py")
    assert "client=client" in after
    assert never not in after, after
    assert migrate_source(after, "answers.py") == after


ASKS = {"core.py": TOP + f"def ask(q):\n    return {ASK}\n"}


@pytest.mark.parametrize(
    "test",
    [
        "from unittest import mock\n\nimport app\n\nmock.patch('app.ask', print)\n",
        "from unittest import mock\n\nmock.patch.multiple('app', ask=print)\n",
        "from unittest import mock\n\nmock.patch('app.core')\n",
        "import app\n\napp.core = None\n",
        "import inspect\n\nimport core\n\nprint(inspect.getmembers(core))\n",
    ],
)
def test_a_function_that_is_replaced_where_it_is_used_stays(test: str, tmp_path: Path) -> None:
    app = "from core import ask\n\n\ndef handle(user_id, q):\n    return ask(q)\n"
    decided(tmp_path, {**ASKS, "app.py": app, "test_app.py": test})
    assert (tmp_path / "app.py").read_text() == app


def test_a_fake_of_the_same_shape_gets_no_argument(tmp_path: Path) -> None:
    bots = (
        TOP + f"class Bot:\n    def reply(self, q):\n        return {ASK}\n\n\nclass Runner:\n"
        "    def __init__(self, bot: Bot, user_id):\n        self.bot, self.user_id = bot, user_id\n\n"
        "    def run(self, text):\n        return self.bot.reply(text)\n"
    )
    fake = "from bots import Runner\n\n\nclass Fake:\n    def reply(self, text):\n        return 1\n\n\nRunner(Fake(), 'u').run('x')\n"
    decided(tmp_path, {"bots.py": bots, "test_bots.py": fake})
    assert "self.bot.reply(text)" in (tmp_path / "bots.py").read_text()


@pytest.mark.parametrize(
    "receiver", ["(c := pool.take())", "(yield)", "(pool.first or pool.second)", "(await pool.take())"]
)
def test_a_receiver_in_parentheses(receiver: str) -> None:
    kind = "async def" if "await" in receiver else "def"
    body = f"{kind} f(pool):\n    print({receiver}.chat.completions.create(model='m', messages=[]).choices)\n"
    after = migrate_source(f"from groq import Groq\n\n\n{body}", "answers.py")
    assert "client=" in after
    compile(after, "answers.py", "exec")


def test_a_call_in_the_arguments_of_another() -> None:
    body = (
        f"def ask(q):\n    return {CREATE}\n\n\ndef sum_up(text):\n"
        "    return client.chat.completions.create(model='m', messages=ask(text))\n\n\n"
        "def handle(user_id, q):\n    return sum_up(q)\n"
    )
    after = migrate_source(f"from groq import Groq\n\nclient = Groq()\n\n\n{body}", "answers.py")
    assert "sum_up(q, user_id=user_id)" in after
    compile(after, "answers.py", "exec")


@pytest.mark.parametrize(
    "files",
    [
        {"health.py": "from llm \\\n    import client\n\nprint(client)\n"},
        {"app/__init__.py": "from . import llm\n", "main.py": "import app\n\nprint(app.llm.client)\n"},
        {"deps.py": "import llm\n", "main.py": "from deps import llm\n\nprint(llm.client)\n"},
        {"setup.py": "ENTRY = 'llm:client'\n"},
    ],
)
def test_a_client_that_is_reached_in_other_ways_stays(files: dict[str, str], tmp_path: Path) -> None:
    home = "app/llm.py" if "app/__init__.py" in files else "llm.py"
    llm = f"from groq import Groq\n\nclient = Groq()\n\n\ndef ask():\n    return {ASK}\n"
    decided(tmp_path, {home: llm, **files})
    assert "client = Groq()" in (tmp_path / home).read_text()


def test_coroutines_that_run_beside_each_other_two_files_away(tmp_path: Path) -> None:
    files = {
        "llm.py": "from groq import Groq\n\nclient = Groq()\n\n\nclass C:\n    async def ask(self):\n"
        f"        n = self.n\n        r = {ASK}\n        self.n = n + 1\n        return r\n",
        "service.py": "from llm import C\n\nc = C()\n",
        "main.py": "import asyncio\n\nfrom service import c\n\nasyncio.gather(c.ask(), c.ask())\n",
    }
    decided(tmp_path, files)
    assert "llm_wrapper.chat_completion_sync(" in (tmp_path / "llm.py").read_text()
