"""migrate: from direct calls to calls on the books.

The stages, each in its own module: the check finds the sites; `source` has a file's text with the place of every node;
`clients` says where the client behind a call is made, `uses` who else uses it; `file` decides for the sites of a file,
with the `codemods`; `plan` does so for all files; `write` puts the new files in their places; `report` says what
became of each site.

    >>> from llmguard.migrate import migrate_source
    >>> source = "from groq import Groq\\nprint(Groq().chat.completions.create(model='m', messages=[]))\\n"
    >>> migrate_source(source, "search.py").splitlines()[-1].partition("messages=[]")[2]
    ', service_name="search", provider="groq")["response"])'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmguard.config import Configuration
    from llmguard.migrate.options import Options
    from llmguard.migrate.plan import Plan

__all__ = ["migrate_paths", "migrate_source"]


def migrate_source(source: str, path: str = "module.py", options: Options | None = None) -> str:
    """The source of one module after the migration. Pure: touches no disk, follows no import.

    Args:
        source: text of the module.
        path: its name, from which the name of the service is taken.
        options: what is asked for.

    Raises:
        UncheckableError: it does not parse.
    """
    from llmguard.check import check_source
    from llmguard.check.project import Project
    from llmguard.migrate.decisions import decided
    from llmguard.migrate.options import Options
    from llmguard.migrate.source import Source
    from llmguard.migrate.uses import Texts

    data = source.encode()
    made = Source(path, path, data)
    findings = [finding for finding in check_source(data, path).findings if finding.site]
    change = decided(made, findings, Project(None), Texts([(path, path, data)]), options or Options()).change
    return change.after.decode() if change is not None else source


def migrate_paths(
    paths: Iterable[str], configuration: Configuration | None = None, options: Options | None = None
) -> Plan:
    """The plan for files and folders; nothing is written. See `llmguard.migrate.plan.make_plan`."""
    import os

    from llmguard.config import Configuration
    from llmguard.migrate.options import Options
    from llmguard.migrate.plan import make_plan

    return make_plan(paths, configuration or Configuration(os.getcwd()), options or Options())
