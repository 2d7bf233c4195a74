"""Which settings hold where: the nearest file, on top of what it extends."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llmguard.check import check_paths
from llmguard.config import Configuration, find_settings
from llmguard.errors import ConfigError
from tests.command import CALL, run, write


def test_each_file_goes_by_the_nearest_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        {
            ".git/HEAD": "",
            "pyproject.toml": '[tool.llmguard]\nexclude = ["generated/"]\nignore = ["LLG101"]\n',
            "app.py": CALL,
            "generated/x.py": CALL,
            "one/llmguard.yaml": "min-confidence: likely\n",
            "one/a.py": CALL,
            "one/generated/b.py": CALL,
            "two/c.py": CALL,
        },
    )
    monkeypatch.chdir(tmp_path)
    found = [(f.path, f.site.partition("::")[0]) for f in check_paths(["."]).findings]
    # one/ has settings of its own: it does not inherit what it does not extend
    assert found == [("one/a.py", "a.py"), ("one/generated/b.py", "generated/b.py")]
    monkeypatch.chdir(tmp_path / "one")
    assert [f.site for f in check_paths(["."]).findings] == [
        "a.py::ask::litellm.completion::1",
        "generated/b.py::ask::litellm.completion::1",
    ]


def test_extend_adds_to_the_base_and_paths_keep_their_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        {
            ".git/HEAD": "",
            "base.yaml": "exclude: ['one/generated/']\nignore: [LLG202]\nseverity: {LLG1: error}\n"
            "per-file-ignores: {'one/b.py': [LLG101]}\nbaseline: known.txt\n",
            "one/llmguard.yaml": "extend: ../base.yaml\nignore: [LLG201]\nseverity: {LLG101: note}\n",
            "one/a.py": CALL,
            "one/b.py": CALL,
            "one/generated/c.py": CALL,
        },
    )
    monkeypatch.chdir(tmp_path)
    (finding,) = check_paths(["."]).findings
    assert (finding.path, finding.severity) == ("one/a.py", "note")
    settings = find_settings("one")
    assert settings.ignore == ("LLG201",)  # replaced
    assert settings.severity == (("LLG1", "error"), ("LLG101", "note"))  # added
    assert settings.baseline == str(tmp_path / "known.txt")
    assert settings.root == str(tmp_path / "one")


def test_extend_a_list_and_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        {
            "site/acme_policy/__init__.py": "raise RuntimeError('a policy package is not imported')\n",
            "site/acme_policy/rules/llmguard.yaml": "exclude: ['vendor/']\nrequire-reason: true\nwrapper: acme.ask\n",
            "project/.git/HEAD": "",
            "project/more.toml": 'wrapper = "acme.other"\n',
            "project/llmguard.yaml": "extend: ['acme_policy:rules/llmguard.yaml', more.toml]\n",
            "project/a.py": CALL,
            "project/vendor/b.py": CALL,
        },
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.chdir(tmp_path / "project")
    settings = find_settings(".")
    assert (settings.require_reason, settings.wrapper) == (True, "acme.other")
    assert [f.path for f in check_paths(["."]).findings] == ["a.py"]  # a package's paths mean the project's
    assert "acme_policy" not in sys.modules


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"llmguard.yaml": "extend: nowhere.yaml"}, "llmguard.yaml: extend: no such file: nowhere.yaml"),
        ({"llmguard.yaml": "extend: no_such_package:x.yaml"}, "extend: no package 'no_such_package' is installed"),
        ({"llmguard.yaml": "extend: libcst:x.yaml"}, "extend: package 'libcst' has no file 'x.yaml'"),
        ({"llmguard.yaml": "extend: 3"}, "extend: must be a path, package:path, or a list of these"),
        ({"llmguard.yaml": "extend: [[a]]"}, "extend: must be a path, package:path, or a list of these"),
        ({"llmguard.yaml": "extend: llmguard.yaml"}, "extend: 'llmguard.yaml' leads back to this file"),
        (
            {"llmguard.yaml": "extend: b.yaml", "b.yaml": "extend: llmguard.yaml"},
            "b.yaml: extend: 'llmguard.yaml' leads back to this file",
        ),
        ({"llmguard.yaml": "extend: b.yaml", "b.yaml": "exlude: []"}, "b.yaml: exlude: unknown key; did you mean"),
        (
            {"llmguard.yaml": "", "pyproject.toml": "[tool.llmguard]"},
            "pyproject.toml: llmguard.yaml in the same folder is a configuration as well; keep one of them",
        ),
        ({"llmguard.yaml": "", "llmguard.yml": ""}, "in the same folder is a configuration as well"),
        ({"llmguard.yaml": "severity: {LLG1: loud}"}, "severity.LLG1: must be one of error, warning, note, not 'loud'"),
        ({"llmguard.yaml": "severity: [LLG1]"}, "severity: must be a table"),
        ({"llmguard.yaml": "per-file-ignores: {a.py: LLG1}"}, "per-file-ignores.a.py: must be a list of strings"),
        ({"llmguard.yaml": "require-reason: 'yes'"}, "require-reason: must be true or false, not 'yes'"),
        ({"llmguard.yaml": "baseline: [a]"}, "baseline: must be a string, not list"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path: Path, files: dict[str, str], said: str) -> None:
    write(tmp_path, files)
    with pytest.raises(ConfigError) as caught:
        find_settings(str(tmp_path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("select", ["LLG101", "direct-completion"])
def test_select_and_ignore_that_contradict_each_other(tmp_path: Path, select: str) -> None:
    write(tmp_path, {"base.yaml": "ignore: [LLG101]", "llmguard.yaml": f"extend: base.yaml\nselect: [{select}]\n"})
    done = run("check", cwd=tmp_path)
    assert done.returncode == 2
    assert f"select: {select!r} is in ignore too; keep one of them" in done.stderr
    assert run("config", "check", cwd=tmp_path).returncode == 2


def test_the_command_line_holds_everywhere(tmp_path: Path) -> None:
    write(tmp_path, {"a/llmguard.yaml": "ignore: [LLG2]\n", "b/llmguard.yaml": ""})
    configuration = Configuration(str(tmp_path), changes={"ignore": ("LLG1",)})
    for folder in ("a", "b", "."):
        assert configuration.for_folder(str(tmp_path / folder)).ignore == ("LLG1",)


def test_a_folder_outside_goes_by_its_own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        {"here/.git/HEAD": "", "there/llmguard.yaml": "ignore: [LLG101]\n", "there/a.py": CALL, "bare/a.py": CALL},
    )
    monkeypatch.chdir(tmp_path / "here")
    assert check_paths(["../there"]).findings == ()
    assert [f.site.partition("::")[0] for f in check_paths(["../bare"]).findings] == ["a.py"]


def test_imports_are_followed_beyond_a_nested_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        {
            ".git/HEAD": "",
            "common/c.py": "import groq\ndef get():\n    return groq.Groq()\n",
            "services/a/x.py": "from common.c import get\nget().chat.completions.create()\n",
            "services/a/llmguard.yaml": "",
        },
    )
    monkeypatch.chdir(tmp_path)
    assert [(f.provider, f.site.partition("::")[0]) for f in check_paths(["."]).findings] == [("groq", "x.py")]


def test_a_named_configuration_that_lies_aside_holds_for_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {".git/HEAD": "", "ci/own.yaml": "exclude: [tests/]\nextend: deep/d.yaml\n"})
    write(tmp_path, {"ci/deep/d.yaml": "per-file-ignores: {app/b.py: [LLG1]}\n"})
    write(tmp_path, {"app/a.py": CALL, "app/b.py": CALL, "tests/t.py": CALL})
    monkeypatch.chdir(tmp_path)
    for paths in (["."], ["app"], ["app/a.py", "app/b.py", "tests/t.py"]):
        found = check_paths(paths, Configuration(".", explicit="ci/own.yaml")).findings
        assert [f.site for f in found] == ["app/a.py::ask::litellm.completion::1"], paths


def test_another_repository_is_a_project_of_its_own_but_exclusions_from_above_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for top, excluded in (("one", ""), ("two", "exclude: [inner/]\n")):
        write(tmp_path / top, {".git/HEAD": "", "llmguard.yaml": excluded, "inner/.git/HEAD": "", "inner/a.py": CALL})
        monkeypatch.chdir(tmp_path / top)
        sites = [f.site.partition("::")[0] for f in check_paths(["inner/a.py"]).findings]
        assert sites == ([] if excluded else ["a.py"])


def test_a_diamond_of_bases_counts_each_once(tmp_path: Path) -> None:
    write(tmp_path, {"llmguard.yaml": "extend: [a.yaml, b.yaml]", "a.yaml": "extend: base.yaml\nwrapper: a.ask\n"})
    write(tmp_path, {"b.yaml": "extend: base.yaml\n", "base.yaml": "wrapper: base.ask\ndoors: [{name: x.y}]\n"})
    settings = find_settings(str(tmp_path))
    assert (settings.wrapper, len(settings.doors)) == ("a.ask", 1)


def test_the_last_of_equal_severities_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"base.yaml": "severity: {LLG101: note}", "a.py": CALL})
    write(tmp_path, {"llmguard.yaml": "extend: base.yaml\nseverity: {direct-completion: error, LLG1: warning}\n"})
    monkeypatch.chdir(tmp_path)
    assert [f.severity for f in check_paths(["."]).findings] == ["error"]
