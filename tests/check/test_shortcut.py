"""The shortcuts (screen, LibCST on the callees alone) find what a run without them finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmguard.check.engine import check_module
from llmguard.check.filters import Place
from llmguard.check.project import Project
from llmguard.config import Settings

FIXTURES = Path(__file__).parents[2] / "fixtures"
LOW = Settings(min_confidence="possible")


def both(source: bytes, path: str, project: Project) -> None:
    place = Place(path, path, path, LOW)
    short = check_module(source, place, project)
    full = check_module(source, place, project, shortcut=False)
    assert short.findings == full.findings
    assert short.tracked == full.tracked


@pytest.mark.parametrize("folder", sorted(p.name for p in (FIXTURES / "check").iterdir()))
def test_on_the_fixtures(folder: str) -> None:
    root = FIXTURES / "check" / folder
    project = Project(str(root))
    for path in sorted(root.rglob("*.py")):
        both(path.read_bytes(), str(path), project)


CALLEES = (
    "client.chat.completions.create",
    "(client\n    .chat  # why\n    .completions\n    .create)",
    "litellm.completion",
    "get(client.chat.completions.create).messages.create",
    "make().chat.completions.create",
    "client.with_options(timeout=1).chat.completions.create",
    "größe.chat.completions.create",
    "other.thing",
)
ARGUMENTS = (
    "model='m', messages=[]",
    "**options",
    "model='m', messages=[litellm.completion(model='m', messages=[])]",
    "",
)
WRAPS = ("{}", "x = {}", "return_({})", "[{} for _ in y]", "f'{{{}}}'", "lambda: {}", "a, b = {}, {}", "if {}: pass")


@st.composite
def modules(draw: st.DrawFn) -> str:
    lines = ["import litellm", "from openai import OpenAI", "client = OpenAI()", "größe = OpenAI()"]
    for number in range(draw(st.integers(1, 5))):
        call = f"{draw(st.sampled_from(CALLEES))}({draw(st.sampled_from(ARGUMENTS))})"
        wrap = draw(st.sampled_from(WRAPS))
        if wrap.startswith("f'") and ("'" in call or "\n" in call or "#" in call):
            wrap = "{}"
        body = wrap.format(*[call] * wrap.count("{}"))
        if draw(st.booleans()):
            inner = body.replace("\n", "\n    ")
            lines.append(f"def f{number}(self, client=client):\n    {inner}")
        else:
            lines.append(body)
    return "\n".join(lines) + "\n"


@given(modules())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_on_generated_modules(source: str) -> None:
    compile(source, "generated.py", "exec")
    both(source.encode(), "generated.py", Project(None))
