"""Bad input: every hard file gets a real answer or an honest line, and one of them never ends or holds up a run."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from llmguard.check import check_paths, check_source
from llmguard.config import Settings

CALL = 'import litellm\nlitellm.completion(model="x", messages=[])\n'
SECONDS = 30  # far above what each takes here; a hang is what it is for


def codes(source: bytes) -> list[str]:
    return [f.rule for f in check_source(source, "hard.py").findings]


def notes(source: bytes) -> list[str]:
    return [u.message for u in check_source(source, "hard.py").unchecked]


READABLE = {
    "plain": CALL.encode(),
    "utf-8 bom": b"\xef\xbb\xbf" + CALL.encode(),
    "crlf": CALL.replace("\n", "\r\n").encode(),
    "cr only": CALL.replace("\n", "\r").encode(),
    "no final newline": CALL.rstrip("\n").encode(),
    "form feed": b"\x0c\n" + CALL.encode(),
    "latin-1 with a cookie": b"# -*- coding: latin-1 -*-\n# caf\xe9\n" + CALL.encode(),
    "one long line": ("x = [" + "1, " * 1_000_000 + "]\n" + CALL).encode(),
    "elif chain": (CALL + "if x:\n    pass\n" + "elif y:\n    pass\n" * 3000).encode(),
}


@pytest.mark.parametrize("name", READABLE)
def test_is_read_without_a_note(name: str) -> None:
    assert codes(READABLE[name]) == ["LLG101"]


def test_only_the_chain_itself_may_be_noted() -> None:
    for name, source in READABLE.items():
        if name != "elif chain":
            assert notes(source) == [], name


NOTED = {
    "latin-1 without a cookie": (b"# caf\xe9\n" + CALL.encode(), "latin-1"),
    "utf-16": (CALL.encode("utf-16"), "UTF-16"),
    "utf-16 without a mark": (CALL.encode("utf-16-le"), "UTF-16"),
    "utf-32": (CALL.encode("utf-32"), "UTF-32"),
    "unknown cookie": (b"# coding: klingon\n" + CALL.encode(), "latin-1"),
    "python 2": (b"print 'hello'\n" + CALL.encode(), "line 1 could not be parsed"),
    "late syntax error": (CALL.encode() + b"def f(:\n    pass\n", "could not be parsed"),
    "newer syntax": (CALL.encode() + b"x = pattern ??? newer\n", "line 3 could not be parsed"),
    "20,000 terms": (CALL.encode() + b"x = " + b" + ".join([b"1"] * 20_000) + b"\n", "line 3"),
    "5,000 unary minus": (CALL.encode() + b"x = " + b"-" * 5000 + b"1\n", "line 3"),
    "6,000 calls in a chain": (CALL.encode() + b"x = a" + b".f()" * 6000 + b"\n", "line 3"),
    "deep brackets": (CALL.encode() + b"x = " + b"[" * 3000 + b"]" * 3000 + b"\n", "line 3"),
    "unterminated string": (CALL.encode() + b"x = '''never ends\n", "could not be parsed"),
}


@pytest.mark.parametrize("name", NOTED)
def test_is_read_with_a_note(name: str) -> None:
    source, note = NOTED[name]
    started = time.monotonic()
    assert codes(source) == ["LLG101"]
    assert time.monotonic() - started < SECONDS
    # A newer interpreter may read what an older one does not: then there is nothing to note.
    said = notes(source)
    assert any(note in line for line in said) or (name[0].isdigit() and not said)


NEWER = {
    "f-string of 3.12": 'd = {"a": 1}\nx = f"{d["a"]}"\n',
    "t-string of 3.14": 'name = 1\nx = t"hello {name}"\n',
    "except without brackets of 3.14": "try:\n    pass\nexcept ValueError, TypeError:\n    pass\n",
    "type statement of 3.12": "type Pair = tuple[int, int]\n",
}


@pytest.mark.parametrize("name", NEWER)
def test_syntax_that_this_python_may_not_know_costs_its_own_lines_only(name: str) -> None:
    source = "import litellm\n" + NEWER[name] + 'def ask(m):\n    return litellm.completion(model="x", messages=m)\n'
    report = check_source(source, "hard.py")
    assert [(f.rule, f.function) for f in report.findings] == [("LLG101", "ask")]
    try:
        compile(source, "hard.py", "exec")
    except SyntaxError:
        assert report.unchecked
    else:
        assert not report.unchecked


def test_nul_byte_is_looked_through() -> None:
    assert codes(b"x = 1\x00\n" + CALL.encode()) == ["LLG101"]


def test_the_call_in_unparsable_lines_is_found_by_its_text() -> None:
    report = check_source(b'import litellm\nprint litellm.completion(model="x", messages=[])\n', "hard.py")
    (finding,) = report.findings
    assert (finding.rule, finding.region.line, finding.confidence) == ("LLG101", 2, "likely")
    assert "could not be parsed" in finding.message


@pytest.mark.parametrize("receiver", ["OpenAI()", "self.pool[0]", "get(name).inner"])
def test_receivers_in_unparsable_lines_may_be_calls_and_items(receiver: str) -> None:
    source = f'{receiver}.chat.completions.create(model="m" messages=[])\n'
    assert codes(source.encode()) == ["LLG102"]


def test_text_in_strings_and_comments_of_unparsable_lines_is_no_call() -> None:
    source = b"print 'litellm.completion(model=1, messages=2)' # client.chat.completions.create()\n"
    assert check_source(source, "hard.py").findings == ()


def test_python_2_loses_only_the_lines_that_are_python_2() -> None:
    source = (
        "from openai import OpenAI\n"
        "class Bot:\n"
        "    def __init__(self):\n"
        "        self.client = OpenAI()\n"
        "    def old(self):\n"
        "        print 'x'\n"
        "    def ask(self, m):\n"
        "        try:\n"
        "            return self.client.chat.completions.create(model='x', messages=m)\n"
        "        except Exception, error:\n"
        "            raise\n"
    )
    report = check_source(source.encode(), "hard.py")
    (finding,) = report.findings
    assert (finding.region.line, finding.function, finding.confidence) == (9, "Bot.ask", "proved")
    assert report.unchecked


def test_a_file_of_twelve_megabytes() -> None:
    rows = "\n".join(f'    ["{n}", {n}, "text of the row"],' for n in range(330_000))
    source = f"ROWS = [\n{rows}\n]\n{CALL}".encode()
    assert len(source) > 12_000_000
    started = time.monotonic()
    assert codes(source) == ["LLG101"]
    assert time.monotonic() - started < SECONDS


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.py").write_text(CALL)
    return tmp_path


def run(root: Path) -> tuple[list[str], dict[str, str]]:
    report = check_paths(["."], Settings(root=str(root)))
    return [f.path for f in report.findings], {u.path: u.message for u in report.unchecked}


def test_links_to_files_and_folders(tree: Path) -> None:
    (tree / "pkg").mkdir()
    (tree / "pkg" / "loop").symlink_to(tree)
    (tree / "again.py").symlink_to(tree / "good.py")
    found, _ = run(tree)
    assert len(found) == 1


def test_dangling_link(tree: Path) -> None:
    (tree / "gone.py").symlink_to(tree / "nowhere.py")
    found, unchecked = run(tree)
    assert found == ["good.py"]
    assert unchecked == {"gone.py": "dangling link"}


def test_fifo_is_not_opened(tree: Path) -> None:
    os.mkfifo(tree / "pipe.py")
    found, unchecked = run(tree)
    assert found == ["good.py"]
    assert unchecked == {"pipe.py": "not a regular file"}


def test_name_that_is_no_text(tree: Path) -> None:
    name = os.fsdecode(b"caf\xe9.py")
    (tree / name).write_text(CALL)
    found, _ = run(tree)
    assert sorted(found) == sorted([name, "good.py"])


def test_file_without_read_permission(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tree / "secret.py"
    secret.write_text(CALL)
    secret.chmod(0)
    if os.access(secret, os.R_OK):  # root reads everything: let the system call fail as it would for others
        real = open

        def guarded(path, *args, **kwargs):  # type: ignore[no-untyped-def]
            if str(path).endswith("secret.py"):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *args, **kwargs)

        monkeypatch.setattr("builtins.open", guarded)
    found, unchecked = run(tree)
    assert found == ["good.py"]
    assert unchecked == {"secret.py": "Permission denied"}
    secret.chmod(stat.S_IRUSR | stat.S_IWUSR)


def test_script_without_a_suffix(tree: Path) -> None:
    (tree / "tool").write_text("#!/usr/bin/env python3\n" + CALL)
    (tree / "notes").write_text(CALL)
    found, _ = run(tree)
    assert sorted(found) == ["good.py", "tool"]


def test_stubs_and_windows_scripts(tree: Path) -> None:
    (tree / "stub.pyi").write_text(CALL)
    (tree / "tray.pyw").write_text(CALL)
    found, _ = run(tree)
    assert sorted(found) == ["good.py", "stub.pyi", "tray.pyw"]
