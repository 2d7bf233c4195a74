"""The other modules of a project: found from an import, read when a name in them is needed, kept for a while."""

from __future__ import annotations

import ast
import os
import sys
from collections import OrderedDict

from llmguard.check.module import ModuleFacts
from llmguard.check.reading import decode, parse
from llmguard.errors import UncheckableError
from llmguard.providers import vocabulary

_KEPT = 3_000_000  # bytes of source whose facts stay in memory; facts take some fifty times as much
_LARGEST = 2_000_000  # bytes; larger modules are not followed into
_OUTSIDE = frozenset(sys.stdlib_module_names) | {"google"}


class Project:
    """Modules below a root directory. With root None nothing is looked for outside the file itself.

    Args:
        root: absolute directory; imports are never followed out of it.
        sources: text of files that are not (or not as such) on disk, by absolute path.
    """

    def __init__(self, root: str | None, sources: dict[str, bytes] | None = None) -> None:
        self.root = os.path.abspath(root) if root is not None else None
        self._sources = sources or {}
        self._modules: OrderedDict[str, tuple[ModuleFacts | None, int]] = OrderedDict()
        self._kept = 0
        self._evicted: list[ModuleFacts] = []
        self._listings: dict[str, frozenset[str]] = {}

    def absolute(self, dotted: str, near: str) -> ModuleFacts | None:
        """The module that `import dotted` means in the file `near`, or None when it is not the project's."""
        if self.root is None or dotted.partition(".")[0] in _OUTSIDE or vocabulary.current.is_outside(dotted):
            return None
        parts = dotted.split(".")
        folder = os.path.dirname(near)
        while folder.startswith(self.root):
            # A package's folder is no place where its own modules are top-level names.
            if not self._is_package(folder):
                for base in (folder, os.path.join(folder, "src")):
                    found = self._below(base, parts)
                    if found is not None:
                        return found
            parent = os.path.dirname(folder)
            if parent == folder:
                break
            folder = parent
        return None

    def relative(self, dotted: str, level: int, near: str) -> ModuleFacts | None:
        """The module that `from ..dotted import` means in the file `near`."""
        if self.root is None:
            return None
        folder = os.path.dirname(near)
        for _ in range(level - 1):
            folder = os.path.dirname(folder)
        return self._below(folder, dotted.split(".") if dotted else [])

    def submodule(self, package: ModuleFacts, name: str) -> ModuleFacts | None:
        """The module `name` directly inside a package."""
        if not package.is_package or self.root is None:
            return None
        return self._below(os.path.dirname(package.path), [name])

    def release(self) -> None:
        """Free the modules that had to go: called between files, when no resolution holds on to them."""
        for facts in self._evicted:
            facts.dismantle()
        self._evicted.clear()

    def _entries(self, folder: str) -> frozenset[str]:
        known = self._listings.get(folder)
        if known is None:
            try:
                names = frozenset(os.listdir(folder))
            except OSError:
                names = frozenset()
            extra = {os.path.basename(p) for p in self._sources if os.path.dirname(p) == folder}
            extra |= {
                os.path.relpath(p, folder).split(os.sep)[0] for p in self._sources if p.startswith(folder + os.sep)
            }
            known = self._listings[folder] = names | extra
        return known

    def _is_package(self, folder: str) -> bool:
        return "__init__.py" in self._entries(folder)

    def _below(self, base: str, parts: list[str]) -> ModuleFacts | None:
        folder = base
        for index, part in enumerate(parts):
            entries = self._entries(folder)
            last = index == len(parts) - 1
            if last and part + ".py" in entries and part not in entries:
                return self._load(os.path.join(folder, part + ".py"))
            if part in entries and self._entries(os.path.join(folder, part)):
                folder = os.path.join(folder, part)
            elif last and part + ".py" in entries:
                return self._load(os.path.join(folder, part + ".py"))
            else:
                return None
        if self._is_package(folder):
            return self._load(os.path.join(folder, "__init__.py"))
        if folder == base:
            return None
        return ModuleFacts(os.path.join(folder, "__init__.py"), is_package=True)

    def _load(self, path: str) -> ModuleFacts | None:
        if path in self._modules:
            self._modules.move_to_end(path)
            return self._modules[path][0]
        facts, size = self._read(path)
        self._modules[path] = (facts, size)
        self._kept += size
        while self._kept > _KEPT and len(self._modules) > 1:
            _, (evicted, freed) = self._modules.popitem(last=False)
            self._kept -= freed
            if evicted is not None:
                self._evicted.append(evicted)
        return facts

    def _read(self, path: str) -> tuple[ModuleFacts | None, int]:
        try:
            data = self._sources.get(path)
            if data is None:
                if not os.path.isfile(path) or os.path.getsize(path) > _LARGEST:
                    return None, 0
                with open(path, "rb") as file:
                    data = file.read()
            tree: ast.Module = parse(decode(data).text).tree
        except (OSError, UncheckableError):
            return None, 0
        return ModuleFacts.of(tree, path, is_package=os.path.basename(path) == "__init__.py"), len(data)
