"""`llmguard migrate`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from llmguard.cli import options

if TYPE_CHECKING:
    from llmguard.config import Configuration
    from llmguard.migrate.options import Options
    from llmguard.migrate.plan import Plan

_FORMATS = ("text", "json", "markdown")


def migrate(
    paths: options.Paths = None,
    write: Annotated[bool, typer.Option("--write", help="Write the files. Without it nothing is changed.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Say whether there is something to do, for CI.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write files that hold changes git does not have.")] = False,
    only: Annotated[str, typer.Option("--only", metavar="TARGETS", help="Targets, by comma: no others.")] = "",
    exclude: Annotated[str, typer.Option("--exclude", metavar="TARGETS", help="Targets, by comma: not these.")] = "",
    provider: Annotated[
        str, typer.Option("--provider", metavar="NAMES", help="Providers, by comma [default: all].")
    ] = "",
    wrapper_module: Annotated[
        str, typer.Option("--wrapper-module", metavar="MODULE", help="Where llm_wrapper is imported from.")
    ] = "llmguard",
    user_id: Annotated[
        str, typer.Option("--user-id", metavar="NAMES", help="Names that hold the user's identifier, best first.")
    ] = "user_id",
    log_call: Annotated[
        str,
        typer.Option("--log-call", metavar="NAMES", help="More functions that log usage by hand: token_tracker.add."),
    ] = "",
    service_name: Annotated[
        str, typer.Option("--service-name", metavar="PATTERN", help="Name of the service; {stem} is the module's.")
    ] = "{stem}",
    rename: Annotated[
        bool, typer.Option("--rename", help="Also rename what the project has after Groq: groq_* to llm_*.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="With --rename: edit SQL migrations instead of writing a new one.")
    ] = False,
    no_aliases: Annotated[
        bool, typer.Option("--no-aliases", help="With --rename: do not keep the old routes beside the new ones.")
    ] = False,
    output_format: Annotated[
        str, typer.Option("--output-format", metavar="text|json|markdown", help="Of the report.")
    ] = "text",
    output_file: Annotated[str, typer.Option("--output-file", metavar="FILE", help="Put the report there.")] = "",
    config: options.Config = "",
    isolated: options.Isolated = False,
) -> None:
    """Move direct calls onto the wrapper, or track their clients; without --write, show how.

    Every call that `llmguard check` reports gets a verdict: migrated, migrated-review (runs the same, have a look),
    manual (with the reason) or ignored (tracked already, suppressed). The targets are to-wrapper, to-tracked-client
    and wrap-in-tracker, tried in this order. Without --write the output is a patch that `git apply` takes.

    Exit code: 0 nothing to do, 1 something to do; with --write 0 done, 1 calls are left to do by hand; 2 wrong usage
    or configuration; 3 nothing was looked at.
    """
    from llmguard.errors import UsageError
    from llmguard.migrate.plan import shown_root

    if output_format not in _FORMATS:
        raise UsageError(f"--output-format must be one of {', '.join(_FORMATS)}, not {output_format!r}")
    asked = _options(only, exclude, provider, wrapper_module, user_id, service_name)
    asked = asked._replace(log_calls=_dotted("--log-call", log_call))
    asked = asked._replace(rename=rename, fresh=fresh, aliases=not no_aliases)
    configuration = options.configuration(config, isolated, "", "", "")
    root = shown_root(paths or ["."])
    _finish(root, write=write)
    plan, said = _planned(paths or ["."], configuration, asked, root)
    has_work = bool(plan.changes or plan.moves or plan.created)
    if write and has_work:
        _write(plan, root, force=force)
    if said:
        typer.echo(said, err=True)
    _report(plan, output_format, output_file, write=write, quiet=check)
    manual = any(decision.verdict.value == "manual" for decision in plan.decisions)
    raise typer.Exit(int(manual) if write else int(has_work or manual))


def _finish(root: str, *, write: bool) -> None:
    """Finish what a run that died has left."""
    from llmguard.errors import UsageError
    from llmguard.migrate import write as writing

    if not writing.pending(root):
        return
    if not write:
        raise UsageError(f"a migration died while it was writing: --write finishes it ({root}/{writing.JOURNAL})")
    for path in writing.finish(root):
        typer.echo(f"{path}: changed in the meantime, left as it is", err=True)


def _planned(paths: list[str], configuration: Configuration, asked: Options, root: str) -> tuple[Plan, str]:
    """The plan, and what to say of the dependency."""
    from llmguard.cli.output import Progress
    from llmguard.migrate.plan import make_plan

    with Progress(shown=sys.stderr.isatty()) as progress:
        plan = make_plan(paths, configuration, asked, progress)
    if not plan.files:
        typer.echo("Nothing was looked at: no Python files were found.", err=True)
        raise typer.Exit(3)
    return _with_dependency(plan, root)


def _write(plan: Plan, root: str, *, force: bool) -> None:
    from llmguard.errors import UsageError
    from llmguard.migrate import write as writing

    unsaved = [] if force else writing.dirty(plan.changes)
    if unsaved:
        shown = ", ".join(unsaved[:3]) + (", ..." if len(unsaved) > 3 else "")
        raise UsageError(f"{len(unsaved)} files hold changes that git does not have ({shown}): commit, or --force")
    writing.write(plan.changes, root, plan.moves, plan.created)


def _with_dependency(plan: Plan, root: str) -> tuple[Plan, str]:
    """The plan with the dependency that its changes need, and what to say of it."""
    import os

    from llmguard.migrate.decisions import Change
    from llmguard.migrate.dependency import added

    if not any(decision.target is not None for decision in plan.decisions):
        return plan, ""
    found = added(root)
    if found.before == found.after:
        return plan, found.said
    change = Change(os.path.relpath(found.path), os.path.abspath(found.path), found.before, found.after)
    return plan._replace(changes=(*plan.changes, change)), found.said


def _options(only: str, exclude: str, provider: str, module: str, user_id: str, service: str) -> Options:
    from llmguard.errors import UsageError
    from llmguard.migrate.options import Options
    from llmguard.migrate.verdict import Target
    from llmguard.providers import PROVIDERS

    known = {target.value: target for target in Target}
    for name in (*_names(only), *_names(exclude)):
        if name not in known:
            raise UsageError(f"no target is called {name!r}: one of {', '.join(known)}")
    targets = {known[name] for name in _names(only)} or set(Target)
    targets -= {known[name] for name in _names(exclude)}
    providers = frozenset(_names(provider))
    unknown = providers - {row.name for row in PROVIDERS}
    if unknown:
        raise UsageError(f"no provider is called {min(unknown)!r}; docs/providers.md lists them")
    if not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(f"--wrapper-module must be a dotted module name, not {module!r}")
    names = _dotted("--user-id", user_id)
    try:
        service.format(stem="x")
    except (KeyError, IndexError, ValueError):
        raise UsageError(f"--service-name may hold {{stem}} and no other braces, not {service!r}") from None
    if not service.isprintable() or any(sign in service for sign in "\"'\\"):
        raise UsageError(f"--service-name must be plain text without quotes, not {service!r}")
    return Options(frozenset(targets), providers, module, user_names=names, service=service)


def _dotted(option: str, text: str) -> tuple[str, ...]:
    from llmguard.errors import UsageError

    names = tuple(_names(text))
    if not all(part.isidentifier() for name in names for part in name.split(".")):
        raise UsageError(f"{option} must be names or dotted names (a, b.c), by comma, not {text!r}")
    return names


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _report(plan: Plan, output_format: str, output_file: str, *, write: bool, quiet: bool) -> None:
    import json
    import os

    from llmguard.check.discover import printable
    from llmguard.cli.output import difference, write_text
    from llmguard.migrate import report

    if output_format == "json":
        lines = json.dumps(report.as_json(plan), indent=2).split("\n")
    elif output_format == "markdown":
        lines = list(report.markdown(plan, written=write))
    else:
        lines = []
        if not write and not quiet:
            for change in plan.changes:
                lines += difference(printable(change.path), change.before, change.after)
            for path, data in plan.created:
                lines += difference(printable(os.path.relpath(path)), None, data)
            for old, new in plan.moves:
                names = printable(os.path.relpath(old)), printable(os.path.relpath(new))
                lines += [f"# moves: {names[0]} -> {names[1]}"]
    if output_file:
        write_text(output_file, lines)
    else:
        for line in lines:
            print(line)
    if output_format == "text":
        _table(plan)
        _next_steps(plan, write=write)


def _table(plan: Plan) -> None:
    """A line for each site that a human should look at, and the sums: on stderr, for stdout may be a patch."""
    from llmguard.migrate import report
    from llmguard.migrate.verdict import Verdict

    for path, decisions in report.by_file(plan).items():
        for decision in decisions:
            if decision.verdict is not Verdict.MIGRATED or decision.reason:
                why = f": {report.explained(decision.reason)}" if decision.reason else ""
                typer.echo(f"{path}:{decision.line}: {decision.verdict.value}{why}", err=True)
    for renamed in plan.renames:
        said = f"stays: {renamed.refused}" if renamed.refused else f"-> {renamed.new}, {renamed.places} places"
        typer.echo(f"{renamed.old} {said}", err=True)
    for path, message in plan.errors:
        typer.echo(f"{path}: {message}", err=True)
    number = report.counts(plan)
    typer.echo(", ".join(f"{count} {verdict}" for verdict, count in number.items()) + ".", err=True)


def _next_steps(plan: Plan, *, write: bool) -> None:
    if not plan.changes:
        return
    if write:
        typer.echo(
            'Next: pip install "llmguard[runtime]" (from its repository), llmguard db upgrade, llmguard check.',
            err=True,
        )
    else:
        typer.echo("Nothing was written; --write does it.", err=True)
