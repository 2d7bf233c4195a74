"""SARIF 2.1.0, as GitHub's code scanning takes it.

GitHub shows an alert on a pull request only when all lines of its region are in the diff, so a region is the one line
that holds the method's name. Files that could not be checked are notifications; the execution counts as successful,
else GitHub refuses the upload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from llmguard import __version__
from llmguard.check.report.fingerprint import fingerprints
from llmguard.check.report.place import in_file, note_in_file
from llmguard.check.rules import RULES, documentation
from llmguard.printable import json_text, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.finding import Finding, Report, Unchecked
    from llmguard.check.rules.rule import Rule

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_PROBLEMS = {"error": "error", "warning": "warning", "note": "recommendation"}


def lines(report: Report, colour: bool = False) -> Iterator[str]:
    """The report as one document."""
    used = {finding.rule for finding in report.findings} | {"LLG901", "LLG902"}
    rules = [rule for rule in RULES if rule.code in used]
    positions = {rule.code: position for position, rule in enumerate(rules)}
    run = {
        "tool": {
            "driver": {
                "name": "llmguard",
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [_notification(note) for note in map(note_in_file, report.unchecked)],
            }
        ],
        "results": [
            _result(f, fingerprint, positions[f.rule]) for f, fingerprint in fingerprints(map(in_file, report.findings))
        ],
    }
    yield json_text({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(rule: Rule) -> dict[str, Any]:
    text = documentation(rule)
    return {
        "id": rule.code,
        "name": rule.slug,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": text.split("\n\nWhy:")[0].replace("\n", " ")[:1000]},
        "help": {"text": text, "markdown": f"```text\n{text}\n```"},
        "defaultConfiguration": {"level": str(rule.severity)},
        "properties": {
            "tags": ["llm", "cost", "tracking"],
            "precision": "high",
            "problem.severity": _PROBLEMS[str(rule.severity)],
        },
    }


def _result(finding: Finding, fingerprint: str, position: int) -> dict[str, Any]:
    region = finding.region
    column = region.column if region.line == region.end_line else 1
    return {
        "ruleId": finding.rule,
        "ruleIndex": position,
        "level": finding.severity,
        "message": {"text": _message(finding.message)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(finding.path)},
                    "region": {
                        "startLine": region.end_line,
                        "startColumn": column,
                        "endLine": region.end_line,
                        "endColumn": region.end_column,
                    },
                }
            }
        ],
        "partialFingerprints": {"primaryLocationLineHash": f"{fingerprint}:1", "llmguardSite/v1": fingerprint},
        "properties": {"confidence": finding.confidence, "provider": finding.provider, "site": printable(finding.site)},
    }


def _notification(note: Unchecked) -> dict[str, Any]:
    return {
        "level": "warning",
        "message": {"text": _message(note.message)},
        "associatedRule": {"id": note.rule},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(note.path)},
                    "region": {"startLine": max(note.line, 1)},
                }
            }
        ],
    }


def _message(text: str) -> str:
    """A text without links of its own: `[label](target)` is one in SARIF."""
    return printable(text).replace("](", "]\\(")


def _uri(path: str) -> str:
    return quote(printable(path).replace("\\", "/"), safe="/")
