"""Workflows for GitHub and GitLab."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from llmguard.cli.setup.draft import Step

if TYPE_CHECKING:
    from llmguard.cli.setup.draft import Draft
    from llmguard.config.source import Source

TITLE = "CI"
GITHUB = ".github/workflows/llm-calls.yaml"
GITLAB = ".gitlab/llm-calls.yaml"
KINDS = ("github", "gitlab", "none")

_GITHUB = """\
# New direct calls fail a pull request, each as an annotation on its line; what the baseline knows does not.
name: llmguard
on:
  pull_request:
  push:
    branches: [{branch}]
permissions:
  contents: read
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: "3.13"
      - run: pip install "{requirement}"
      - run: llmguard check --output-format github
"""
_GITLAB = """\
# New direct calls fail a merge request and show in its code quality report; what the baseline knows does not.
llmguard:
  image: python:3.13
  script:
    - pip install "{requirement}"
    - llmguard check --output-format gitlab --output-file llmguard.json
  artifacts:
    when: always
    reports:
      codequality: llmguard.json
"""


def kind_of(draft: Draft) -> str:
    """The service that a project's files speak of."""
    if draft.has(".github"):
        return "github"
    return "gitlab" if draft.has(".gitlab-ci.yml") else "none"


def step(draft: Draft, kind: str, source: Source, branch: str) -> Step:
    """Write the workflow of a service."""
    path, text = (GITHUB, _GITHUB) if kind == "github" else (GITLAB, _GITLAB)
    if draft.has(path):
        return Step(TITLE, path, said="is there already")
    if not source.url:
        return Step(TITLE, path, said="needs the repository that llmguard is installed from: --repo URL --rev TAG")
    said = "" if kind == "github" else "include it in .gitlab-ci.yml: include: [{local: /.gitlab/llm-calls.yaml}]"
    after = text.format(requirement=source.requirement(), branch=_quoted(branch)).encode()
    return Step(TITLE, path, after, said)


def _quoted(branch: str) -> str:
    """A branch's name in a list of YAML: whoever named it may have meant more than a name."""
    return branch if re.fullmatch(r"[\w./-]+", branch) else json.dumps(branch)
