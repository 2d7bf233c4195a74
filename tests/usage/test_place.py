"""Where a call is made: the line that calls the method, makes the coroutine or submits the work; and in which file."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from llmguard.testing import FakeProvider, memory_ledger
from llmguard.usage.blob import blob_of, file_of
from llmguard.usage.settings import UsageSettings
from tests.command import ROOT
from tests.optional import optional
from tests.usage.test_crash import bring_in, rows

PROGRAM = Path(__file__).with_name("place_program.py")


def said(text: str) -> dict[str, int]:
    """Model -> line, as the comments say."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        comment = line.partition("  # ")[2].partition(" #")[0].strip()
        if comment == "each 0 each 1":
            found.update({"each 0": number, "each 1": number})
        elif comment:
            found[comment] = number
    return found


@pytest.mark.parametrize("carry", [False, True], ids=["as it is", "carried into threads"])
def test_every_call_has_the_line_that_makes_it(carry: bool, tmp_path: Path) -> None:
    for name in ("openai", "anthropic", "cohere", "google.genai", "mistralai"):
        optional(name)
    app = tmp_path / "app"
    app.mkdir()
    text = PROGRAM.read_text(encoding="utf-8")
    (app / "program.py").write_text(text, encoding="utf-8")
    settings = UsageSettings(f"sqlite:///{tmp_path / 'u.db'}", spool_dir=str(tmp_path / "spool"))
    env = {
        **os.environ,
        "LLMGUARD_DATABASE_URL": settings.database_url,
        "LLMGUARD_SPOOL_DIR": settings.spool_dir,
        "LLMGUARD_PROJECT_ROOT": str(app),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "program.py", *(["carry"] if carry else [])]
    done = subprocess.run(command, cwd=app, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    bring_in(settings)
    expected = said(text)
    for name in [each for each in expected if each.endswith(" when carried")]:
        line = expected.pop(name)
        if carry:
            expected[name.removesuffix(" when carried")] = line
    found = {row["model"]: row for row in rows(settings)}
    assert {model: row["code_line"] for model, row in found.items()} == expected
    assert {row["code_file"] for row in found.values()} == {"program.py"}
    hashed = subprocess.run(["git", "hash-object", "program.py"], cwd=app, capture_output=True, text=True, check=True)
    assert {row["code_blob"] for row in found.values()} == {hashed.stdout.strip()}
    assert found["method"]["code_function"].endswith("answer")
    if sys.version_info >= (3, 11):
        assert found["method"]["code_function"] == "Service.answer"
        lines = text.splitlines()
        for model in ("awaited", "gathered", "task", "plain", "umlaut", "raw", "anthropic"):
            row = found[model]
            region = lines[row["code_line"] - 1][row["code_column"] - 1 :]
            assert re.match(r"(client|clients\[.anthropic.\])\.(chat|messages)", region), (model, region)
            end = lines[row["code_end_line"] - 1][: row["code_end_column"] - 1]
            assert end.endswith(")"), (model, end)


def loaded(path: Path, text: str) -> ModuleType:
    path.write_text(text, encoding="utf-8")
    module = ModuleType(path.stem)
    exec(compile(text, str(path), "exec", dont_inherit=True), vars(module))
    return module


def test_a_file_that_changed_since_has_no_blob(tmp_path: Path) -> None:
    text = "def f():\n    return 1\n"
    same, other = tmp_path / "same.py", tmp_path / "other.py"
    code = loaded(same, text).f.__code__
    assert file_of(code).blob == blob_of(text.encode())
    code = loaded(other, text).f.__code__
    other.write_text("def f():\n    return 2\n")
    assert file_of(code).blob == ""


@pytest.mark.parametrize("text", ["", "x = 1\n", "ö\n" * 1000])
def test_it_is_the_hash_that_git_makes(text: str) -> None:
    asked = subprocess.run(["git", "hash-object", "--stdin"], input=text.encode(), capture_output=True, check=True)
    assert blob_of(text.encode()) == asked.stdout.decode().strip()


def test_methods_look_as_they_did() -> None:
    openai = optional("openai")
    from llmguard import track

    with FakeProvider() as provider, memory_ledger():
        plain = openai.AsyncOpenAI(base_url=provider.base_url, api_key="x")
        tracked = track(openai.AsyncOpenAI(base_url=provider.base_url, api_key="x"))
        for get in (lambda c: c.chat.completions.create, lambda c: c.embeddings.create, lambda c: c.responses.parse):
            before, after = get(plain), get(tracked)
            assert inspect.signature(after) == inspect.signature(before)
            assert inspect.iscoroutinefunction(after) == inspect.iscoroutinefunction(before)
            assert inspect.ismethod(after)
            assert (after.__name__, after.__qualname__, after.__doc__) == (
                before.__name__,
                before.__qualname__,
                before.__doc__,
            )
            assert get(tracked) == after
        assert isinstance(tracked.chat.completions, type(plain.chat.completions))
        assert type(tracked.chat).__name__ == "AsyncChat"


def test_what_is_put_in_the_place_of_a_method_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    openai = optional("openai")
    from unittest import mock

    from llmguard import track

    client: Any = track(openai.OpenAI(api_key="x"))
    completions = type(client.chat.completions).__mro__[1]
    monkeypatch.setattr(completions, "create", lambda self, **keywords: "of the class")
    assert client.chat.completions.create(model="m") == "of the class"
    monkeypatch.setattr(completions, "create", mock.Mock(return_value="a mock"))
    assert client.chat.completions.create(model="m") == "a mock"
    with mock.patch.object(client.chat.completions, "create", return_value="of the object"):
        assert client.chat.completions.create(model="m") == "of the object"
    assert client.chat.completions.create(model="m") == "a mock"
