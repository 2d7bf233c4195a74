"""`llmguard usage`: what the ledger says, and its care."""

from __future__ import annotations

import typer

from llmguard.cli.usage import care, exports, questions, summary, upkeep

app = typer.Typer(
    help="What the ledger says: calls, tokens and money; and the care of it.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(summary.summary)
app.command()(questions.logs)
app.command()(questions.tail)
app.command()(exports.export)
app.command()(care.flush)
app.command()(care.recover)
app.command()(care.doctor)
app.command()(care.verify)
app.command()(upkeep.reprice)
app.command()(upkeep.prune)
app.command()(upkeep.erase)
