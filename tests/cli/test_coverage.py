"""`llmguard coverage`, `check --statistics` and stdin."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.command import CALL, run, write

TRACKED = (
    "from llmguard import llm_wrapper\n\n\nasync def f(m):\n    return await llm_wrapper.chat_completion(messages=m)\n"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(
        tmp_path,
        {
            "app/a.py": CALL,
            "app/b.py": TRACKED + "\n\nasync def g(m):\n    return await llm_wrapper.messages_create(messages=m)\n",
            "jobs/c.py": CALL
            + CALL.replace("ask", "kept").replace("return litellm", "# llmguard: ignore why\n    return litellm"),
            "x.py": "x = 1  # llmguard: ignore\n",
            "llmguard-baseline.txt": "jobs/c.py::ask::litellm.completion::1\n",
        },
    )
    return tmp_path


def test_the_numbers_add_up(project: Path) -> None:
    found = json.loads(run("coverage", "--output-format", "json", cwd=project).stdout)
    assert (found["version"], found["call_sites"], found["tracked"], found["percent"]) == (1, 5, 2, 40.0)
    assert found["untracked"] == {"reported": 1, "baselined": 1, "suppressed": 1}
    for key in ("by_directory", "by_provider", "by_rule"):
        assert sum(row["call_sites"] for row in found[key]) == 5
        assert sum(row["tracked"] for row in found[key]) == 2
    assert found["by_directory"][0] == {"name": "app", "call_sites": 3, "tracked": 2, "percent": 66.6}


def test_text_and_markdown_say_the_same(project: Path) -> None:
    text = run("coverage", cwd=project).stdout.splitlines()
    assert text[0] == "2 of 5 call sites are tracked (40.0 %)."
    assert text[1] == "Untracked: 1 reported, 1 in the baseline, 1 suppressed."
    assert "app                2        3    66.6 %" in text
    markdown = run("coverage", "--output-format", "markdown", cwd=project).stdout
    assert markdown.startswith("### LLM calls tracked: 40.0 % (2 of 5)")
    assert "| `app` | 2 | 3 | 66.6 % |" in markdown


@pytest.mark.parametrize(("least", "code"), [("40", 0), ("40.1", 1), ("0", 0), ("100", 1), ("101", 2), ("x", 2)])
def test_fail_under(project: Path, least: str, code: int) -> None:
    assert run("coverage", "--fail-under", least, cwd=project).returncode == code


def test_a_share_is_never_rounded_up_to_all(tmp_path: Path) -> None:
    body = "".join(f"    llm_wrapper.chat_completion_sync(messages={n})\n" for n in range(2999))
    write(tmp_path, {"a.py": f"from llmguard import llm_wrapper\n\ndef f():\n{body}", "b.py": CALL})
    done = run("coverage", "--fail-under", "100", "--output-format", "json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["percent"]) == (1, 99.9)


def test_nothing_to_track_and_nothing_to_check(tmp_path: Path) -> None:
    assert run("coverage", cwd=tmp_path).returncode == 3
    write(tmp_path, {"a.py": "x = 1\n"})
    done = run("coverage", "--fail-under", "100", "--badge", "b.svg", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "0 of 0 call sites are tracked (-).\n")
    assert "no calls" in (tmp_path / "b.svg").read_text()


def test_the_badge_is_an_svg(project: Path) -> None:
    run("coverage", "--badge", "badge.svg", "--output-file", "out.txt", cwd=project)
    root = ET.fromstring((project / "badge.svg").read_text())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")] == ["LLM calls tracked", "40%"]
    assert (project / "out.txt").read_text().startswith("2 of 5 call sites")


def test_statistics(project: Path) -> None:
    done = run("check", "--statistics", "-q", "--output-format", "concise", cwd=project)
    assert done.stdout.splitlines()[2:] == [
        "by rule:",
        "      1  LLG101 direct-completion",
        "      1  LLG801 unused-suppression",
        "by provider:",
        "      1  litellm",
        "by directory:",
        "      1  .",
        "      1  app",
        "tracked: 2 of 5 call sites (40 %)",
    ]


def test_calls_in_doors_are_no_findings_whatever_the_door_is_called_by(tmp_path: Path) -> None:
    source = """
from llmguard import LLMWrapper, get_llm_service, llm_wrapper as w, multi_model_service
import llmguard

ask = w.chat_completion_sync
ask(messages=[])
LLMWrapper().messages_create_sync(messages=[])
llmguard.llm_wrapper.chat_completion_sync(messages=[])
get_llm_service().generate_response("x")
multi_model_service.chat_with_context("x")
"""
    write(tmp_path, {"a.py": source})
    found = json.loads(run("coverage", "--output-format", "json", cwd=tmp_path).stdout)
    assert (found["call_sites"], found["percent"]) == (5, 100.0)


def test_stdin_is_a_file_of_the_project(project: Path) -> None:
    write(project, {"app/clients.py": "from groq import Groq\nclient = Groq()\n", "llmguard.yaml": "exclude: [gen/]\n"})
    source = "from app.clients import client\nclient.chat.completions.create(model='m', messages=[])\n"
    done = run("check", "-", "--stdin-filename", "app/new.py", cwd=project, stdin=source)
    assert done.returncode == 1
    assert "LLG102 direct Groq chat completion" in done.stdout
    assert " --> app/new.py:2:1\n" in done.stdout
    assert "2 | client.chat.completions.create(" in done.stdout
    assert not (project / "app" / "new.py").exists()
    # the text on stdin counts, not the file of that name
    assert run("check", "-", "--stdin-filename", "app/a.py", cwd=project, stdin="x = 1\n").returncode == 0
    assert run("check", "-", "--stdin-filename", "gen/a.py", cwd=project, stdin=source).returncode == 3
    named = run("check", "-", cwd=project, stdin=CALL).stdout
    assert " --> stdin.py:5:12" in named
    baselined = run("check", "-", "--stdin-filename", "jobs/c.py", cwd=project, stdin="\n\n" + CALL)
    assert (baselined.returncode, baselined.stdout) == (0, "0 findings in 1 file, 1 more in the baseline.\n")


def test_a_notebook_on_stdin(project: Path) -> None:
    text = json.dumps({"cells": [{"cell_type": "code", "source": CALL}], "metadata": {}})
    done = run("check", "-", "--stdin-filename", "n.ipynb", cwd=project, stdin=text)
    assert " --> n.ipynb:cell 1:5:12\n" in done.stdout


@pytest.mark.parametrize(
    "arguments", [["-", "app"], ["--stdin-filename", "x.py"], ["-", "--fix"], ["--baseline", "none.txt"]]
)
def test_arguments_that_make_no_sense_together(project: Path, arguments: list[str]) -> None:
    done = run("check", *arguments, cwd=project, stdin=CALL)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
