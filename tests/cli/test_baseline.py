"""`llmguard baseline`, and what check and the hook make of a baseline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import CALL, git, hook, repository, run, write

TWO = CALL + '\n\ndef tell(m):\n    return litellm.completion(model="m", messages=m)\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return repository(tmp_path / "project", {"a.py": TWO, "pkg/b.py": CALL, "clean.py": "x = 1\n"})


def entries(project: Path, name: str = "llmguard-baseline.txt") -> list[str]:
    return [line for line in (project / name).read_text().splitlines() if not line.startswith("#")]


def test_what_is_known_is_not_reported_again(project: Path) -> None:
    assert run("baseline", "create", cwd=project).stdout == "llmguard-baseline.txt: 3 entries (3 added).\n"
    assert entries(project) == [
        "a.py::ask::litellm.completion::1",
        "a.py::tell::litellm.completion::1",
        "pkg/b.py::ask::litellm.completion::1",
    ]
    done = run("check", cwd=project)
    assert (done.returncode, done.stdout) == (0, "0 findings in 3 files, 3 more in the baseline.\n")
    assert (
        len(json.loads(run("check", "--no-baseline", "--output-format", "json", cwd=project).stdout)["findings"]) == 3
    )
    assert hook("a.py", "pkg/b.py", cwd=project).stdout == ""
    assert run("check", cwd=project / "pkg").stdout == "0 findings in 1 file, 1 more in the baseline.\n"


def test_it_holds_no_line_numbers_dates_or_versions_and_is_sorted(project: Path) -> None:
    run("baseline", "create", cwd=project)
    before = (project / "llmguard-baseline.txt").read_bytes()
    write(project, {"a.py": "# moved\n\n\n" + TWO.replace("def ask", "def before():\n    pass\n\n\ndef ask")})
    assert run("check", cwd=project).returncode == 0
    run("baseline", "update", cwd=project)
    assert (project / "llmguard-baseline.txt").read_bytes() == before
    assert entries(project) == sorted(entries(project))


def test_a_new_call_is_reported_even_beside_an_old_one(project: Path) -> None:
    run("baseline", "create", cwd=project)
    write(
        project, {"a.py": TWO.replace("def ask(m):\n", "def ask(m):\n    litellm.completion(model='n', messages=m)\n")}
    )
    done = run("check", "--output-format", "concise", cwd=project)
    assert done.returncode == 1
    assert done.stdout.count("LLG101") == 1


def test_check_and_the_hook_never_write_it(project: Path) -> None:
    run("baseline", "create", cwd=project)
    git(project, "add", "-A")
    write(project, {"a.py": CALL, "new.py": CALL})
    for done in (run("check", "--fix", cwd=project), hook("a.py", "new.py", cwd=project), run("coverage", cwd=project)):
        assert "Traceback" not in done.stderr
    assert git(project, "diff", "--name-only", "--", "llmguard-baseline.txt") == ""


def test_stale_entries_are_reported_and_fail_only_when_asked(project: Path) -> None:
    run("baseline", "create", cwd=project)
    write(project, {"a.py": CALL})
    done = run("check", "--output-format", "concise", cwd=project)
    assert done.returncode == 0
    assert "llmguard-baseline.txt:4:1: LLG803 stale baseline entry: a.py::tell::litellm.completion::1" in done.stdout
    assert "1 stale entry" in done.stdout
    assert run("check", "--fail-on-stale", cwd=project).returncode == 1
    document = json.loads(run("check", "--output-format", "json", cwd=project).stdout)
    assert [row["rule"] for row in document["stale"]] == ["LLG803"]
    assert run("check", "--fail-on-stale", "--ignore", "LLG803", cwd=project).returncode == 0
    (project / "pkg" / "b.py").unlink()
    assert "pkg/b.py::ask" in run("check", cwd=project).stdout


def test_prune_only_shrinks_update_does_both(project: Path) -> None:
    run("baseline", "create", cwd=project)
    write(project, {"a.py": CALL, "new.py": CALL})
    assert run("baseline", "show", cwd=project).stdout == (
        "  a.py::ask::litellm.completion::1\n"
        "- a.py::tell::litellm.completion::1\n"
        "+ new.py::ask::litellm.completion::1\n"
        "  pkg/b.py::ask::litellm.completion::1\n"
        "llmguard-baseline.txt: 2 known, 1 stale, 1 not in it.\n"
    )
    assert run("baseline", "prune", cwd=project).stdout == "llmguard-baseline.txt: 2 entries (1 removed).\n"
    assert run("check", cwd=project).returncode == 1
    assert run("baseline", "update", cwd=project).stdout == "llmguard-baseline.txt: 3 entries (1 added).\n"
    assert run("check", cwd=project).returncode == 0


def test_a_partial_run_never_removes(project: Path) -> None:
    run("baseline", "create", cwd=project)
    write(project, {"a.py": "x = 1\n", "pkg/c.py": CALL})
    assert run("baseline", "update", "pkg", cwd=project).stdout == "llmguard-baseline.txt: 4 entries (1 added).\n"
    assert len(entries(project)) == 4
    done = run("baseline", "prune", cwd=project / "pkg")
    assert (done.returncode, done.stdout) == (2, "")
    assert "covers more than this folder; run prune in" in done.stderr
    assert len(entries(project)) == 4


def test_files_that_cannot_be_read_keep_their_entries(project: Path) -> None:
    run("baseline", "create", cwd=project)
    write(project, {"a.py": "import litellm\nprint 'x'\n"})
    done = run("check", cwd=project)
    assert "LLG902" in done.stdout
    assert "LLG803" not in done.stdout
    assert "0 removed" not in run("baseline", "prune", cwd=project).stdout
    assert len(entries(project)) == 3


def test_a_selection_does_not_make_entries_stale(project: Path) -> None:
    run("baseline", "create", cwd=project)
    for options in (["--select", "LLG2"], ["--ignore", "LLG1"], ["--min-confidence", "proved"]):
        assert "LLG803" not in run("check", *options, cwd=project).stdout


def test_create_refuses_to_overwrite_and_dry_run_writes_nothing(project: Path) -> None:
    done = run("baseline", "create", "--dry-run", cwd=project)
    assert done.stdout.startswith("--- /dev/null\n+++ b/llmguard-baseline.txt\n")
    assert not (project / "llmguard-baseline.txt").exists()
    run("baseline", "create", cwd=project)
    done = run("baseline", "create", cwd=project)
    assert done.returncode == 2
    assert done.stderr == "llmguard: error: llmguard-baseline.txt: is there already; use llmguard baseline update\n"
    (project / "llmguard-baseline.txt").unlink()
    done = run("baseline", "prune", cwd=project)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a.py::ask::litellm.completion\n", "llmguard-baseline.txt:1: is no entry"),
        ('# ours\n{"version": "1.5.0", "results": {}}\n', "llmguard-baseline.txt:2: is no entry"),
        ("<<<<<<< HEAD\na.py::ask::litellm.completion::1\n", "llmguard-baseline.txt:1: is left from a merge"),
        ("a.py::ask::litellm.completion::1\n=======\n", "llmguard-baseline.txt:2: is left from a merge"),
        ("\x00\x01", "is no entry"),
    ],
)
def test_a_broken_line_is_named(project: Path, text: str, said: str) -> None:
    write(project, {"llmguard-baseline.txt": text})
    for command in (["check"], ["baseline", "show"], ["config", "check"]):
        done = run(*command, cwd=project)
        assert done.returncode == 2
        assert said in done.stderr + done.stdout
        assert "Traceback" not in done.stderr
    done = hook("a.py", cwd=project)
    assert done.returncode == 0
    assert said in done.stdout
    assert done.stdout.count("\n") == 1


def test_order_duplicates_line_ends_and_a_mark_do_not_matter(project: Path) -> None:
    run("baseline", "create", cwd=project)
    lines = (project / "llmguard-baseline.txt").read_text().splitlines()
    (project / "llmguard-baseline.txt").write_bytes(
        b"\xef\xbb\xbf" + "\r\n".join([*reversed(lines), "", *lines]).encode()
    )
    assert run("check", cwd=project).returncode == 0


def test_nested_configurations_have_a_baseline_each(tmp_path: Path) -> None:
    project = repository(
        tmp_path / "mono",
        {
            "llmguard.yaml": "baseline: ci/known.txt\n",
            "app.py": CALL,
            "ci/readme": "",
            "one/llmguard.yaml": "",
            "one/app.py": CALL,
            "two/llmguard.yaml": "extend: ../llmguard.yaml\n",
            "two/app.py": CALL,
        },
    )
    done = run("baseline", "create", cwd=project)
    assert sorted(done.stdout.splitlines()) == [
        "ci/known.txt: 2 entries (2 added).",
        "one/llmguard-baseline.txt: 1 entry (1 added).",
    ]
    assert entries(project, "ci/known.txt") == [
        "../app.py::ask::litellm.completion::1",
        "../two/app.py::ask::litellm.completion::1",
    ]
    for folder in (".", "one", "two"):
        assert run("check", cwd=project / folder).returncode == 0, folder


def test_odd_names(tmp_path: Path) -> None:
    names = [
        "with space.py",
        "größe.py",
        "a::b.py",
        "tab\there.py",
        "new\nline.py",
        "#hash.py",
        " lead.py",
        "=======.py",
    ]
    project = repository(tmp_path / "odd", dict.fromkeys(names, CALL))
    run("baseline", "create", cwd=project)
    assert len(entries(project)) == len(names)
    assert run("check", cwd=project).returncode == 0
    assert run("baseline", "prune", cwd=project).stdout.endswith("8 entries (nothing changed).\n")


def test_two_branches_merge_line_by_line(project: Path) -> None:
    run("init", "--no-ruff", cwd=project)  # writes the baseline and its merge attribute
    git(project, "add", "-A")
    git(project, "commit", "-qm", "baseline")
    for branch, name in (("left", "a_left.py"), ("right", "a_right.py")):
        git(project, "checkout", "-q", "-b", branch, "main")
        write(project, {name: CALL})
        run("baseline", "update", cwd=project)
        git(project, "add", "-A")
        git(project, "commit", "-qm", branch)
    git(project, "merge", "-q", "-m", "merge", "left")
    assert run("check", "--fail-on-stale", cwd=project).returncode == 0
    before = (project / "llmguard-baseline.txt").read_bytes()
    run("baseline", "update", cwd=project)
    assert sorted(before.splitlines()) == sorted((project / "llmguard-baseline.txt").read_bytes().splitlines())


def test_entries_of_files_outside_the_run_are_never_removed(tmp_path: Path) -> None:
    files = {"llmguard.yaml": "baseline: ci/known.txt\n", "ci/tool.py": CALL, "app/x.py": CALL, "lib/y.py": CALL}
    project = repository(tmp_path / "project", files)
    run("baseline", "create", cwd=project)
    before = (project / "ci" / "known.txt").read_bytes()
    for folder in ("app", "ci"):
        done = run("baseline", "prune", cwd=project / folder)
        assert f"run prune in {project}\n" in done.stderr
        assert run("baseline", "update", cwd=project / folder).returncode == 0
        assert run("check", "--fail-on-stale", folder, cwd=project).returncode == 0
    run("baseline", "update", "ci", cwd=project)
    assert (project / "ci" / "known.txt").read_bytes() == before
    assert run("baseline", "prune", cwd=project).returncode == 0
    assert (project / "ci" / "known.txt").read_bytes() == before


def test_what_a_sparse_checkout_leaves_out_keeps_its_entries(project: Path) -> None:
    run("baseline", "create", cwd=project)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "baseline")
    git(project, "sparse-checkout", "set", "nothing")
    assert not (project / "pkg" / "b.py").exists()
    assert run("check", "--fail-on-stale", cwd=project).returncode == 0
    assert "nothing changed" in run("baseline", "prune", cwd=project).stdout


def test_a_baseline_from_above_the_repository(project: Path) -> None:
    run("baseline", "create", cwd=project)
    assert run("check", project.name, cwd=project.parent).returncode == 0
    assert run("check", str(project), cwd=project.parent).returncode == 0


def test_peoples_comments_stay(project: Path) -> None:
    run("baseline", "create", cwd=project)
    path = project / "llmguard-baseline.txt"
    path.write_text("# TICKET-7: until spring\n" + path.read_text())
    write(project, {"a.py": CALL})
    run("baseline", "prune", cwd=project)
    assert "# TICKET-7: until spring\n" in path.read_text()
    assert path.read_text().count("#") == 3


def test_a_new_call_above_an_old_one_is_seen_among_changed_lines(project: Path) -> None:
    run("baseline", "create", cwd=project)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "baseline")
    new = "def ask(m):\n    litellm.completion(model='n', messages=m)\n"
    write(project, {"a.py": TWO.replace("def ask(m):\n", new)})
    done = run("check", "-q", "--since", "HEAD", "--output-format", "concise", cwd=project)
    assert [line.partition(" ")[0] for line in done.stdout.splitlines()] == ["a.py:5:5:"]


def test_calls_in_several_unparsable_places_are_told_apart(tmp_path: Path) -> None:
    broken = "print 'x'; litellm.completion(model='m', messages=[])\n"
    project = repository(tmp_path / "old", {"a.py": f"import litellm\n{broken}x = 1\n{broken}"})
    run("baseline", "create", cwd=project)
    assert entries(project) == [f"a.py::<unparsed>::litellm.completion::{n}" for n in (1, 2)]
