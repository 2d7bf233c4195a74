"""Notebooks: magics, cells of other languages, and places in cells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmguard.check import check_source
from llmguard.check.notebook import read
from tests.command import hook, run

CALL = "litellm.completion(model='m', messages=[])"


def notebook(*cells: object, **more: object) -> str:
    rows = [cell if isinstance(cell, dict) else {"cell_type": "code", "source": cell} for cell in cells]
    return json.dumps({"cells": rows, "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **more})


def found(*cells: object, **more: object) -> list[tuple[int, int, int]]:
    report = check_source(notebook("import litellm", *cells, **more), "n.ipynb")
    assert report.unchecked == ()
    return [(f.cell, f.region.line, f.region.column) for f in report.findings]


@pytest.mark.parametrize(
    ("cell", "line", "column"),
    [
        (CALL, 1, 1),
        (["x = 1\n", "\n", CALL], 3, 1),
        (f"%matplotlib inline\n{CALL}", 2, 1),
        (f"!pip install x\n{CALL}", 2, 1),
        (f"files = !ls -l\n{CALL}", 2, 1),
        (f"where = %pwd\n{CALL}", 2, 1),
        (f"a, b = %env X\n{CALL}", 2, 1),
        (f"litellm?\n?litellm\nlitellm.completion??\n{CALL}", 4, 1),
        (f"%time {CALL}", 1, 7),
        (f"%timeit -n 3 -r 2 {CALL}", 1, 19),
        (f"%time x = {CALL}", 1, 11),
        (f"if True:\n    %time {CALL}", 2, 11),
        (f"if True:\n    !ls\n    {CALL}", 3, 5),
        (f"%%time\n{CALL}", 2, 1),
        (f"%%capture out\n{CALL}", 2, 1),
        (f"%%timeit -n 10\n{CALL}", 2, 1),
        (f"%pip install a \\\n  b \\\n  c\n{CALL}", 4, 1),
        (f"await thing()\n{CALL}", 2, 1),
        (f"x = 7 %3\n{CALL}", 2, 1),
        (f"x = (7\n     %litellm.y)\n{CALL}", 3, 1),
        (f"x = %time {CALL}", 1, 11),
        (f"%time \\\n{CALL}", 2, 1),
        ("%time litellm.completion( \\\n  model='m', messages=[])", 1, 7),
        (f"%%wandb\n{CALL}", 2, 1),
        (f"%%python3\n{CALL}", 2, 1),
        (f"   x = 1\n   {CALL}", 2, 4),
        (f"text = '''\n!ls\n%%bash\n'''\n{CALL}", 5, 1),
    ],
)
def test_a_call_behind_magics(cell: object, line: int, column: int) -> None:
    assert found(cell) == [(2, line, column)]


@pytest.mark.parametrize(
    "cell",
    [
        f"%%bash\n{CALL}",
        f"%%writefile x.py\n{CALL}",
        f"%%javascript\n{CALL}",
        f"!echo {CALL}",
        f"x = !echo {CALL}",
        "",
        {"cell_type": "markdown", "source": CALL},
        {"cell_type": "raw", "source": CALL},
        {"cell_type": "code", "source": CALL, "metadata": {"vscode": {"languageId": "sql"}}},
    ],
)
def test_what_is_no_python_holds_no_call(cell: object) -> None:
    assert found(cell) == []


def test_cells_are_counted_over_all_kinds_and_share_their_names() -> None:
    cells = ({"cell_type": "markdown", "source": "# hi"}, "ask = litellm.completion", "x = ask(model='m', messages=[])")
    assert found(*cells) == [(4, 1, 5)]


def test_a_broken_cell_does_not_hide_the_others() -> None:
    report = check_source(notebook("import litellm", "this is (not python", CALL), "n.ipynb")
    assert [f.cell for f in report.findings] == [3]
    assert [(u.cell, u.rule) for u in report.unchecked] == [(2, "LLG902")]


def test_an_unterminated_string_ends_with_its_cell() -> None:
    report = check_source(notebook("import litellm", 'x = """\n# litellm.completion(', CALL), "n.ipynb")
    assert [f.cell for f in report.findings] == [3]
    assert "line 1 could not be parsed" in report.unchecked[0].message or "lines 1-2" in report.unchecked[0].message


def test_a_comment_ends_with_its_cell() -> None:
    report = check_source(notebook("import litellm\n# llmguard: ignore[LLG101] why", CALL), "n.ipynb")
    assert [(f.cell, f.rule) for f in report.findings] == [(1, "LLG801"), (2, "LLG101")]


def test_calls_in_lines_that_do_not_parse_are_looked_for() -> None:
    report = check_source(notebook("import litellm", f"print 'x'; {CALL}"), "n.ipynb")
    assert [(f.cell, f.region.line, f.confidence) for f in report.findings] == [(2, 1, "likely")]


def test_awaited_at_the_top_of_a_cell_means_the_async_door() -> None:
    source = "from openai import AsyncOpenAI\nawait AsyncOpenAI().chat.completions.create(model='m', messages=[])"
    (finding,) = check_source(notebook(source), "n.ipynb").findings
    assert '(await llm_wrapper.chat_completion(provider="openai", ...))["response"] instead' in finding.message


def test_older_notebooks_and_other_kernels() -> None:
    old = json.dumps({"worksheets": [{"cells": [{"cell_type": "code", "input": [f"import litellm\n{CALL}"]}]}]})
    assert [f.cell for f in check_source(old, "n.ipynb").findings] == [1]
    julia = {"language_info": {"name": "julia"}}
    assert found(CALL, metadata=julia) == []
    assert found(CALL, metadata={"kernelspec": {"language": "R"}}) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"cells": 3}', '{"cells": [3]}', "litellm"])
def test_what_is_no_notebook_is_said(text: str) -> None:
    report = check_source(text + " # litellm.completion(model=, messages=)", "n.ipynb")
    assert [note.whole for note in report.unchecked] == [True]
    assert "is no notebook" in report.unchecked[0].message


@pytest.mark.parametrize("metadata", [[], "x", None, {"language_info": []}, {"language_info": {"name": None}}])
def test_odd_metadata_is_no_error(metadata: object) -> None:
    data = json.dumps({"cells": [{"cell_type": "code", "source": CALL, "metadata": metadata}], "metadata": metadata})
    read(data.encode())


def test_every_format_names_the_cell(tmp_path: Path) -> None:
    (tmp_path / "n.ipynb").write_text(notebook("import litellm", f"x = 1\n{CALL}  # é"))
    full = run("check", cwd=tmp_path).stdout
    assert " --> n.ipynb:cell 2:2:1\n" in full
    assert "2 | litellm.completion" in full
    concise = run("check", "--output-format", "concise", cwd=tmp_path).stdout
    assert concise.startswith("n.ipynb:cell 2:2:1: LLG101")
    (row,) = json.loads(run("check", "--output-format", "json", cwd=tmp_path).stdout)["findings"]
    assert (row["cell"], row["line"], row["site"]) == (2, 2, "n.ipynb::<module>::litellm.completion::1")
    for name in ("github", "gitlab", "sarif"):
        text = run("check", "--output-format", name, cwd=tmp_path).stdout
        assert "cell 2, line 2: direct LiteLLM" in text, name
    assert "n.ipynb:cell 2:2" in run("check", "--output-format", "junit", cwd=tmp_path).stdout
    assert "`n.ipynb:cell 2:2`" in run("check", "--output-format", "markdown", cwd=tmp_path).stdout
    assert hook("n.ipynb", cwd=tmp_path).stdout.startswith("n.ipynb:cell 2:2:1: LLG101")
