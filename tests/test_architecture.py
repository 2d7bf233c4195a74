"""What may import what: from the source, and from what a fresh interpreter has loaded."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmguard.check.rules import MODULES, RULES
from llmguard.providers import PROVIDERS

PACKAGE = Path(__file__).parents[1] / "llmguard"
ALLOWED = {
    "printable": set(),
    "errors": {"printable"},
    "doors": {"errors"},
    "providers": {"errors", "doors"},
    "config": {"errors", "doors", "providers"},
    "check": {"errors", "doors", "providers", "config"},
    "usage": {"errors", "doors", "providers", "config"},
    "calls": {"errors", "doors", "providers", "config", "usage"},
    "testing": {"errors", "doors", "providers", "config", "usage"},
    "migrate": {"errors", "doors", "providers", "config", "check"},
    "web": {"errors", "doors", "providers", "config", "usage", "calls"},
    "cli": {"migrate", "errors", "doors", "providers", "config", "check", "usage", "calls", "web"},
}
STORE = ("sqlalchemy", "alembic")  # only in usage/store
HEAVY = ("rich", "typer", "sqlalchemy", "httpx", "litellm", "openai", "anthropic", "pydantic", "fastapi", "starlette")
WEB = ("fastapi", "pydantic", "starlette")  # only in web, and there at the top


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downward(path: Path) -> None:
    part = part_of(path)
    if part in ("__init__", "__main__"):
        return
    for name in imports_of(path):
        if name.startswith("llmguard.") and name != "llmguard.__version__":
            target = name.split(".")[1]
            assert target in {part, "printable"} | ALLOWED[part], name
        if path.name in ("litellm_callback.py", "litellm_tracking.py") and name.startswith("litellm"):
            continue  # the callback is a class of LiteLLM's; loaded when it is installed
        if part == "web" and name.startswith(WEB):
            continue
        if part != "cli" and not ("store" in path.parts and name.startswith(STORE)):
            assert not name.startswith(HEAVY), name
        if name.startswith(("redis", "cachetools")):
            assert path.name in ("cache.py", "redis_cache.py"), "what keeps answers is loaded where they are kept"
        if name.startswith("libcst"):
            here = path.name == "finder.py" or "codemods" in path.parts
            assert here, "LibCST is loaded where a call was found, and where it is rewritten"


_STARTS = re.compile(
    r"\bsubprocess\b|\bos\.(?:system|popen|exec\w*|spawn\w*|posix_spawn\w*|startfile)\b|\bpty\b|\bmultiprocessing\b"
    r"|\bcreate_subprocess\w*|\brunpy\b|(?<![\w.])(?:eval|exec)\("
)


def test_one_place_starts_processes_and_nothing_runs_what_it_reads() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if _STARTS.search(re.sub(r'"""[\s\S]*?"""|#.*|"[^"\n]*"', "", path.read_text(encoding="utf-8")))
    }
    assert found == {"check/git.py"}


def loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_llmguard_loads_nothing_else() -> None:
    assert not {m for m in loaded_after("import llmguard") if m.startswith("llmguard.")}


def test_a_check_without_a_call_loads_neither_libcst_nor_a_console() -> None:
    loaded = loaded_after("from llmguard.check import check_source\ncheck_source('import openai\\n')")
    assert not loaded & {"libcst", "rich", "rich.console", "typer", "yaml"}


@pytest.mark.parametrize("entry", ["check", "hook"])
def test_the_commands_load_no_more_than_they_need(entry: str, tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text("import openai\nprint('no call')\n")
    if entry == "check":
        code = (
            f"import sys\nsys.argv = ['llmguard', 'check', '--isolated', {str(file)!r}]\n"
            "from llmguard.cli import main\ntry:\n    main()\nexcept SystemExit as e:\n    assert not e.code, e.code"
        )
        banned = {"libcst", "rich.console", "yaml"}
    else:
        code = f"from llmguard.cli.hook import main\nassert main([{str(file)!r}]) == 0"
        banned = {"libcst", "rich", "typer", "click", "yaml"}
    assert not loaded_after(code) & banned


def test_every_rule_file_is_in_the_registry_and_named_after_its_rule() -> None:
    files = {p.stem for p in (PACKAGE / "check" / "rules").glob("llg*.py")}
    assert files == {m.__name__.rpartition(".")[2] for m in MODULES}, (
        "add the rule to MODULES in check/rules/__init__.py"
    )
    for module in MODULES:
        rule = module.RULE
        assert module.__name__.endswith(f"{rule.code.lower()}_{rule.slug.replace('-', '_')}")
    assert len({rule.code for rule in RULES}) == len({rule.slug for rule in RULES}) == len(RULES)


def test_every_rule_is_documented_under_the_fixed_headings() -> None:
    for module in MODULES:
        text = module.__doc__ or ""
        for heading in ("What:", "Why:", "Example:", "Instead:", "Limits:", "Fix safety:"):
            assert f"\n{heading}\n" in text, (module.__name__, heading)


def test_provider_rows_are_consistent() -> None:
    for provider in PROVIDERS:
        assert provider.name == provider.name.lower()
        for client in provider.clients:
            names = {name for other in provider.clients for name in other.names}
            assert {target for target in client.returns.values() if target} <= names, provider.name


def test_files_and_functions_are_short() -> None:
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert (node.end_lineno or 0) - node.lineno <= 75, f"{path}: {node.name}"
