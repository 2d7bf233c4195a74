"""`llmguard init`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from llmguard.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmguard.check.debt import Survey
    from llmguard.cli.setup.draft import Draft, Step

_Hook = Annotated[
    bool | None, typer.Option("--hook/--no-hook", help="Add the pre-commit hook [default: if pre-commit is used].")
]
_Ruff = Annotated[
    bool, typer.Option("--ruff/--no-ruff", help="Tell ruff about the codes (external), where it is configured.")
]
_Baseline = Annotated[bool, typer.Option("--baseline/--no-baseline", help="Write the calls of today into a baseline.")]
_Ci = Annotated[
    str,
    typer.Option("--ci", metavar="github|gitlab|none", help="Write a workflow [default: none; asked on a terminal]."),
]
_Shims = Annotated[
    bool, typer.Option("--shims", help="Write three-line modules at the paths that existing code imports from.")
]
_Yaml = Annotated[bool, typer.Option("--yaml", help="Write llmguard.yaml even where there is a pyproject.toml.")]
_Repo = Annotated[
    str, typer.Option("--repo", metavar="URL", help="Repository that hook and workflow install llmguard from.")
]
_Rev = Annotated[str, typer.Option("--rev", metavar="REV", help="Its tag or commit.")]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]


def init(
    hook: _Hook = None,
    ruff: _Ruff = True,
    baseline: _Baseline = True,
    ci: _Ci = "",
    shims: _Shims = False,
    yaml: _Yaml = False,
    repo: _Repo = "",
    rev: _Rev = "",
    yes: _Yes = False,
    dry_run: options.DryRun = False,
) -> None:
    """Set a project up: configuration, hook, ruff, CI and baseline.

    Looks at the working directory, asks on a terminal (flags decide elsewhere), and never overwrites a file: it adds
    to some, with their comments and formatting kept. Exit code: 0, 2 wrong usage or a broken configuration.
    """
    from llmguard.cli.setup import configuration, debt, pipeline, pre_commit
    from llmguard.cli.setup import ruff as of_ruff
    from llmguard.cli.setup import shims as modules
    from llmguard.cli.setup.draft import Draft, Step
    from llmguard.config.source import installed_from
    from llmguard.errors import UsageError

    if ci not in ("", *pipeline.KINDS):
        raise UsageError(f"--ci must be one of {', '.join(pipeline.KINDS)}, not {ci!r}")
    if repo and not rev and installed_from().url != repo:
        raise UsageError("--repo needs --rev: a tag or commit of llmguard")
    draft = Draft(os.getcwd())
    asks = not yes and not dry_run and sys.stdin.isatty() and sys.stdout.isatty()
    source = installed_from(repo, rev)
    files = _files()

    top = _top()

    def steps() -> Iterator[Step | None]:
        yield _attempt(configuration.TITLE, "", lambda: configuration.step(draft, files, yaml=yaml))
        if hook or (hook is None and (asks or draft.has(pre_commit.PATH))):
            elsewhere = Step(pre_commit.TITLE, pre_commit.PATH, said=f"belongs into {top}: run init there")
            yield (
                elsewhere
                if top
                else _attempt(pre_commit.TITLE, pre_commit.PATH, lambda: pre_commit.step(draft, source))
            )
        if ruff:
            yield _attempt(of_ruff.TITLE, "", lambda: of_ruff.step(draft))
        kind = ci or (pipeline.kind_of(draft) if asks else "none")
        if kind != "none":
            elsewhere = Step(pipeline.TITLE, kind, said=f"belongs into {top}: run init there")
            yield (
                elsewhere
                if top
                else _attempt(pipeline.TITLE, kind, lambda: pipeline.step(draft, kind, source, _branch()))
            )
        if shims:
            yield from modules.steps(draft)
        if baseline:
            yield from debt.steps(draft, _surveys(draft, files))

    for step in steps():
        if step is not None:
            _take(draft, step, asks=asks)
    _finish(draft, dry_run=dry_run)


def _attempt(title: str, path: str, step: Callable[[], Step | None]) -> Step | None:
    """A step, or why it cannot be taken: a file that is no text, or holds what no such file holds, is left alone."""
    from llmguard.cli.setup.draft import Step

    try:
        return step()
    except (OSError, ValueError, RecursionError, AttributeError, TypeError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        name = getattr(error, "filename", None) or path
        return Step(title, str(name), said=f"left as it is: {reason}")


def _top() -> str:
    """The top of the repository when that is another folder, "" otherwise."""
    from llmguard.config import place

    top = place.work_tree(os.getcwd())
    return top if top and os.path.realpath(top) != os.path.realpath(os.getcwd()) else ""


def _take(draft: Draft, step: Step, *, asks: bool) -> None:
    """Accept a step, ask about it, or say why there is nothing to do."""
    if step.after is None:
        print(f"{step.title}: {step.path}: {step.said}")
        return
    verb = "add to" if draft.has(step.path) else "write"
    about = f" ({step.said})" if step.said else ""
    if not asks or typer.confirm(f"{step.title}: {verb} {step.path}{about}?", default=True):
        if not asks:
            print(f"{step.title}: {verb} {step.path}{about}")
        draft.accept(step)


def _finish(draft: Draft, *, dry_run: bool) -> None:
    from llmguard.cli.output import difference, shown

    if not draft.changed:
        print("Nothing to write.")
    elif dry_run:
        for path, after in draft.changed.items():
            for line in difference(path, draft.on_disk(path), after):
                print(shown(line))
        print("Nothing was written (--dry-run).", file=sys.stderr)
    else:
        number = len(draft.write())
        print(f"{number} file{'s' if number > 1 else ''} written. Next: llmguard check; commit what was written.")


def _files() -> list[str]:
    from llmguard.check.discover import below

    return [path.replace(os.sep, "/") for path in below(".")]


def _surveys(draft: Draft, files: list[str]) -> list[Survey]:
    """What the baselines would hold under the configuration as it will be; none without a Python file."""
    from llmguard.check.debt import surveys
    from llmguard.check.run import Options, Run
    from llmguard.cli.output import Progress
    from llmguard.cli.setup.configuration import excluded
    from llmguard.config import Configuration, Settings
    from llmguard.config.folders import file_in

    written = any(path in draft.changed for path in ("pyproject.toml", "llmguard.yaml"))
    assumed = {}
    if written and not file_in(draft.root):
        assumed[draft.root] = Settings(exclude=excluded(files), root=draft.root)
    with Progress(shown=sys.stderr.isatty()) as progress:
        run = Run(Configuration(draft.root, assumed=assumed), Options(baseline=False, on_file=progress))
        report = run.over(["."])
    return surveys(run.checked, run.extent) if report.files_checked else []


def _branch() -> str:
    from llmguard.check import git

    answer = git.ask(os.getcwd(), "symbolic-ref", "--short", "refs/remotes/origin/HEAD", filters=False)
    if answer is not None and answer.returncode == 0:
        return answer.stdout.decode("utf-8", "replace").strip().rpartition("/")[2] or "main"
    return "main"
