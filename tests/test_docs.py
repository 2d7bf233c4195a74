"""What README and docs say is what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmguard.check.rules import RULES
from llmguard.config import KEYS, find_settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_output_in_the_readme_is_the_real_one() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from llmguard.cli import main; main()",
            "check",
            "--exit-zero",
            "--isolated",
            "fixtures/projects/support_bot",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert blocks("text")[0].rstrip() == done.stdout.rstrip()


def test_the_configuration_in_the_readme_is_read_and_complete(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(blocks("toml")[0])
    assert find_settings(str(tmp_path)).wrapper == "app.llm.ask"
    assert set(re.findall(r"^([a-z-]+) =", blocks("toml")[0], re.MULTILINE)) <= set(KEYS)


@pytest.mark.parametrize("source", blocks("python"))
def test_the_python_in_the_readme_runs(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(source, "README.md", "exec"), {})
    assert capsys.readouterr().out == "[('LLG101', 2)]\n"


def test_every_hook_id_is_in_the_readme_and_has_an_entry_that_exists() -> None:
    text = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    for hook in re.findall(r"- id: (\S+)", text):
        assert f"`{hook}`" in README
    assert set(re.findall(r"entry: (\S+)", text)) == {"llmguard-hook"}


def test_rule_codes_in_the_documents_exist() -> None:
    known = {rule.code for rule in RULES}
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        assert set(re.findall(r"LLG\d{3}", path.read_text(encoding="utf-8"))) <= known, path


def test_the_json_keys_are_documented() -> None:
    from llmguard.check import check_source

    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    finding = check_source("import litellm\nlitellm.completion(model='m', messages=[])\n").findings[0]
    for key in finding.as_json():
        assert f"`{key}`" in reference


def test_examples_in_the_rules_are_found_by_their_rule() -> None:
    from llmguard.check import check_source
    from llmguard.check.rules import documentation

    for rule in RULES:
        match = re.search(r"\nExample:\n(.*?)\n\n", documentation(rule) + "\n\n", re.DOTALL)
        assert match, rule.code
        example = documentation(rule).split("\nExample:\n")[1].split("\nInstead:\n")[0]
        if rule.applies is None:
            continue
        source = "import functools\nimport litellm\n" + re.sub(r"^    ", "", example, flags=re.MULTILINE)
        assert rule.code in [f.rule for f in check_source(source).findings], rule.code


def test_every_format_is_in_the_readme_and_the_help() -> None:
    from llmguard.check.report import FORMATS
    from llmguard.cli.check import Format

    assert {f.value for f in Format} == set(FORMATS)
    for name in FORMATS:
        assert f"`{name}`" in README


def test_every_option_of_the_readme_exists() -> None:
    from typer.testing import CliRunner

    from llmguard.cli.app import app

    text = CliRunner().invoke(app, ["check", "--help"]).output
    for option in set(re.findall(r"--[a-z][a-z-]+", README)) - {"--strict"}:
        assert option in text, option
