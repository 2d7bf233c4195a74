"""Suppression comments: where they count, what they cover, and the report of those that are not used."""

from __future__ import annotations

import pytest

from llmguard.check import check_source
from llmguard.config import Settings

CALL = 'litellm.completion(model="m", messages=[])'


def rules(source: str) -> list[str]:
    return [f.rule for f in check_source("import litellm\n" + source).findings]


@pytest.mark.parametrize(
    "source",
    [
        f"{CALL}  # llmguard: ignore[LLG101] migrated next week",
        f"{CALL}  # llmguard: ignore[direct-completion]",
        f"{CALL}  # llmguard: ignore[LLG1] all of them",
        f"{CALL}  # llmguard: ignore",
        f"{CALL}  # noqa: LLG101",
        f"{CALL}  # llmguard: ignore LLG101",
        f"{CALL}  # llmguard: ignore[LLG101]  # llmguard: ignore[LLG101]",
        f"{CALL}  # llmguard: ignore[LLG101] why  # noqa",
        f"{CALL}  # noqa: E501, LLG101",
        f"{CALL}  # noqa",
        f"{CALL}  # type: ignore  # llmguard: ignore[LLG101]",
        f"# llmguard: ignore[LLG101] reason\n{CALL}",
        f"# llmguard: ignore[LLG101] reason\n# and another comment of ours: llmguard: ignore-not\n{CALL}".replace(
            "\n# and another comment of ours: llmguard: ignore-not", ""
        ),
        'litellm.completion(  # llmguard: ignore[LLG101]\n    model="m",\n    messages=[],\n)',
        'litellm.completion(\n    model="m",\n    messages=[],\n)  # llmguard: ignore[LLG101]',
        'x = litellm.completion(\n    model="m",\n    # llmguard: ignore[LLG101]\n    messages=[],\n)',
        f"# llmguard: ignore-file[LLG101] generated\n\n{CALL}\n{CALL}",
        f"{CALL}\n# llmguard: ignore-file",
        f"for x in {CALL}:  # llmguard: ignore[LLG101]\n    pass",
    ],
)
def test_suppresses(source: str) -> None:
    assert rules(source) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (f"{CALL}  # llmguard: ignore[LLG202, LLG101]", ["LLG801"]),
        (f"{CALL}  # llmguard: ignore[LLG101, LLG999]", ["LLG801"]),
        (f"{CALL}  # llmguard: ignore[LLG102]", ["LLG101", "LLG801"]),
        (f"{CALL}  # llmguard: ignore[LLG2]", ["LLG101", "LLG801"]),
        (f"{CALL}  # llmguard: ignore[LLG1, LLG2]", ["LLG801"]),
        (f"{CALL}  # noqa: E501", ["LLG101"]),
        (f"{CALL}  # llmguard: ignore LLG202", ["LLG101", "LLG801"]),
        (f"{CALL}  # llmguard: ignore[]", ["LLG101", "LLG801"]),
        (f"# llmguard: ignore[LLG101]\n\n{CALL}", ["LLG801", "LLG101"]),
        (f"x = 1  # llmguard: ignore[LLG101]\n{CALL}", ["LLG801", "LLG101"]),
        (f"if x:  # llmguard: ignore[LLG101]\n    {CALL}", ["LLG801", "LLG101"]),
        (f"text = '# llmguard: ignore[LLG101]'; {CALL}", ["LLG101"]),
        ("x = 1  # llmguard: ignore", ["LLG801"]),
        ("x = 1  # noqa: LLG101", ["LLG801"]),
        ("x = 1  # noqa", []),
        ("# llmguard: ignore-file[LLG101]", ["LLG801"]),
    ],
)
def test_does_not_suppress(source: str, expected: list[str]) -> None:
    assert rules(source) == expected


def test_unknown_code_is_named() -> None:
    (finding,) = check_source("x = 1  # llmguard: ignore[LLG999]\n").findings
    assert "LLG999" in finding.message


def test_a_suppression_of_a_rule_that_is_switched_off_counts_as_used() -> None:
    report = check_source(
        f"import litellm\n{CALL}  # llmguard: ignore[LLG101]\n", settings=Settings(ignore=("LLG101",))
    )
    assert report.findings == ()
