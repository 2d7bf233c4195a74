"""`check --fix`, `--show-suppressed`, `require-reason` and `llmguard suppress`: the program never changes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.command import hook, run, write

CALL = 'litellm.completion(model="m", messages=[])'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"x = 1  # llmguard: ignore[LLG101] old\n{CALL}\n", f"x = 1\n{CALL}\n"),
        (f"# llmguard: ignore[LLG101] old\n\n{CALL}\n", f"\n{CALL}\n"),
        ("x = 1  # llmguard: ignore[LLG101]  # noqa: E501\n", "x = 1  # noqa: E501\n"),
        ("x = 1  # noqa: E501  # llmguard: ignore\n", "x = 1  # noqa: E501\n"),
        ("x = 1  # noqa: E501, LLG101\n", "x = 1  # noqa: E501\n"),
        ("x = 1  # noqa: LLG101 some reason\n", "x = 1\n"),
        ("x = 1  # noqa: LLG101, E501 some reason\n", "x = 1  # noqa: E501 some reason\n"),
        (f"{CALL}  # llmguard: ignore[LLG101, LLG202] why\n", f"{CALL}  # llmguard: ignore[LLG101] why\n"),
        (
            f"{CALL}  # llmguard: ignore[LLG999, direct-completion] why\n",
            f"{CALL}  # llmguard: ignore[direct-completion] why\n",
        ),
        (f"{CALL}  # llmguard: ignore LLG101 and LLG102 because\n", f"{CALL}  # llmguard: ignore[LLG101] because\n"),
        (f"{CALL}  # llmguard: ignore LLG102, LLG101 why\n", f"{CALL}  # llmguard: ignore[LLG101] why\n"),
        ("# llmguard: ignore-file\nx = 1\n", "x = 1\n"),
        ("x = 1\t# llmguard: ignore\r\ny = 2\r\n", "x = 1\r\ny = 2\r\n"),
        ("x = 1  # llmguard: ignore", "x = 1"),
        ("\ufeffx = 1  # llmguard: ignore\n", "\ufeffx = 1\n"),
        ("if x:\n\t# llmguard: ignore\n\tpass\n", "if x:\n\tpass\n"),
        (
            "text = '''\n# llmguard: ignore\n'''\nx = 1  # llmguard: ignore\n",
            "text = '''\n# llmguard: ignore\n'''\nx = 1\n",
        ),
    ],
)
def test_fix_removes_what_is_not_used(before: str, after: str, tmp_path: Path) -> None:
    write(tmp_path, {"a.py": f"import litellm\n{before}" if CALL in before else before})
    shown = run("check", "--diff", "-q", cwd=tmp_path)
    assert "+++ b/a.py" in shown.stdout
    done = run("check", "--fix", cwd=tmp_path)
    text = (tmp_path / "a.py").read_bytes().decode()
    assert text == (f"import litellm\n{after}" if CALL in before else after)
    assert "LLG801" not in done.stdout
    assert "removed in 1 file" in done.stderr
    assert run("check", "--fix", cwd=tmp_path).stderr == ""


def test_bytes_outside_stay_as_they_are(tmp_path: Path) -> None:
    data = "# coding: latin-1\r\nname = 'größe'\rx = 1  # llmguard: ignore\n\x0cy = 2".encode("latin-1")
    (tmp_path / "a.py").write_bytes(data)
    run("check", "--fix", cwd=tmp_path)
    assert (tmp_path / "a.py").read_bytes() == data.replace(b"  # llmguard: ignore", b"")


def test_what_cannot_be_edited_is_left_and_said(tmp_path: Path) -> None:
    data = "name = 'größe'\nx = 1  # llmguard: ignore\n".encode("latin-1")  # no cookie: not valid UTF-8
    (tmp_path / "a.py").write_bytes(data)
    done = run("check", "--fix", cwd=tmp_path)
    assert (tmp_path / "a.py").read_bytes() == data
    assert "a.py: left as it is: cannot be edited" in done.stderr
    assert done.returncode == 1


STATEMENTS = (
    f"{CALL}",
    f"x = [{CALL},\n     {CALL}]",
    f"def f():\n    return {CALL}",
    f"def f():\n\treturn {CALL}",
    f"if {CALL}:\n    pass\nelif {CALL}:\n    pass",
    f"if x: {CALL}",
    f"x = 1; {CALL}",
    f"class A:\n    y = {CALL}",
    f"@decorate({CALL})\ndef f(): pass",
    f"f = lambda: {CALL}",
    f"x = '''\n''' + {CALL}.text",
    f"x = \\\n    {CALL}",
    f"with {CALL} as x:\n    pass",
    f"for x in {CALL}:\n    y = {CALL}",
    f"try:\n    {CALL}\nexcept ValueError:\n    {CALL}\nfinally:\n    {CALL}",
    f"match x:\n    case 1 if {CALL}:\n        {CALL}",
    f"async def f():\n    async for x in {CALL}:\n        await {CALL}",
    f"assert {CALL}, {CALL}",
    f"x = f'{{{CALL}}}'".replace('"m"', "1"),
    f"# a comment\n{CALL}  # and another",
    f"try:\n    pass\nexcept {CALL}:\n    pass",
)


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_suppress_keeps_the_program_and_silences_it(statement: str, end: str, tmp_path: Path) -> None:
    source = f"import litellm\n{statement}".replace("\n", end)
    write(tmp_path, {"a.py": source})
    done = run("suppress", "--reason", "kept on purpose", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "a.py").read_bytes().decode()
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(source))
    assert [line for line in text.split(end) if "# llmguard:" not in line] == source.split(end)
    assert run("check", cwd=tmp_path).returncode == 0
    again = run("suppress", "--reason", "kept on purpose", cwd=tmp_path)
    assert again.stdout == "0 calls suppressed in 0 files.\n"
    assert (tmp_path / "a.py").read_bytes().decode() == text


def test_a_statement_that_begins_inside_a_string_is_left_and_said(tmp_path: Path) -> None:
    source = f"import litellm\nx = '''\n'''; {CALL}\n"
    write(tmp_path, {"a.py": source})
    done = run("suppress", "--reason", "r", cwd=tmp_path)
    assert done.returncode == 1
    assert "a.py: left as it is: a comment above the statement would change the program" in done.stderr
    assert (tmp_path / "a.py").read_text() == source


@pytest.mark.parametrize("arguments", [[], ["--reason", " "], ["--reason", "a # b"]])
def test_suppress_needs_a_reason(arguments: list[str], tmp_path: Path) -> None:
    write(tmp_path, {"a.py": f"import litellm\n{CALL}\n"})
    done = run("suppress", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "llmguard: error: --reason must say why, without a #\n"


def test_a_reason_that_a_file_cannot_hold_leaves_that_file(tmp_path: Path) -> None:
    data = f"# coding: latin-1\nimport litellm\n{CALL}\n".encode("latin-1")
    (tmp_path / "a.py").write_bytes(data)
    write(tmp_path, {"b.py": f"import litellm\n{CALL}\n"})
    done = run("suppress", "--reason", "later \u2192 never", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "1 call suppressed in 1 file.\n")
    assert "a.py: left as it is: cannot be edited: iso-8859-1 has no '\u2192'" in done.stderr
    assert (tmp_path / "a.py").read_bytes() == data


def test_diff_alone_is_what_is_printed(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "x = 1  # llmguard: ignore\n", "b.py": f"import litellm\n{CALL}\n"})
    done = run("check", "--diff", "--output-format", "json", cwd=tmp_path)
    assert (done.returncode, done.stdout[:6]) == (1, "--- a/")
    run("check", "--fix", cwd=tmp_path)
    done = run("check", "--diff", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_hook_knows_comments_at_calls_that_are_tracked(tmp_path: Path) -> None:
    source = (
        "from llmguard import llm_wrapper as w\nw.chat_completion_sync(messages=[])  # llmguard: ignore[LLG102] w\n"
    )
    write(tmp_path, {"a.py": source})
    assert run("check", cwd=tmp_path).returncode == 0
    assert hook("--strict", "a.py", cwd=tmp_path).returncode == 0


def test_per_file_ignores_hold_for_hygiene_too(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "x = 1  # llmguard: ignore\n", "llmguard.yaml": "per-file-ignores: {a.py: [LLG801]}\n"})
    assert run("check", "--fail-on-stale", cwd=tmp_path).returncode == 0


def test_suppressed_calls_can_be_listed_with_their_reason(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.py": f"import litellm\n{CALL}  # llmguard: ignore[LLG101] a benchmark\n{CALL}  # noqa: LLG101\n",
            "b.py": f"import litellm\ndef debug():\n    {CALL}\n",
            "old/c.py": f"import litellm\n{CALL}\n",
            "llmguard.yaml": "skip-names: [debug]\nper-file-ignores: {'old/': [LLG1]}\n",
        },
    )
    done = run("check", "--show-suppressed", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [
            "a.py:2:1: suppressed: LLG101 litellm.completion (comment: a benchmark)",
            "a.py:3:1: suppressed: LLG101 litellm.completion (comment: no reason given)",
            "b.py:3:5: suppressed: LLG101 litellm.completion (skip-names: debug)",
            "old/c.py:2:1: suppressed: LLG101 litellm.completion (per-file-ignores: old/)",
            "0 findings in 3 files, 4 suppressed.",
        ],
    )


def test_a_reason_can_be_required(tmp_path: Path) -> None:
    lines = [
        "# llmguard: ignore[LLG101]",
        "# llmguard: ignore[LLG101] why",
        "# noqa: LLG101",
        "# noqa: LLG101 why",
        "# noqa",
    ]
    write(
        tmp_path,
        {
            "a.py": "import litellm\n" + "".join(f"{CALL}  {c}\n" for c in lines),
            "llmguard.yaml": "require-reason: true",
        },
    )
    done = run("check", "-q", "--output-format", "concise", cwd=tmp_path)
    assert [line.split(" ")[0] for line in done.stdout.splitlines()] == ["a.py:2:45:", "a.py:4:45:", "a.py:6:45:"]
    assert done.stdout.count("LLG804") == 3


def test_stale_ignores(tmp_path: Path) -> None:
    ignores = "per-file-ignores:\n  a.py: [LLG101, LLG202]\n  gone.py: [LLG101]\n  b.py: [LLG1]\n"
    source = f"import litellm\n{CALL}\n"
    write(tmp_path, {"a.py": source, "b.py": source, "llmguard.yaml": ignores})
    done = run("check", "-q", "--output-format", "concise", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "llmguard.yaml:2:1: LLG802 stale per-file-ignores entry: 'a.py' ignores no LLG202",
        "llmguard.yaml:3:1: LLG802 stale per-file-ignores entry: 'gone.py' matches no file",
    ]
    assert run("check", "--fail-on-stale", cwd=tmp_path).returncode == 1
    assert run("check", "-q", "a.py", cwd=tmp_path).stdout == ""  # a part of the project says nothing about the rest
