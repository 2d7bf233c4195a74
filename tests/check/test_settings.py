"""Configuration: what is read, what it changes, and one clear line for what cannot be used."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from llmguard.check import check_paths, check_source
from llmguard.config import KEYS, Settings, find_settings
from llmguard.errors import ConfigError, UsageError

CALL = 'import litellm\n\n\ndef ask():\n    litellm.completion(model="m", messages=[])\n'


def pyproject(folder: Path, body: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.llmguard]\n{body}\n")


def test_nearest_file_wins_and_the_search_ends_at_the_repository(tmp_path: Path) -> None:
    (tmp_path / "llmguard.yaml").write_text("wrapper: outside\n")
    repository = tmp_path / "repository"
    inner = repository / "a" / "b"
    inner.mkdir(parents=True)
    (repository / ".git").mkdir()
    assert find_settings(str(inner)).source == ""
    assert find_settings(str(inner)).root == str(repository)
    pyproject(repository, 'wrapper = "app.ask"')
    assert find_settings(str(inner)).wrapper == "app.ask"
    (repository / "a" / "llmguard.yaml").write_text("wrapper: nearer\n")
    assert find_settings(str(inner)).wrapper == "nearer"
    assert find_settings(str(inner), isolated=True).wrapper == Settings().wrapper


def test_a_pyproject_without_our_table_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    pyproject(tmp_path, 'wrapper = "top"')
    inner = tmp_path / "package"
    inner.mkdir()
    (inner / "pyproject.toml").write_text("[project]\nname = 'llmguard-user'\n")
    assert find_settings(str(inner)).wrapper == "top"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pyproject.toml", "[tool.llmguard]\nexlude = []", "exlude: unknown key; did you mean exclude?"),
        ("pyproject.toml", "[tool.llmguard]\nzzz = 1", "zzz: unknown key; known keys are"),
        ("pyproject.toml", "[tool.llmguard]\nexclude = 'tests'", "exclude: must be a list of strings"),
        (
            "pyproject.toml",
            "[tool.llmguard]\nmin-confidence = 'sure'",
            "min-confidence: must be one of proved, likely, possible",
        ),
        ("pyproject.toml", "[tool.llmguard]\nwrapper = 3", "wrapper: must be a string, not int"),
        ("pyproject.toml", "[tool.llmguard]\nwrapper = 'a b()'", "wrapper: must be a dotted name, not 'a b()'"),
        ("pyproject.toml", "[tool]\nllmguard = 3", "tool.llmguard: must be a table"),
        ("pyproject.toml", "[tool.llmguard\n", "is no valid TOML"),
        ("llmguard.yaml", "exclude: [", "is no valid YAML"),
        ("llmguard.yaml", "- exclude", "must be a mapping"),
    ],
)
def test_broken_configuration_is_one_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        find_settings(str(tmp_path))
    message = str(caught.value)
    assert said in message
    assert name in message
    assert "\n" not in message


def test_exclusions_win_over_names_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("tests", "contests"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "app.py").write_text(CALL)
    settings = Settings(exclude=("tests/",), root=str(tmp_path))
    report = check_paths([".", "tests/app.py", "tests"], settings)
    assert [f.path for f in report.findings] == ["contests/app.py"]
    assert report.files_skipped == 3


def test_default_exclusions_mean_what_lies_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "venv" / "site-packages"
    site.mkdir(parents=True)
    (site / "lib.py").write_text(CALL)
    monkeypatch.chdir(tmp_path)
    assert check_paths(["."], Settings(root=str(tmp_path))).findings == ()
    assert len(check_paths(["venv/site-packages"], Settings(root=str(tmp_path))).findings) == 1


@pytest.mark.parametrize(
    ("settings", "path", "found"),
    [
        (Settings(), "app/llm.py", 1),
        (Settings(skip_modules=("app.llm",)), "app/llm.py", 0),
        (Settings(skip_modules=("app.*",)), "app/llm.py", 0),
        (Settings(skip_modules=("app",)), "app/llm.py", 1),
        (Settings(skip_names=("ask",)), "app/llm.py", 0),
        (Settings(skip_names=("as?",)), "app/llm.py", 0),
        (Settings(skip_names=("Bot.ask",)), "app/llm.py", 1),
        (Settings(select=("LLG2",)), "app/llm.py", 0),
        (Settings(select=("LLG1",)), "app/llm.py", 1),
        (Settings(select=("LLG1",), ignore=("LLG101",)), "app/llm.py", 0),
        (Settings(select=("LLG101",), ignore=("LLG1",)), "app/llm.py", 1),
        (Settings(ignore=("direct-completion",)), "app/llm.py", 0),
    ],
)
def test_skip_lists_and_selection(settings: Settings, path: str, found: int) -> None:
    assert len(check_source(CALL, path, settings).findings) == found


def test_findings_speak_of_the_users_own_wrapper() -> None:
    (finding,) = check_source(CALL, settings=Settings(wrapper="app.llm.ask")).findings
    assert finding.message.endswith("call app.llm.ask() instead")


@pytest.mark.parametrize(("mode", "found"), [("auto", 0), ("installed", 0), ("absent", 1)])
def test_litellm_callback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, found: int) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ask.py").write_text(CALL)
    (tmp_path / "start.py").write_text("from llmguard import setup_litellm_tracking\n\nsetup_litellm_tracking()\n")
    report = check_paths(["ask.py", "start.py"], Settings(root=str(tmp_path), litellm_callback=mode))
    assert len(report.findings) == found
    assert len(report.tracked) == 1 - found


def test_defining_or_importing_the_callback_installs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ask.py").write_text(CALL)
    (tmp_path / "lib.py").write_text("def setup_litellm_tracking():\n    pass\n")
    assert len(check_paths(["."], Settings(root=str(tmp_path))).findings) == 1


def test_a_doors_own_module_is_tracked(tmp_path: Path) -> None:
    services = tmp_path / "app" / "services"
    services.mkdir(parents=True)
    body = (
        "from groq import Groq\nclass LLMWrapper:\n    def ask(self, m):\n"
        "        return Groq().chat.completions.create(model='x', messages=m)\n"
    )
    (services / "llm_wrapper.py").write_text(body)
    (services / "other.py").write_text(body)
    report = check_paths([str(tmp_path)], Settings(root=str(tmp_path)))
    assert [Path(f.path).name for f in report.findings] == ["other.py"]
    assert [Path(f.path).name for f in report.tracked] == ["llm_wrapper.py"]


def test_missing_path_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file or folder"):
        check_paths([str(tmp_path / "nowhere.py")], Settings(root=str(tmp_path)))


def test_every_key_is_a_field() -> None:
    assert {key.replace("-", "_") for key in KEYS} - {"extend"} <= set(Settings._fields)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(exclude=("[z-a].py",)), "exclude: '[z-a].py' is no glob"),
        (Settings(select=("LLG999",)), "select: no rule is called 'LLG999'"),
        (Settings(ignore=("frob",)), "ignore: no rule is called 'frob'"),
    ],
)
def test_values_that_mean_nothing_are_configuration_errors(tmp_path: Path, settings: Settings, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_paths([str(tmp_path)], settings._replace(root=str(tmp_path), source="pyproject.toml"))
    assert str(caught.value).startswith(f"pyproject.toml: {said}")


def test_imports_are_followed_in_a_folder_outside_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    (project / "app").mkdir(parents=True)
    elsewhere.mkdir()
    (project / "app" / "clients.py").write_text("from groq import Groq\nclient = Groq()\n")
    (project / "app" / "ask.py").write_text("from app.clients import client\nclient.chat.completions.create()\n")
    monkeypatch.chdir(elsewhere)
    (finding,) = check_paths(["../project"]).findings
    assert (finding.provider, finding.confidence, finding.site.partition("::")[0]) == ("groq", "proved", "app/ask.py")


def test_nested_repositories_and_ignored_folders_that_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path, tmp_path / "nested"):
        folder.mkdir(exist_ok=True)
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        (folder / "ask.py").write_text(CALL)
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / "out.py").write_text(CALL)
    (tmp_path / ".gitignore").write_text("generated/\n")
    monkeypatch.chdir(tmp_path)
    settings = Settings(root=str(tmp_path))
    assert [f.path for f in check_paths(["."], settings).findings] == ["ask.py", "nested/ask.py"]
    assert [f.path for f in check_paths(["generated"], settings).findings] == ["generated/out.py"]
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nested" / ".git"))
    assert [f.path for f in check_paths(["."], settings).findings] == ["ask.py", "nested/ask.py"]


def test_a_view_that_the_wrapper_gives_is_tracked(tmp_path: Path) -> None:
    source = """
import llmguard
import openai
from llmguard import llm_wrapper

client = openai.OpenAI()

def one():
    return llm_wrapper.using(client, user_id="u").chat.completions.parse(model="m", messages=[])

def two(theirs):
    return llm_wrapper.using(theirs).chat.completions.create(model="m", messages=[])

def three():
    view = llmguard.llm_wrapper.using(client, user_id="u")
    return view.responses.create(model="m", input="x")

def four():
    return llm_wrapper.chat_completion_sync([], client=client, model="m")["response"]

def direct():
    return client.chat.completions.create(model="m", messages=[])
"""
    report = check_source(source, "app.py")
    assert [finding.function for finding in report.findings] == ["direct"]
    assert [finding.function for finding in report.tracked] == ["one", "two", "three", "four"]
