"""`llmguard rules` and `llmguard explain CODE`."""

from __future__ import annotations

from typing import Annotated

import typer


def rules() -> None:
    """List the rules: code, name, severity and what each is about."""
    from llmguard.check.rules import RULES

    width = max(len(rule.slug) for rule in RULES)
    for rule in sorted(RULES):
        typer.echo(f"{rule.code}  {rule.slug.ljust(width)}  {str(rule.severity).ljust(7)}  {rule.summary}")


def explain(code: Annotated[str, typer.Argument(help="Code or name of a rule: LLG101, direct-completion.")]) -> None:
    """Print the documentation of a rule: what, why, example, instead, limits."""
    import difflib

    from llmguard.check.rules import RULES, documentation, find_rule
    from llmguard.errors import UsageError

    rule = find_rule(code)
    if rule is None:
        names = [name for known in RULES for name in (known.code, known.slug)]
        near = difflib.get_close_matches(code.upper(), names, n=1) or difflib.get_close_matches(
            code.lower(), names, n=1
        )
        raise UsageError(f"no rule is called {code!r}; {f'did you mean {near[0]}?' if near else 'see llmguard rules'}")
    typer.echo(f"{rule.code} {rule.slug} ({rule.severity})\n")
    typer.echo(documentation(rule))
