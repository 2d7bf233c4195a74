"""`llmguard migrate`."""

from __future__ import annotations

import os
import sys
from keyword import iskeyword
from typing import TYPE_CHECKING, Annotated

import typer

from llmguard.cli import options
from llmguard.printable import printable

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
    await_calls: Annotated[
        bool, typer.Option("--await", help="Await blocking calls in async def wherever it can be done.")
    ] = False,
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
    """Move direct calls onto the wrapper, or track them where they are; without --write, show how.

    Every call that `llmguard check` reports gets a verdict: migrated, migrated-review (runs the same, have a look),
    manual (with the reason) or ignored (tracked already, suppressed). The targets are to-wrapper, using,
    to-tracked-client and wrap-in-tracker, tried in this order. Without --write it prints a patch for `git apply`.

    Exit code: 0 nothing to do, 1 something to do; with --write 0 done, 1 calls are left to do by hand; 2 wrong usage
    or configuration; 3 nothing was looked at.
    """
    from llmguard.cli import migration
    from llmguard.migrate.plan import folder_of
    from llmguard.migrate.write import project_folder

    _check_usage(output_format, output_file, write=write, check=check)
    asked = _options(only, exclude, provider, wrapper_module, user_id, service_name)
    asked = asked._replace(log_calls=_dotted("--log-call", log_call), awaits=await_calls)
    asked = asked._replace(rename=rename, fresh=fresh, aliases=not no_aliases)
    configuration = options.configuration(config, isolated, "", "", "")
    root = project_folder(folder_of(paths or ["."]))
    _finish(root, write=write)
    plan, said = _planned(paths or ["."], configuration, asked)
    has_work = bool(plan.changes or plan.moves or plan.created)
    if write and has_work:
        _write(plan, root, force=force)
    if said:
        typer.echo(said, err=True)
    migration.report(plan, output_format, output_file, write=write, quiet=check)
    manual = any(decision.verdict.value == "manual" for decision in plan.decisions)
    raise typer.Exit(int(manual) if write else int(has_work or manual))


def _check_usage(output_format: str, output_file: str, *, write: bool, check: bool) -> None:
    from llmguard.errors import UsageError

    if output_format not in _FORMATS:
        raise UsageError(f"--output-format must be one of {', '.join(_FORMATS)}, not {output_format!r}")
    if write and check:
        raise UsageError("--check writes nothing: leave out --write, or --check")
    if output_file and not os.path.isdir(os.path.dirname(os.path.abspath(output_file))):
        raise UsageError(f"--output-file {output_file}: there is no such folder")


def _finish(root: str, *, write: bool) -> None:
    """Finish what a run that died has left."""
    from llmguard.errors import UsageError
    from llmguard.migrate import write as writing

    if not writing.pending(root):
        return
    if not write:
        raise UsageError(
            f"a migration died while it was writing: --write finishes it (its journal is {writing.journal_of(root)})"
        )
    for path in writing.finish(root):
        typer.echo(f"{printable(path)}: changed in the meantime, left as it is", err=True)


def _planned(paths: list[str], configuration: Configuration, asked: Options) -> tuple[Plan, str]:
    """The plan, and what to say of the dependency."""
    from llmguard.cli.output import Progress
    from llmguard.migrate.plan import make_plan

    with Progress(shown=sys.stderr is not None and sys.stderr.isatty()) as progress:
        plan = make_plan(paths, configuration, asked, progress)
    if not (plan.files or plan.renames):
        typer.echo("Nothing was looked at: no Python files were found, or all are excluded.", err=True)
        raise typer.Exit(3)
    return _with_dependencies(plan)


def _write(plan: Plan, root: str, *, force: bool) -> None:
    from llmguard.errors import UsageError
    from llmguard.migrate import write as writing

    unsaved = [] if force else writing.dirty(plan.changes)
    if unsaved:
        shown = ", ".join(unsaved[:3]) + (", ..." if len(unsaved) > 3 else "")
        raise UsageError(f"{len(unsaved)} files hold changes that git does not have ({shown}): commit, or --force")
    for path in writing.write(plan.changes, root, plan.moves, plan.created):
        typer.echo(f"{printable(path)}: its other hard links keep what it was", err=True)


def _with_dependencies(plan: Plan) -> tuple[Plan, str]:
    """The plan with the dependency that its changes need, in each project that has some, and what to say of it."""
    from llmguard.migrate.decisions import Change
    from llmguard.migrate.dependency import added

    if not any(decision.target is not None for decision in plan.decisions):
        return plan, ""
    folders = sorted(
        {os.path.dirname(os.path.abspath(decision.path)) for decision in plan.decisions if decision.target}
    )
    found = {(each.path, each.said): each for each in map(added, folders)}.values()
    changes = [
        Change(os.path.relpath(each.path), os.path.abspath(each.path), each.before, each.after)
        for each in found
        if each.before != each.after
    ]
    said = sorted({each.said for each in found if each.said})
    return plan._replace(changes=(*plan.changes, *changes)), "\n".join(said)


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
    if not all(part.isidentifier() and not iskeyword(part) for part in module.split(".")):
        raise UsageError(f"--wrapper-module must be a dotted module name, not {module!r}")
    names = _dotted("--user-id", user_id)
    if set("{}") & set(service.replace("{stem}", "")):
        raise UsageError(f"--service-name may hold {{stem}} and no other braces, not {service!r}")
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
