"""What a run goes by, with its defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmguard.doors import DEFAULT_WRAPPER, OwnDoor

if TYPE_CHECKING:
    from llmguard.config.prices import PriceRow
    from llmguard.providers.provider import Provider

#: Folders that nobody means: environments, caches, vendored trees.
DEFAULT_EXCLUDE = (
    *(".git/", ".hg/", ".svn/", ".tox/", ".nox/", ".venv/", "venv/", ".eggs/", "*.egg-info/"),
    *("__pycache__/", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/", ".ipynb_checkpoints/"),
    *("node_modules/", "site-packages/", "_vendor/", "__pypackages__/"),
)
CONFIDENCES = ("proved", "likely", "possible")
CALLBACKS = ("auto", "installed", "absent")
SEVERITIES = ("error", "warning", "note")
#: The baseline that is used when it is there and no other is named; it lies beside the configuration.
BASELINE = "llmguard-baseline.txt"


class Glob(NamedTuple):
    """A path pattern with the absolute folder that it is relative to, and the file that it comes from."""

    pattern: str
    folder: str
    source: str = ""


class Settings(NamedTuple):
    """What a run goes by. The names in a configuration file have dashes for underscores.

    Attributes:
        exclude: path globs; they win over names on the command line. Plain text is relative to `root`.
        skip_modules: dotted module names (globs) whose calls are left alone.
        skip_names: functions or classes (globs; `Class.method` too) whose calls are left alone.
        per_file_ignores: (path glob, codes or prefixes or slugs not reported there).
        select: codes, prefixes or slugs to report; empty means all.
        ignore: codes, prefixes or slugs not to report.
        severity: (code or prefix or slug, severity); the longest match decides.
        min_confidence: least confidence to report: proved, likely or possible.
        require_reason: report suppression comments that give no reason.
        baseline: absolute path of the baseline; "" for `BASELINE` in `root`, where there is one.
        wrapper: what findings tell people to call: a dotted name.
        doors: the project's own sanctioned ways to call a model.
        providers: rows of the project's own.
        prices: what somebody really pays for models.
        litellm_callback: whether the project installs the LiteLLM callback: auto (look for it), installed, absent.
        root: absolute folder that paths in reports' sites are relative to, and that imports are followed in.
        source: the configuration file that was read, "" for none.
    """

    exclude: tuple[str | Glob, ...] = ()
    skip_modules: tuple[str, ...] = ()
    skip_names: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str | Glob, tuple[str, ...]], ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    severity: tuple[tuple[str, str], ...] = ()
    min_confidence: str = "likely"
    require_reason: bool = False
    baseline: str = ""
    wrapper: str = DEFAULT_WRAPPER
    doors: tuple[OwnDoor, ...] = ()
    providers: tuple[Provider, ...] = ()
    prices: tuple[PriceRow, ...] = ()
    litellm_callback: str = "auto"
    root: str = ""
    source: str = ""

    @property
    def sanctioned(self) -> tuple[OwnDoor, ...]:
        """The doors, with the wrapper that findings tell people to call: its own calls are on the books."""
        name = self.wrapper.removesuffix("()")
        if "." not in name or any(door.name == name for door in self.doors):
            return self.doors
        return (*self.doors, OwnDoor(name))


KEYS = ("extend", *(name.replace("_", "-") for name in Settings._fields if name not in ("root", "source")))
