"""The shapes in which clients are kept and called, as they come and as they become; and what must stay as it is."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from llmguard.check import check_source
from llmguard.migrate import migrate_source
from tests.command import ROOT, run

FOLDER = ROOT / "fixtures" / "migrate"
SHAPES = sorted((FOLDER / "shapes").glob("*/*"))
SEVERAL = sorted((FOLDER / "several").glob("*"))
NOTHING = sorted((FOLDER / "noop").glob("*.py"))


@pytest.mark.parametrize("case", SHAPES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_shape_becomes_what_is_written_down(case: Path) -> None:
    before = (case / "before.py").read_text(encoding="utf-8")
    expected = (case / "after.py").read_text(encoding="utf-8")
    after = migrate_source(before, "answers.py")
    assert after == expected
    assert after != before
    compile(after, "answers.py", "exec")
    assert migrate_source(after, "answers.py") == after
    # The LiteLLM callback holds for a whole project, which a single source is not.
    findings = [found for found in check_source(after, "answers.py").findings if "setup_litellm_tracking" not in after]
    assert findings == []


@pytest.mark.parametrize("case", SEVERAL, ids=lambda path: path.name)
def test_files_that_share_a_client_become_what_is_written_down(case: Path, tmp_path: Path) -> None:
    """All of them, or none: never a file that imports what another has given up."""
    project = tmp_path / "project"
    shutil.copytree(case / "before", project)
    done = run("migrate", "--write", "--isolated", "--output-format", "json", ".", cwd=project)
    assert done.returncode == 0, done.stderr
    assert _files(project) == _files(case / "after")
    assert run("migrate", "--check", "--isolated", ".", cwd=project).returncode == 0
    assert run("check", "--isolated", ".", cwd=project).returncode == 0
    sites = [" ".join(str(site[key]) for key in _SHOWN).rstrip() for site in json.loads(done.stdout)["sites"]]
    assert sites == (case / "sites.txt").read_text(encoding="utf-8").splitlines()


_SHOWN = ("path", "line", "verdict", "target", "reason")


def _files(folder: Path) -> dict[str, str]:
    found = sorted(folder.rglob("*.py"))
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in found}


@pytest.mark.parametrize("case", NOTHING, ids=lambda path: path.stem)
def test_what_is_no_call_or_has_its_place_stays(case: Path) -> None:
    before = case.read_text(encoding="utf-8")
    assert migrate_source(before, case.name) == before


def test_every_shape_has_two_cases_and_as_many_that_change_nothing() -> None:
    cases = Counter(case.parent.name.partition("_")[0] for case in SHAPES)
    cases += Counter(case.name.partition("_")[0] for case in SEVERAL)
    assert {f"s{number:02}": cases[f"s{number:02}"] for number in range(1, 47) if cases[f"s{number:02}"] < 2} == {}
    assert len(NOTHING) >= len(SHAPES) + len(SEVERAL)


_CASES = {
    "a parenthesised call is made once": (
        "import httpx\n\n\ndef ask():\n"
        '    r = (httpx.post("https://api.openai.com/v1/chat/completions", json={}))\n    return r\n',
        'r = usage_log.response = (httpx.post("https://api.openai.com/v1/chat/completions", json={}))',
    ),
    "a stream that `for` reads goes on blocking": (
        "from groq import Groq\n\nc = Groq()\n\n\nasync def ask():\n"
        "    for chunk in c.chat.completions.create(model='m', messages=[], stream=True):\n        print(chunk)\n",
        "for chunk in llm_wrapper.chat_completion_sync(",
    ),
    "a call under a lock goes on blocking": (
        "import threading\n\nfrom groq import Groq\n\nc = Groq()\nlock = threading.Lock()\n\n\nasync def ask():\n"
        "    with lock:\n        return c.chat.completions.create(model='m', messages=[])\n",
        "return llm_wrapper.chat_completion_sync(",
    ),
    "a mixin reads the client": (
        "from groq import Groq\n\n\nclass Mixin:\n    def key(self):\n        return self.client.api_key\n\n\n"
        "class A(Mixin):\n    def __init__(self):\n        self.client = Groq()\n\n    def ask(self):\n"
        "        return self.client.chat.completions.create(model='m', messages=[])\n",
        "client=self.client,",
    ),
    "another client is put in its place": (
        "from groq import Groq\n\n\nclass A:\n    def __init__(self):\n        self.client = Groq()\n\n    def ask(self):\n"
        "        return self.client.chat.completions.create(model='m', messages=[])\n\n\na = A()\na.client = Groq(api_key='o')\n",
        "client=self.client,",
    ),
    "the environment changes": (
        "import os\n\nfrom groq import Groq\n\nos.environ['GROQ_API_KEY'] = 'a'\nc = Groq()\nos.environ['GROQ_API_KEY'] = 'b'\n"
        "print(c.chat.completions.create(model='m', messages=[]))\n",
        "client=c,",
    ),
    "the model may be None": (
        "from groq import Groq\n\nc = Groq()\n\n\ndef ask(model=None):\n"
        "    return c.chat.completions.create(model=model, messages=[])\n",
        'return llm_wrapper.using(c, service_name="answers").chat.completions.create(model=model',
    ),
    "the user is deleted": (
        "from groq import Groq\n\nc = Groq()\n\n\ndef ask(user_id):\n    del user_id\n"
        "    return c.chat.completions.create(model='m', messages=[])\n",
        '        messages=[],\n        service_name="answers",\n        provider="groq",\n    )',
    ),
    "an import below its first use": (
        "from groq import Groq\n\nc = Groq()\nprint(c.with_raw_response.chat.completions.create(model='m', messages=[]))\n"
        "from openai import OpenAI\n\no = OpenAI()\nprint(o.chat.completions.create(model='m', messages=[]))\n",
        "from groq import Groq\nfrom llmguard import llm_wrapper\n",
    ),
    "a comprehension's variable": (
        "from groq import Groq\n\nclient = Groq()\n\n\ndef report(customers):\n    names = [client for client in customers]\n"
        "    return names, client.api_key, client.chat.completions.create(model='m', messages=[])\n",
        "client=client,",
    ),
    "LiteLLM's callbacks are set anew": (
        "import litellm\n\nlitellm.callbacks = [print]\nprint(litellm.completion(model='m', messages=[]))\n",
        "litellm.callbacks = [print]\n\nsetup_litellm_tracking()\n",
    ),
    "a part of a client": (
        "from groq import Groq\n\nchat = Groq().chat\nprint(chat.completions.create(model='m', messages=[]))\n",
        'chat = track(Groq(), service_name="answers").chat\n',
    ),
    "a comment of an import stays": (
        "from groq import Groq  # the SDK\n\nprint(Groq().chat.completions.create(model='m', messages=[]))\n",
        "# the SDK\nfrom llmguard import llm_wrapper\n",
    ),
    "a comment stays": (
        "from groq import Groq\n\nc = Groq()  # TODO: another key\nprint(c.chat.completions.create(model='m', messages=[]))\n",
        "# TODO: another key\n",
    ),
}


@pytest.mark.parametrize("name", _CASES)
def test_what_a_review_found(name: str) -> None:
    before, expected = _CASES[name]
    after = migrate_source(before, "answers.py")
    assert expected in after, after
    compile(after, "answers.py", "exec")
    assert migrate_source(after, "answers.py") == after
