"""The sets of versions say what pyproject.toml says, and the examples name a revision that exists."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.command import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
_FLOOR = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[\w+\])?>=([\w.]+)")


def pinned(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in (ROOT / ".ci" / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            package, _, version = line.partition(" ;")[0].strip().partition("==")
            found.setdefault(package.lower(), set()).add(version)
    return found


def floors(*extras: str) -> dict[str, str]:
    requirements = [*PROJECT["dependencies"], *(each for extra in extras for each in EXTRAS[extra])]
    return {found[1].lower(): found[2] for each in requirements if (found := _FLOOR.match(each))}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def test_the_lowest_set_is_what_is_declared() -> None:
    lowest = pinned("lowest.txt")
    for name, floor in floors("runtime", "litellm", "postgres", "sdks", "test").items():
        least = min(map(numbers, lowest[name]))
        assert least[: len(numbers(floor))] == numbers(floor), (name, floor, lowest[name])


def test_the_tested_set_has_what_is_declared_and_no_less() -> None:
    tested = pinned("constraints.txt")
    for name, floor in floors(*(extra for extra in EXTRAS if extra not in ("server", "kafka", "otel", "all"))).items():
        assert all(numbers(version) >= numbers(floor) for version in tested[name]), (name, floor, tested[name])


def test_every_example_names_one_revision_and_it_exists() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", ROOT / "docs" / "ci.md")]
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "hooks").rglob("*.y*ml")]
    revisions = {found for text in texts for found in re.findall(r"\b[0-9a-f]{40}\b", text)}
    assert len(revisions) == 1
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone, so that nobody can say which revisions exist")
    shallow = ["git", "-C", str(ROOT), "rev-parse", "--is-shallow-repository"]
    if subprocess.run(shallow, capture_output=True, text=True, check=False).stdout.strip() != "false":
        pytest.skip("this clone has not the whole history, so that nobody can say which revisions exist")
    asked = ["git", "-C", str(ROOT), "cat-file", "-e", f"{revisions.pop()}^{{commit}}"]
    assert subprocess.run(asked, capture_output=True, check=False).returncode == 0
