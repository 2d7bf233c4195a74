"""Which settings hold where: the nearest file, on top of what it extends."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llmguard.check import check_paths
from llmguard.config import Configuration, find_settings
from llmguard.errors import ConfigError
from tests.command import CALL, write


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
        ({"llmguard.yaml": "select: [LLG1]\nignore: [LLG1]"}, "select: 'LLG1' is in ignore too; keep one of them"),
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
