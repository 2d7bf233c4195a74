"""Which settings hold where: the search for the nearest configuration file."""

from __future__ import annotations

import os
from typing import Any

from llmguard.config.place import is_top, top_above
from llmguard.config.settings import Settings
from llmguard.errors import ConfigError

YAML_NAMES = ("llmguard.yaml", "llmguard.yml", ".llmguard.yaml")


_MOST_READ = 500_000  # bytes of a pyproject.toml in which our table is looked for


class Configuration:
    """The settings of each folder of a tree.

    Args:
        start: the folder where the run starts. The search from a folder goes up to the top of its repository, or the
            file system's.
        explicit: one configuration file for everything, instead of searching.
        isolated: read none at all.
        changes: fields of `Settings` that hold everywhere, whatever the files say (the command line's).
        assumed: settings that a folder would have, if its configuration were written already.

    Raises:
        ConfigError: the explicit file cannot be used; later, by the methods, one that was found.
    """

    def __init__(
        self,
        start: str,
        *,
        explicit: str = "",
        isolated: bool = False,
        changes: dict[str, Any] | None = None,
        assumed: dict[str, Settings] | None = None,
    ) -> None:
        self.start = os.path.abspath(start)
        self.changes = changes or {}
        self._known: dict[str, Settings] = dict(assumed or {})
        self._projects: dict[str, str] = {}
        self._foreign: dict[str, bool] = {}
        self._fixed: Settings | None = None
        if explicit:
            self._fixed = _explicit(explicit, self.start)
        elif isolated:
            self._fixed = Settings(root=top_above(self.start) or self.start)

    @classmethod
    def of(cls, settings: Settings) -> Configuration:
        """The same settings everywhere."""
        here = os.getcwd()
        configuration = cls(here)
        configuration._projects[settings.root] = settings.root
        configuration._fixed = settings if settings.root else settings._replace(root=top_above(here) or here)
        return configuration

    def project_of(self, settings: Settings) -> str:
        """The folder within which imports are followed: the repository around the settings' root, else the root."""
        root = settings.root
        if root not in self._projects:
            self._projects[root] = top_above(root) or (self.start if _is_below(root + os.sep, self.start) else root)
        return self._projects[root]

    def excluding(self, folder: str) -> Settings | None:
        """The settings of the run's own folder, for a folder of another repository below it (a submodule)."""
        if self._fixed is not None or not _is_below(folder, self.start):
            return None
        if folder not in self._foreign:
            self._foreign[folder] = top_above(folder) != top_above(self.start)
        return self.for_folder(self.start) if self._foreign[folder] else None

    def for_file(self, path: str) -> Settings:
        """The settings for one file, which need not exist."""
        return self.for_folder(os.path.dirname(os.path.abspath(path)))

    def for_folder(self, folder: str) -> Settings:
        """The settings for the files in a folder.

        Without a configuration file, `root` is the repository's top, else `start`; "" for a folder that lies below
        neither.
        """
        found = self._fixed if self._fixed is not None else self._search(os.path.abspath(folder))
        return found._replace(**self.changes) if self.changes else found

    def sources(self) -> list[str]:
        """The configuration files that were met so far, sorted."""
        met = [*self._known.values(), *([self._fixed] if self._fixed is not None else [])]
        return sorted({settings.source for settings in met} - {""})

    def _search(self, folder: str) -> Settings:
        passed: list[str] = []
        found: Settings | None = None
        while found is None:
            found = self._known.get(folder)
            if found is None:
                passed.append(folder)
                found = self._in(folder)
                folder = os.path.dirname(folder)
        for name in passed:
            # Neither a configuration nor a repository: the run's own folder is the project, for what lies below it.
            bare = not found.root and _is_below(name + os.sep, self.start)
            self._known[name] = Settings(root=self.start) if bare else found
        return self._known[passed[0]] if passed else found

    def _in(self, folder: str) -> Settings | None:
        path = file_in(folder)
        if path:
            from llmguard.config.files import settings_of

            return settings_of(path)
        if is_top(folder):
            return Settings(root=folder)
        if os.path.dirname(folder) == folder:
            return Settings()
        return None


def find_settings(start: str, *, explicit: str = "", isolated: bool = False) -> Settings:
    """The settings for a run that starts in the folder `start`.

    Args:
        start: folder where the search begins; it goes up to the repository's top or the file system's.
        explicit: a configuration file to read instead of searching.
        isolated: read none at all.

    Raises:
        ConfigError: the file cannot be read or says something that cannot be used.
    """
    return Configuration(start, explicit=explicit, isolated=isolated).for_folder(start)


def file_in(folder: str) -> str:
    """The configuration file in a folder, "" when there is none.

    Raises:
        ConfigError: there are two, or a pyproject.toml that may be one cannot be read.
    """
    found = [path for name in YAML_NAMES if os.path.isfile(path := os.path.join(folder, name))]
    project = os.path.join(folder, "pyproject.toml")
    if os.path.isfile(project) and _mentions_us(project):
        from llmguard.config.files import read_table

        if read_table(project) is not None:
            found.append(project)
    if len(found) > 1:
        other = os.path.basename(found[0])
        raise ConfigError(found[1], "", f"{other} in the same folder is a configuration as well; keep one of them")
    return found[0] if found else ""


def _mentions_us(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"llmguard" in file.read(_MOST_READ)
    except OSError as error:
        raise ConfigError(path, "", f"cannot be read: {error.strerror}") from None


def _explicit(path: str, start: str) -> Settings:
    """The settings of a file that was named: they hold for its own folder where that lies above, else for `start`."""
    from llmguard.config.files import settings_of

    if not os.path.isfile(path):
        raise ConfigError(path, "", "no such configuration file")
    folder = os.path.dirname(os.path.abspath(path))
    above = _is_below(start + os.sep, folder)
    return settings_of(os.path.abspath(path), folder if above else top_above(start) or start)


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)
