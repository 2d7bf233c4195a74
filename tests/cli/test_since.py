"""`llmguard check --since REF`: changed lines only, and one clear line where git cannot say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import CALL, Done, git, repository, run, write

MORE = '    litellm.completion(model="new", messages=m)\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = repository(tmp_path / "project", {"a.py": CALL, "pkg/b.py": CALL})
    git(project, "checkout", "-q", "-b", "feature")
    return project


def places(project: Path, *arguments: str) -> list[str]:
    done = run("check", "-q", "--output-format", "concise", "--since", *arguments, cwd=project)
    assert done.returncode in (0, 1), done.stderr
    return [" ".join(line.split(" ")[:2]) for line in done.stdout.splitlines()]


def test_old_debt_in_a_changed_file_is_not_reported(project: Path) -> None:
    write(project, {"a.py": "# a comment\n" + CALL})
    done = run("check", "--since", "main", cwd=project)
    assert (done.returncode, done.stdout) == (0, "0 findings in 1 file.\n")
    write(project, {"a.py": CALL + MORE})
    assert places(project, "main") == ["a.py:6:5: LLG101"]


def test_committed_staged_unstaged_and_untracked_changes_count(project: Path) -> None:
    write(project, {"a.py": CALL + MORE})
    git(project, "commit", "-qam", "committed")
    write(project, {"pkg/b.py": CALL + MORE, "new.py": CALL})
    git(project, "add", "pkg/b.py")
    write(project, {"pkg/b.py": CALL + MORE * 2})
    expected = ["a.py:6:5: LLG101", "new.py:5:12: LLG101", "pkg/b.py:6:5: LLG101", "pkg/b.py:7:5: LLG101"]
    assert places(project, "main") == expected
    assert places(project / "pkg", "main") == ["b.py:6:5: LLG101", "b.py:7:5: LLG101"]


def test_it_is_the_merge_base_that_counts(project: Path) -> None:
    write(project, {"a.py": CALL + MORE})
    git(project, "commit", "-qam", "mine")
    git(project, "checkout", "-q", "main")
    write(project, {"pkg/b.py": "# theirs\n" + CALL})
    git(project, "commit", "-qam", "theirs")
    git(project, "checkout", "-q", "feature")
    assert places(project, "main") == ["a.py:6:5: LLG101"]


def test_moves_and_deletions_are_no_changes(project: Path) -> None:
    git(project, "mv", "a.py", "renamed.py")
    write(project, {"pkg/b.py": CALL.replace("import litellm\n\n", "import litellm\n")})
    assert places(project, "HEAD") == []


@pytest.mark.parametrize("name", ["with space.py", "quote'\".py", "größe.py", "tab\t.py", "back\\slash.py", "+++ b.py"])
def test_odd_names(project: Path, name: str) -> None:
    write(project, {name: CALL})
    git(project, "add", "-A")
    git(project, "commit", "-qm", "odd")
    write(project, {name: CALL + MORE})
    done = run("check", "--since", "HEAD", "--output-format", "json", cwd=project)
    assert [f["line"] for f in json.loads(done.stdout)["findings"]] == [6]


def test_the_users_git_settings_do_not_matter(project: Path) -> None:
    for key, value in (
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("color.ui", "always"),
        ("diff.external", "/bin/false"),
        ("diff.context", "9"),
        ("core.quotepath", "true"),
        ("diff.renames", "false"),
        ("diff.relative", "true"),
        ("diff.interHunkContext", "20"),
        ("diff.submodule", "short"),
    ):
        git(project, "config", key, value)
    write(project, {".gitattributes": "*.py -diff\n", "pkg/b.py": CALL + MORE})
    assert places(project, "main") == ["pkg/b.py:6:5: LLG101"]
    assert places(project / "pkg", "main") == ["b.py:6:5: LLG101"]


def test_nothing_is_checked_out_and_nothing_changed_is_no_error(project: Path) -> None:
    write(project, {"a.py": "dirty = 1\n"})
    before = git(project, "status", "--porcelain=v2", "--branch")
    run("check", "--since", "main", cwd=project)
    assert git(project, "status", "--porcelain=v2", "--branch") == before
    git(project, "checkout", "-q", "--", ".")
    done = run("check", "--since", "main", cwd=project)
    assert (done.returncode, done.stdout) == (0, "No Python file changed since the merge base with main.\n")


def test_in_a_notebook_the_lines_of_cells_count(project: Path) -> None:
    def notebook(*cells: str) -> str:
        return json.dumps({"cells": [{"cell_type": "code", "source": c} for c in cells], "nbformat": 4, "metadata": {}})

    old = "import litellm\nlitellm.completion(model='m', messages=[])"
    write(project, {"n.ipynb": notebook(old)})
    git(project, "add", "-A")
    git(project, "commit", "-qm", "notebook")
    write(project, {"n.ipynb": notebook("x = 1", old, "litellm.completion(model='n', messages=[])")})
    assert places(project, "HEAD") == ["n.ipynb:cell 3:1:1:"]


def one_line(done: Done) -> str:
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_what_git_cannot_say_is_one_clear_line(project: Path, tmp_path: Path) -> None:
    said = one_line(run("check", "--since", "origin/nowhere", cwd=project))
    assert "there is no revision 'origin/nowhere' here; fetch it first (git fetch origin nowhere)" in said
    assert "is no revision" in one_line(run("check", "--since=--output=x", cwd=project))
    bare = tmp_path / "bare"
    bare.mkdir()
    write(bare, {"a.py": CALL})
    assert "needs a git repository" in one_line(run("check", "--since", "main", cwd=bare))
    git(bare, "init", "-q")
    assert "this repository has no commit yet" in one_line(run("check", "--since", "main", cwd=bare))


def test_a_shallow_clone_without_the_merge_base(project: Path, tmp_path: Path) -> None:
    write(project, {"a.py": CALL + MORE})
    git(project, "commit", "-qam", "mine")
    git(project, "checkout", "-q", "main")
    write(project, {"c.py": "x = 1\n"})
    git(project, "add", "-A")
    git(project, "commit", "-qm", "theirs")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", "--no-single-branch", f"file://{project}", str(clone))
    git(clone, "checkout", "-q", "feature")
    said = one_line(run("check", "--since", "origin/main", cwd=clone))
    assert "no merge base of 'origin/main' and HEAD: this clone is shallow; fetch the history first" in said
    git(clone, "fetch", "-q", "--unshallow")
    assert places(clone, "origin/main") == ["a.py:6:5: LLG101"]


def test_histories_that_have_nothing_in_common(project: Path) -> None:
    git(project, "checkout", "-q", "--orphan", "other")
    git(project, "commit", "-qm", "other")
    assert "they have no common history" in one_line(run("check", "--since", "main", cwd=project))


def test_a_submodule_counts(project: Path, tmp_path: Path) -> None:
    library = repository(tmp_path / "library", {"lib.py": CALL})
    git(project, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library), "lib")
    git(project, "commit", "-qm", "submodule")
    write(project, {"lib/lib.py": CALL + MORE})
    assert places(project, "HEAD") == ["lib/lib.py:6:5: LLG101"]
    git(project / "lib", "commit", "-qam", "more")
    assert places(project, "HEAD") == ["lib/lib.py:6:5: LLG101"]
    other = repository(project / "other", {"other.py": CALL})  # git does not know it yet: all of it is new
    assert other.exists()
    assert places(project, "HEAD") == ["lib/lib.py:6:5: LLG101", "other/other.py:5:12: LLG101"]


def test_a_notebook_that_was_renamed_and_a_file_on_stdin(project: Path) -> None:
    call = "litellm.completion(model='m', messages=[])"
    cells = [{"cell_type": "code", "source": f"import litellm\n# {n}\n{call}"} for n in range(9)]
    write(project, {"n.ipynb": json.dumps({"cells": cells, "metadata": {}}, indent=1)})
    git(project, "add", "-A")
    git(project, "commit", "-qm", "notebook")
    git(project, "mv", "n.ipynb", "m.ipynb")
    cells.append({"cell_type": "code", "source": "litellm.completion(model='n', messages=[])"})
    write(project, {"m.ipynb": json.dumps({"cells": cells, "metadata": {}}, indent=1)})
    assert places(project, "HEAD") == ["m.ipynb:cell 10:1:1:"]
    write(project, {"a.py": CALL + "# saved\n"})
    done = run(
        *("check", "-q", "-", "--stdin-filename", "a.py", "--since", "HEAD", "--output-format", "concise"),
        cwd=project,
        stdin=CALL.replace("    return", MORE + "    return"),
    )
    assert [line.partition(" ")[0] for line in done.stdout.splitlines()] == ["a.py:5:5:"]


def test_show_files_and_since(project: Path) -> None:
    write(project, {"a.py": CALL + MORE})
    assert run("check", "--since", "HEAD", "--show-files", cwd=project).stdout == "a.py\n"
