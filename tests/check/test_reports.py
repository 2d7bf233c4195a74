"""The machine formats: each is read by a parser that is not ours, and says what the JSON says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from llmguard.check import check_paths
from llmguard.check.finding import Region, Report
from llmguard.check.report import lines_of_report
from llmguard.config import Settings
from tests.optional import optional

PROJECT = Path(__file__).parents[2] / "fixtures" / "projects" / "support_bot"
HOSTILE = 'm"<&>%,:|\n\x01é.py'


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Report:
    monkeypatch.chdir(PROJECT)
    found = check_paths(["."], Settings(root=str(PROJECT)))
    monkeypatch.chdir(tmp_path)
    Path(HOSTILE).write_text('print "x"\nimport litellm\nlitellm.completion(model="m", messages=[])\n')
    hostile = check_paths(["."], Settings(root=str(tmp_path)))
    assert hostile.findings
    assert hostile.unchecked
    return found._replace(findings=(*found.findings, *hostile.findings), unchecked=hostile.unchecked)


def text(report: Report, name: str) -> str:
    return "\n".join(lines_of_report(name, report)) + "\n"


def test_json_lines(report: Report) -> None:
    document = json.loads(text(report, "json"))
    rows = [json.loads(line) for line in text(report, "json-lines").splitlines()]
    assert rows == [*document["findings"], *document["errors"]]


def test_sarif(report: Report) -> None:
    optional("sarif_pydantic").Sarif.model_validate_json(text(report, "sarif"))
    (run,) = json.loads(text(report, "sarif"))["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["shortDescription"]["text"]
        assert len(rule["shortDescription"]["text"]) <= 1024
        assert rule["fullDescription"]["text"]
        assert rule["help"]["text"]
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(set(prints)) == len(prints) == len(report.findings)
    for result, finding in zip(run["results"], report.findings, strict=True):
        place = result["locations"][0]["physicalLocation"]
        region = place["region"]
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == finding.rule
        assert region["startLine"] == region["endLine"] == finding.region.end_line
        assert 1 <= region["startColumn"] < region["endColumn"]
        uri = place["artifactLocation"]["uri"]
        assert uri
        assert uri.isascii()
        assert not uri.startswith(("/", "./"))
        assert not set(uri) & set(' <>"\n')
    assert run["invocations"][0]["executionSuccessful"] is True
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == len(report.unchecked)


@pytest.fixture(scope="module")
def multitool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Microsoft's SARIF validator: the published schema, and GitHub's rules."""
    if shutil.which("npm") is None and not os.environ.get("CI"):
        pytest.skip("needs npm to install @microsoft/sarif-multitool")
    folder = tmp_path_factory.mktemp("multitool")
    packages = ["@microsoft/sarif-multitool@5", "@microsoft/sarif-multitool-linux@5"]
    subprocess.run(["npm", "install", "--silent", "--no-audit", *packages], cwd=folder, check=True, capture_output=True)
    return next(folder.rglob("Sarif.Multitool"))


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="the validator is installed for Linux")
def test_sarif_is_valid_by_the_published_schema_and_githubs_rules(
    report: Report, multitool: Path, tmp_path: Path
) -> None:
    def errors(document: str) -> list[str]:
        (tmp_path / "our.sarif").write_text(document)
        command = [str(multitool), "validate", "our.sarif", "--rule-kind", "Sarif;Ghas", "--output", "said.sarif"]
        subprocess.run([*command, "--log", "ForceOverwrite"], cwd=tmp_path, check=False, capture_output=True)
        results = json.loads((tmp_path / "said.sarif").read_text(encoding="utf-8-sig"))["runs"][0].get("results", [])
        return [row["ruleId"] for row in results if row.get("level") == "error"]

    assert errors(text(report, "sarif")) == []
    assert errors(text(report, "sarif").replace('"startLine": ', '"startLine": -')) != []


def test_junit(report: Report) -> None:
    suite = next(iter(optional("junitparser").JUnitXml.fromstring(text(report, "junit").encode())))
    assert (suite.failures, suite.errors) == (len(report.findings), len(report.unchecked))
    root = ET.fromstring(text(report, "junit"))
    assert [f.get("message") for f in root.iter("failure")] == [f.message for f in report.findings]


def test_junit_without_findings_is_one_test_that_passes(report: Report) -> None:
    root = ET.fromstring(text(report._replace(findings=(), unchecked=()), "junit"))
    assert root.get("tests") == "1"
    assert not list(root.iter("failure"))


def test_gitlab(report: Report) -> None:
    rows = json.loads(text(report, "gitlab"))
    assert len(rows) == len(report.findings) + len(report.unchecked)
    assert len({row["fingerprint"] for row in rows}) == len(rows)
    for row in rows:
        assert row["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert row["location"]["lines"]["begin"] >= 1
        assert not row["location"]["path"].startswith(("/", "./"))
        assert row["description"]
        assert row["check_name"]


def test_github(report: Report) -> None:
    lines = text(report, "github").splitlines()
    commands = [line for line in lines if line.startswith("::")]
    assert len(commands) == len(report.findings) + len(report.unchecked)
    assert lines[-1].startswith(f"{len(report.findings)} findings")
    hostile = next(line for line in commands if "%25" in line)
    assert 'file=m"<&>%25%2C%3A|\\x0a\\x01é.py,line=' in hostile


def test_markdown(report: Report) -> None:
    lines = text(report, "markdown").splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    assert len(rows) == len(report.findings)
    for row in rows:
        assert row.replace("\\|", "").count("|") == 4


def test_markdown_is_a_table_to_a_parser_of_markdown(report: Report) -> None:
    tokens = optional("markdown_it").MarkdownIt("commonmark").enable("table").parse(text(report, "markdown"))
    assert sum(token.type == "tr_open" for token in tokens) == len(report.findings) + 1
    assert sum(token.type == "td_open" for token in tokens) == 3 * len(report.findings)


def test_fingerprints_do_not_move_with_the_line(report: Report) -> None:
    moved = report._replace(
        findings=tuple(f._replace(region=Region(*(n + 10 for n in f.region))) for f in report.findings)
    )

    def prints(which: Report) -> list[str]:
        return [row["fingerprint"] for row in json.loads(text(which, "gitlab"))]

    assert prints(report) == prints(moved)


def test_findings_on_the_same_site_keep_apart(report: Report) -> None:
    doubled = report._replace(findings=(report.findings[0],) * 3)
    rows = json.loads(text(doubled, "gitlab"))
    assert len({row["fingerprint"] for row in rows}) == len(rows)
