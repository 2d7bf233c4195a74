"""check: from source to findings.

The stages, each in its own module: `discover` finds the files, `screen` rules out those that cannot hold a call,
`reading` makes a tree of the text, `module` gathers facts, `judge` decides what calls reach, `finder` gives the LibCST
nodes, `rules` make findings, and `tracked`, `suppress` and `skip` take out what needs no report.

    >>> from llmguard.check import check_source
    >>> source = "import litellm\\nlitellm.completion(model='m', messages=[])\\n"
    >>> [finding.rule for finding in check_source(source).findings]
    ['LLG101']
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmguard.check.finding import FileReport, Report
    from llmguard.config import Configuration, Settings

__all__ = ["check_paths", "check_source"]


def check_source(source: str | bytes, path: str = "<string>", settings: Settings | None = None) -> FileReport:
    """The findings of one module's source. Pure: touches no disk, follows no import, reads no baseline.

    Args:
        source: text, or the bytes of a file (decoded as Python does). A path that ends in .ipynb means a notebook.
        path: what findings call it.
        settings: what to go by; the defaults when None.

    Returns:
        `FileReport(findings, tracked, unchecked, suppressed, ...)`, findings in reading order. Never raises for what
        is in the source: what could not be read is in `unchecked`.
    """
    from llmguard.check.engine import check_module
    from llmguard.check.filters import Place
    from llmguard.check.project import Project
    from llmguard.config import Settings
    from llmguard.providers import vocabulary

    data = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    settings = settings or Settings()
    place = Place(path, path, path.replace(os.sep, "/"), settings)
    with vocabulary.extended(settings.providers, settings.sanctioned):
        return check_module(data, place, Project(None))


def check_paths(
    paths: Iterable[str],
    settings: Settings | Configuration | None = None,
    *,
    on_file: Callable[[int, int], None] | None = None,
) -> Report:
    """The findings of files and folders. Reads the disk; imports are followed within each file's `settings.root`.

    Args:
        paths: files and folders; a folder stands for the Python files and notebooks below it that git does not ignore.
        settings: what to go by everywhere, or a `Configuration` that says what holds where; that of the files near
            the paths when None.
        on_file: called with (files done, files in all) after each file.

    Returns:
        `Report(findings, tracked, unchecked, files_checked, files_skipped, suppressed, baselined, stale)`.

    Raises:
        UsageError: a path does not exist.
        ConfigError: a configuration or a baseline cannot be used.
    """
    from llmguard.check.run import Options, run
    from llmguard.config import Configuration, Settings

    if isinstance(settings, Settings):
        settings = Configuration.of(settings)
    return run(paths, settings or Configuration(os.getcwd()), Options(on_file=on_file))
