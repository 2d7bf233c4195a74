"""Which major versions of the SDKs pass: `python benchmarks/sdk_majors.py [NAME...]`, with the extra `test` installed.

Each major is installed into a folder of its own, in front of what is installed, and the tests that use the SDK run with
it. Prints the table of docs/sdks.md; it takes some twenty minutes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]


class Major(NamedTuple):
    """A requirement, and the words that choose the tests of its SDK."""

    name: str
    requirement: str
    tests: tuple[str, ...]
    words: str = ""


_MATRIX = ("tests/usage/test_matrix.py", "tests/usage/test_clients.py")
_OPENAI = ("tests/calls/test_parity.py", "tests/calls/test_wrapper.py", *_MATRIX)
MAJORS = (
    *(Major("openai", f"openai<{n + 1},>={n}", _OPENAI, "openai or test_wrapper or test_clients") for n in (1, 2, 3)),
    *(Major("anthropic", f"anthropic<{n + 1},>={n}", (_OPENAI[0], *_MATRIX), "anthropic") for n in (0, 1, 2)),
    *(Major("groq", f"groq<{n + 1},>={n}", (_OPENAI[0], *_MATRIX), "groq") for n in (0, 1)),
    *(Major("mistralai", f"mistralai<{n + 1},>={n}", _MATRIX, "mistral") for n in (1, 3)),
    *(Major("google-genai", f"google-genai<{n + 1},>={n}", _MATRIX, "google") for n in (1, 3)),
    *(Major("cohere", f"cohere<{n + 1},>={n}", _MATRIX, "cohere") for n in (5, 7)),
    Major("litellm", "litellm", ("tests/usage/test_litellm.py", *_MATRIX[:1]), "litellm"),
)


def outcome(major: Major, folder: str) -> tuple[str, str]:
    """(version, what the tests said) of a major."""
    install = [sys.executable, "-m", "pip", "install", "-q", "--target", folder, major.requirement]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        return "-", f"cannot be installed: {done.stderr.strip().splitlines()[-1]}"
    found = next(Path(folder).glob(f"{major.name.replace('-', '_')}-*.dist-info")).name
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0"]
    command = [*pytest, "-m", "full or not full", "-k", major.words]
    ran = subprocess.run(
        [*command, *major.tests],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = ran.stdout.strip().splitlines()[-1] if ran.stdout.strip() else ran.stderr.strip()[-200:]
    for line in ran.stdout.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            print(f"{found}: {line}", file=sys.stderr)
    return found.partition("-")[2].removesuffix(".dist-info"), re.sub(
        r" in .*|, \d+ (?:deselected|warnings?)", "", said
    )


def main() -> None:
    wanted = sys.argv[1:]
    print("| SDK | version | tests |\n|---|---|---|")
    for major in MAJORS:
        if not wanted or major.name in wanted:
            with tempfile.TemporaryDirectory() as folder:
                version, said = outcome(major, folder)
            print(f"| {major.name} | {version} | {said} |", flush=True)


if __name__ == "__main__":
    main()
