"""The baseline, and the attribute that lets two branches' baselines merge line by line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from llmguard.check.baseline import text_of
from llmguard.cli.setup.draft import Step, appended
from llmguard.config.settings import BASELINE

if TYPE_CHECKING:
    from llmguard.check.debt import Survey
    from llmguard.cli.setup.draft import Draft

TITLE = "baseline"
_ATTRIBUTE = f"{BASELINE} merge=union\n"


def steps(draft: Draft, survey: Survey | None) -> list[Step]:
    """Write the calls that are there now into a baseline."""
    if survey is None or draft.has(BASELINE) or survey.exists:
        where = os.path.basename(survey.path) if survey is not None else BASELINE
        return [Step(TITLE, where, said="is there already" if survey is not None else "no Python file was found")]
    if not survey.current:
        return [Step(TITLE, BASELINE, said="not needed: there is no direct call")]
    number = len(survey.current)
    said = f"{number:,} call site{'s' if number > 1 else ''} that a check need not report again"
    return [Step(TITLE, BASELINE, text_of(survey.current).encode(), said), _attributes(draft)]


def _attributes(draft: Draft) -> Step:
    data = draft.read(".gitattributes") or b""
    if BASELINE.encode() in data:
        return Step(TITLE, ".gitattributes", said="names the baseline already")
    return Step(TITLE, ".gitattributes", appended(data, _ATTRIBUTE, blank=False))
