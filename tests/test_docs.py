"""What README and docs say is what the code does."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmguard.check.rules import RULES
from llmguard.config import KEYS, find_settings
from tests.command import run, write
from tests.optional import optional

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


PRINTED = (
    "[('LLG101', 2)]\n",
    "[('summaries', 'ok', 18, '0.000005850')]\n",
    "The answer is 42. 18 9.75e-05\n",
)


@pytest.mark.parametrize(
    ("source", "printed"), list(zip(blocks("python"), PRINTED, strict=True)), ids=range(len(PRINTED))
)
def test_the_python_in_the_readme_runs(source: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "openai" in source:
        optional("openai")
    exec(compile(source, "README.md", "exec"), {})
    assert capsys.readouterr().out == printed


LEDGER = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("source", blocks("python", LEDGER), ids=range(LEDGER.count("```python")))
def test_the_python_about_the_ledger_runs(source: str) -> None:
    for name in ("openai", "litellm"):
        if name in source:
            optional(name)
    exec(compile(source, "ledger.md", "exec"), {})


WRAPPER = (ROOT / "docs" / "wrapper.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("source", blocks("python", WRAPPER), ids=range(WRAPPER.count("```python")))
def test_the_python_about_the_wrapper_runs(source: str) -> None:
    optional("openai")
    exec(compile(source, "wrapper.md", "exec"), {})


LIMITS = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")


def test_the_python_about_limits_runs() -> None:
    """In a process of its own: it chooses a database."""
    optional("sqlalchemy")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks("python", LIMITS))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_the_migration_in_the_guide_is_the_real_one() -> None:
    from llmguard.migrate import migrate_source

    before, after, *_ = blocks("python", (ROOT / "docs" / "migrate.md").read_text(encoding="utf-8"))
    assert migrate_source(before, "summaries.py") == after


def test_every_setting_of_the_ledger_is_documented() -> None:
    files = [ROOT / "llmguard" / "usage" / "settings.py", *(ROOT / "llmguard" / "usage" / "limits").glob("*.py")]
    for name in {name for file in files for name in re.findall(r"LLMGUARD_[A-Z_]+", file.read_text(encoding="utf-8"))}:
        assert f"`{name}`" in LEDGER + LIMITS, name


def test_every_hook_id_is_in_the_readme_and_has_an_entry_that_exists() -> None:
    text = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    for hook in re.findall(r"- id: (\S+)", text):
        assert f"`{hook}`" in README
    assert set(re.findall(r"entry: (\S+)", text)) == {"llmguard-hook", "llmguard"}


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

    commands = [["check"], ["coverage"], ["suppress"], ["init"], ["migrate"], ["usage", "summary"]]
    commands += [["limits", name] for name in ("set", "test", "stop", "resume")]
    text = "".join(CliRunner().invoke(app, [*command, "--help"]).output for command in commands)
    for option in set(re.findall(r"--[a-z][a-z-]+", README + LIMITS)) - {"--strict"}:
        assert option in text, option


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["rules", "providers", "configuration", "cli"])
def test_the_reference_is_what_the_code_says(page: str) -> None:
    written = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert written == getattr(generator(), f"{page}_page")(), "write it anew: python docs/generate.py"


@pytest.mark.parametrize("name", ["tutorial.md", "ci.md"])
def test_the_commands_of_the_guides_print_what_stands_there(name: str) -> None:
    path = ROOT / "docs" / name
    assert path.read_text(encoding="utf-8") == generator().guide(path), "write it anew: python docs/generate.py"


def test_the_pictures_show_the_real_output() -> None:
    def texts(svg: str) -> list[str]:
        return [t.text or "" for t in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]

    for path, svg in generator().pictures():
        # another version of rich may draw the frame another way
        assert texts(path.read_text(encoding="utf-8")) == texts(svg)


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_tables_of_configuration_in_the_docs_are_good(path: Path, tmp_path: Path) -> None:
    for number, block in enumerate(blocks("toml", path.read_text(encoding="utf-8"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "pyproject.toml").write_text(re.sub(r"^extend = .*$", "", block, flags=re.MULTILINE))
        assert find_settings(str(folder)).source


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_the_ci_kit_is_valid_yaml_and_calls_what_exists() -> None:
    from typer.testing import CliRunner

    from llmguard.cli.app import app

    known = CliRunner().invoke(app, ["check", "--help"]).output
    files = [
        ROOT / "hooks" / name for name in ("github-action/action.yml", "github-workflow.yaml", "gitlab-template.yaml")
    ]
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert yaml.safe_load(text)
        for option in re.findall(r"llmguard\S* check [^\n]*", text):
            for name in re.findall(r"--[a-z-]+", option):
                assert name in known, (path, name)
    action = yaml.safe_load(files[0].read_text(encoding="utf-8"))
    script = action["runs"]["steps"][-1]["run"]
    assert "${{" not in script, "inputs go through the environment"
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ("vendor.github-actions", "github-action/action.yml"),
        ("vendor.github-workflows", "github-workflow.yaml"),
        ("vendor.gitlab-ci", "gitlab-template.yaml"),
    ],
)
def test_the_ci_kit_is_valid_by_the_services_own_schemas(schema: str, name: str) -> None:
    optional("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(ROOT / "hooks" / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_what_init_writes_is_valid_too(kind: str, tmp_path: Path) -> None:
    optional("check_jsonschema")
    write(tmp_path, {"a.py": "x = 1\n"})
    assert run("init", "--ci", kind, "--repo", "https://git.example.com/x", "--rev", "v9", cwd=tmp_path).returncode == 0
    (path,) = tmp_path.rglob("llm-calls.yaml")
    schema = "vendor.github-workflows" if kind == "github" else "vendor.gitlab-ci"
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "llmguard", "--show-completion", shell],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "_COMPLETE" in done.stdout
