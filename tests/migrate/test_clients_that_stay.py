"""Clients that somebody may miss, replace or see otherwise: they stay, and their calls move, with a reason that holds."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

from llmguard.config import Configuration
from llmguard.migrate import migrate_paths
from llmguard.migrate.guards import guarded_at
from llmguard.migrate.options import Options
from llmguard.migrate.verdict import Decision

ASK = 'client.chat.completions.create(model="m", messages=[])'
TOP = "from groq import Groq\n\n"
BOT = f"{TOP}class Bot:\n    def __init__(self):\n        self.client = Groq()\n\n    def ask(self):\n        return self.{ASK}\n"


class Case(NamedTuple):
    """Files (the first one holds the call), and the reason for which its client stays."""

    reason: str
    files: dict[str, str]
    related: str = ""


def bot(more: str, head: str = "") -> dict[str, str]:
    return {"bot.py": f"{head}{BOT}\n\n{more}"}


def module(before: str = "", client: str = "client = Groq()", after: str = "") -> dict[str, str]:
    return {"svc.py": f"{TOP}{before}{client}\n\n\ndef ask():\n    return {ASK}\n\n\n{after}"}


CASES = {
    "made on demand": Case(
        "client-conditional",
        {
            "svc.py": f"{TOP}class A:\n    def open(self):\n        self.client = Groq()\n\n    def ask(self):\n        self.{ASK}\n"
        },
    ),
    "made behind a return": Case(
        "client-conditional",
        {
            "svc.py": f"{TOP}class A:\n    def __init__(self, on):\n        if not on:\n            return\n"
            f"        self.client = Groq()\n\n    def ask(self):\n        self.{ASK}\n"
        },
    ),
    "made in a handler": Case(
        "client-conditional", module(client="try:\n    import torch\nexcept ImportError:\n    client = Groq()")
    ),
    "with more on its line": Case("client-conditional", module(client="client = Groq(); X = 1")),
    "a default of an argument": Case("client-escapes", module(after="def other(c=client):\n    return c.api_key\n")),
    "a default under its own name": Case(
        "client-escapes", module(after=f"def other(client=client):\n    return {ASK}\n")
    ),
    "the first iterable of a comprehension": Case(
        "client-escapes", module(after="print([client for client in [client]])\n")
    ),
    "eval": Case("client-escapes", module(after='print(eval("client.max_retries"))\n')),
    "a path of attributes in a text": Case(
        "client-escapes", bot('import operator\n\nprint(operator.attrgetter("client.max_retries")(Bot()))\n')
    ),
    "a field of a format": Case("client-escapes", bot('print("{0.client.max_retries}".format(Bot()))\n')),
    "patched in its own file": Case(
        "client-escapes", module(after='from unittest import mock\n\nmock.patch("__main__.client")\n')
    ),
    "a property of a subclass": Case(
        "client-escapes", bot("class Fake(Bot):\n    @property\n    def client(self):\n        return None\n")
    ),
    "a default in a base": Case(
        "client-escapes",
        {"bot.py": BOT.replace("class Bot:", "class Base:\n    client = None\n\n\nclass Bot(Base):")},
    ),
    "set by a mixin": Case(
        "client-escapes",
        bot("class Mixin:\n    def fake(self):\n        self.client = None\n\n\nclass Both(Mixin, Bot):\n    pass\n"),
    ),
    "set by computed names": Case(
        "client-escapes", bot("class Set(Bot):\n    def set(self, k, v):\n        setattr(self, k, v)\n")
    ),
    "comments in the constructor": Case(
        "comments", module(client="client = Groq(\n    timeout=3,  # the gateway's\n)")
    ),
    "comments in the callee": Case(
        "comments",
        {
            "svc.py": f"{TOP}client = Groq()\nprint(\n    client.chat  # not responses\n    .completions.create(model='m', messages=[])\n)\n"
        },
    ),
    "an HTTP client": Case(
        "client-headers", module("import httpx\n\nhttp = httpx.Client()\n", "client = Groq(http_client=http)")
    ),
    "a variable that has to be there": Case(
        "client-headers",
        {
            "svc.py": "import os\n\nfrom openai import OpenAI\n\nclient = OpenAI(organization=os.environ['OPENAI_ORG_ID'])\n"
            f"print({ASK})\n"
        },
    ),
    "the environment changes here": Case(
        "provider-dynamic", module("import os\n\nos.environ |= {'GROQ_API_KEY': 'k'}\n")
    ),
    "the environment changes elsewhere": Case(
        "provider-dynamic", {**module(), "main.py": "import os\n\nos.environ.pop('GROQ_API_KEY')\n"}
    ),
    "a setting changes elsewhere": Case(
        "client-headers",
        {
            **module("from settings import settings\n", "client = Groq(api_key=settings.KEY)"),
            "settings.py": "class S:\n    KEY = 'a'\n\n\nsettings = S()\n",
            "main.py": "from settings import settings\n\nsettings.KEY = 'b'\n",
        },
    ),
    "the model comes from a variable": Case(
        "model-unknown",
        {
            "svc.py": f"import os\n\n{TOP}M = os.getenv('M')\nclient = Groq()\nprint({ASK.replace(chr(34) + 'm' + chr(34), 'M')})\n"
        },
    ),
    "the model is an attribute that may be None": Case(
        "model-unknown",
        {
            "bot.py": BOT.replace(
                "def __init__(self):", "def __init__(self, model=None):\n        self.model = model"
            ).replace('model="m"', "model=self.model")
        },
    ),
    "the error of making it is handled": Case(
        "client-guarded",
        {
            **bot(""),
            "main.py": "from bot import Bot\n\ntry:\n    b = Bot()\nexcept Exception:\n    b = None\nif b:\n    b.ask()\n",
        },
        "main.py:3",
    ),
    "a test patches the class": Case(
        "test-patches-target",
        {**module(), "test_svc.py": "from unittest import mock\n\nmock.patch('svc.Groq')\n"},
        "test_svc.py:3",
    ),
    "a test patches the SDK": Case(
        "test-patches-target",
        {**module(), "test_all.py": "def test_x(monkeypatch):\n    monkeypatch.setattr('groq.Groq', None)\n"},
        "test_all.py:2",
    ),
    "the SDK is replaced": Case(
        "client-escapes",
        {**module(), "main.py": "import sys\n\nsys.modules['groq'] = None\n"},
        "main.py:3",
    ),
    "a subclass elsewhere sets its own": Case(
        "client-escapes",
        {
            **bot(""),
            "off.py": "from bot import Bot\n\n\nclass Off(Bot):\n    def __init__(self):\n        self.client = None\n",
        },
    ),
    "a subclass elsewhere defines it": Case(
        "client-escapes",
        {
            **bot(""),
            "off.py": "from bot import Bot\n\n\nclass Off(Bot):\n    client = property(lambda self: None, lambda self, x: None)\n",
        },
    ),
    "put into what a package gives": Case(
        "client-escapes",
        {
            "app/svc.py": module()["svc.py"],
            "app/__init__.py": "from . import svc as service\n",
            "main.py": "import app\n\napp.service.client = None\n",
        },
    ),
    "all names are imported": Case(
        "client-escapes", {"app/svc.py": module()["svc.py"], "app/__init__.py": "from .svc import *\n"}
    ),
    "read from what a function gives": Case(
        "client-escapes",
        {
            **bot(""),
            "factory.py": "from bot import Bot\n\n\ndef get_bot():\n    return Bot()\n",
            "main.py": "from factory import get_bot\n\nbot = get_bot()\nprint(bot.client is not None)\n",
        },
    ),
}


def test_a_file_whose_names_are_all_imported_gets_no_name_that_may_mean_something_there(tmp_path: Path) -> None:
    files = {"svc.py": module()["svc.py"], "main.py": "from analytics import track\nfrom svc import *\n"}
    assert decided(tmp_path, files).after.startswith("return llmguard_llm_wrapper.chat_completion_sync(")


def decided(folder: Path, files: dict[str, str], options: Options | None = None) -> Decision:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    plan = migrate_paths([str(folder)], Configuration(str(folder)), options)
    first = next(iter(files))
    decision = next(each for each in plan.decisions if each.path.endswith(first))
    for change in plan.changes:
        compile(change.after, change.path, "exec")
    return decision


@pytest.mark.parametrize("name", CASES)
def test_a_client_that_somebody_may_miss_stays_and_its_call_moves(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    decision = decided(tmp_path, case.files)
    assert case.reason in decision.notes
    if case.reason == "model-unknown" or name == "comments in the callee":
        assert decision.target == "using"
    else:
        assert decision.target == "to-wrapper"
        assert "client=" in decision.after
    assert [place.rpartition("/")[2] for place in decision.related[:1]] == ([case.related] if case.related else []) or (
        not case.related
    )


@pytest.mark.parametrize(
    "more",
    [
        "",
        'print({"content": "Tell me about Groq"})\n',
        "class Other:\n    def __init__(self):\n        self.client = 1\n",
        "def count(clients):\n    return [client for client in clients]\n",
        "import os\n\nprint(os.environ.get('HOME'))\n",
        "try:\n    Bot().ask()\nexcept Exception:\n    pass\n",
    ],
)
def test_what_only_looks_like_it_hinders_nobody(more: str, tmp_path: Path) -> None:
    decision = decided(tmp_path, bot(more))
    assert decision.target == "to-wrapper", decision
    assert "client=" not in decision.after


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("try:\n    b = Bot()\nexcept Exception:\n    b = None\nb.ask()\n", 1),
        ("try:\n    b = Bot()\n    b.ask()\nexcept Exception:\n    pass\n", 0),
        ("try:\n    Bot()\nexcept Exception:\n    pass\n", 0),
        ("try:\n    b = Bot()\nfinally:\n    b = None\nb.ask()\n", 0),
        ("def f():\n    try:\n        return Bot()\n    except Exception:\n        return None\n", 2),
        ("for cls in (Other, Bot):\n    try:\n        b = cls()\n    except Exception:\n        pass\n", 2),
        (
            "class Sub(Bot):\n    pass\n\n\ndef f(b: Bot):\n    try:\n        b.ask()\n    except Exception:\n        pass\n",
            0,
        ),
    ],
)
def test_who_handles_the_error_of_making_a_client(text: str, line: int) -> None:
    assert guarded_at(ast.parse(text), "Bot") == line
