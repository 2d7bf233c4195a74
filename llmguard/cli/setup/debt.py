"""The baselines, and the attribute that lets two branches' baselines merge line by line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from llmguard.check.baseline import text_of
from llmguard.cli.setup.draft import Step, appended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.debt import Survey
    from llmguard.cli.setup.draft import Draft

TITLE = "baseline"


def steps(draft: Draft, surveys: list[Survey]) -> Iterator[Step]:
    """Write the calls that are there now into a baseline for each configuration; the first is the project's."""
    if not surveys:
        yield Step(TITLE, "", said="no Python file was found")
    written = False
    for number, survey in enumerate(surveys):
        path = os.path.relpath(survey.path, draft.root).replace(os.sep, "/")
        if survey.exists:
            yield Step(TITLE, path, said="is there already")
        elif survey.current:
            written = True
            count = len(survey.current)
            said = f"{count:,} call site{'s' if count > 1 else ''} that a check need not report again"
            yield Step(TITLE, path, text_of(survey.current).encode(), said)
        elif number == 0 and not any(other.current for other in surveys):
            yield Step(TITLE, path, said="not needed: there is no direct call")
    if written:
        yield _attributes(draft, sorted({os.path.basename(survey.path) for survey in surveys if survey.current}))


def _attributes(draft: Draft, names: list[str]) -> Step:
    try:
        data = draft.read(".gitattributes") or b""
    except OSError as error:
        return Step(TITLE, ".gitattributes", said=f"left as it is: {error.strerror}")
    missing = [name for name in names if name.encode() not in data]
    if not missing:
        return Step(TITLE, ".gitattributes", said="names the baseline already")
    text = "".join(f"{name} merge=union\n" for name in missing)
    return Step(TITLE, ".gitattributes", appended(data, text, blank=False))
