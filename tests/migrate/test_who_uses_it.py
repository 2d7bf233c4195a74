"""What keeps a client from being removed is asked of definitions and imports: what only looks like it keeps nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmguard.config import Configuration
from llmguard.migrate import migrate_paths

HELPER = (
    "from groq import Groq\n\nclient = Groq()\n\n\ndef chat(q, user_id):\n"
    '    return client.chat.completions.create(model="m", messages=[{"role": "user", "content": q}])\n'
)
NOBODY = {
    "a text in a log line": {"other.py": 'import logging\n\nlogging.info("the client said helper")\n'},
    "a title in the file itself": {"helper.py": f'{HELPER}\n\nTITLE = "Groq"\nNAMES = {{"client": 1, "x": "Groq"}}\n'},
    "a test of another service": {
        "other.py": "from groq import Groq\n\nclient = Groq()\nclient.models.list()\n",
        "tests/test_other.py": "from unittest.mock import patch\n\n\n@patch('other.client')\ndef test(fake):\n    pass\n",
    },
    "a file of the same name in another application": {
        "support/helper.py": HELPER,
        "support/main.py": "from support.helper import client\n\nprint(client)\n",
    },
    "a word of another's": {"other.py": "helper = object()\nclient = helper.client\n"},
}


def after(folder: Path, files: dict[str, str]) -> str:
    (folder / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    for name, text in {"helper.py": HELPER, **files}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    plan = migrate_paths([str(folder)], Configuration(str(folder)))
    changed = {change.absolute: change.after.decode() for change in plan.changes}
    return changed[str(folder / "helper.py")]


@pytest.mark.parametrize("name", NOBODY)
def test_the_client_goes_with_its_import(name: str, tmp_path: Path) -> None:
    text = after(tmp_path, NOBODY[name])
    assert "client=client" not in text
    assert "import Groq" not in text


SOMEBODY = {
    "an import": {"other.py": "from helper import client\n\nprint(client.api_key)\n"},
    "an import under another name": {"other.py": "import helper as h\n\nprint(h.client.api_key)\n"},
    "a module that is handed on": {"other.py": "import helper\n\nprint(vars(helper))\n"},
    "a module that is looked up": {
        "other.py": "from importlib import import_module\n\nprint(import_module('helper').client)\n"
    },
    "a patch": {
        "tests/test_it.py": "from unittest.mock import patch\n\n\n@patch('helper.client')\ndef test(fake):\n    pass\n"
    },
    "a patch of the class": {
        "tests/test_it.py": "from unittest.mock import patch\n\n\n@patch('helper.Groq')\ndef test(fake):\n    pass\n"
    },
    "a patch of an object": {
        "tests/test_it.py": "from unittest.mock import patch\n\nimport helper\n\npatch.object(helper, 'client')\n"
    },
    "a look-up by name": {"helper.py": f"{HELPER}\n\ndef get(name='client'):\n    return globals()['client']\n"},
}


@pytest.mark.parametrize("name", SOMEBODY)
def test_the_client_stays_and_the_call_moves(name: str, tmp_path: Path) -> None:
    assert "client=client" in after(tmp_path, SOMEBODY[name])


CONCURRENT = (
    "from fastapi import FastAPI\nfrom groq import Groq\n\nclient = Groq()\napp = FastAPI()\nhistory = []\n\n\n"
    "@app.post('/chat')\nasync def chat(message: str):\n    {before}\n"
    "    return client.chat.completions.create(model='m', messages=[{{'role': 'user', 'content': message}}])\n"
)


@pytest.mark.parametrize(
    ("before", "awaited"),
    [
        ("history.append(message)", False),
        ("message = message.strip()", True),
        ("app.state.last = message", False),
        ("print(message)", True),
    ],
)
def test_a_handler_awaits_only_where_nothing_is_shared(before: str, awaited: bool, tmp_path: Path) -> None:
    text = after(tmp_path, {"helper.py": CONCURRENT.format(before=before)})
    assert ("await llm_wrapper.chat_completion(" in text) is awaited
    assert ("llm_wrapper.chat_completion_sync(" in text) is not awaited
