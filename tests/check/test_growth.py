"""No input makes the check quadratic: twice the input takes at most three times the work."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llmguard.check import check_paths, check_source
from llmguard.config import Settings

CALL = "litellm.completion(model='m', messages=[])\n"


def chain(n: int) -> str:
    return (
        "import litellm\nx0 = litellm\n"
        + "".join(f"x{i + 1} = x{i}\n" for i in range(n))
        + f"x{n}.completion(model='m', messages=[])\n"
    )


def nesting(n: int) -> str:
    return "import litellm\n" + "".join(f"{' ' * i}def f{i}():\n" for i in range(n)) + " " * n + CALL


def imports(n: int) -> str:
    return "import litellm\n" + "".join(f"from pkg{i} import name{i}\n" for i in range(n)) + CALL


def methods(n: int) -> str:
    body = "".join(f"    def m{i}(self):\n        return self.m{i + 1}()\n" for i in range(n))
    last = f"    def m{n}(self):\n        return litellm\n"
    ask = "    def ask(self):\n        self.m0().completion(model='m', messages=[])\n"
    return f"import litellm\nclass C:\n{body}{last}{ask}"


def bases(n: int) -> str:
    return (
        "import openai\nclass C0(openai.OpenAI): pass\n"
        + "".join(f"class C{i + 1}(C{i}): pass\n" for i in range(n))
        + f"C{n}().chat.completions.create(model='m', messages=[])\n"
    )


def calls(n: int) -> str:
    return "import litellm\n" + CALL * n


def rebinding(n: int) -> str:
    return (
        "import openai\nc = None\n"
        + "def f(c):\n"
        + "".join(f"    c = wrap{i}(c)\n" for i in range(n))
        + "    c.messages.create(model='m', messages=[])\n"
    )


def dictionary(n: int) -> str:
    return (
        "import litellm\nD = {"
        + "".join(f"'k{i}': litellm.completion,\n" for i in range(n))
        + "}\nD['k1'](model='m', messages=[])\n"
    )


def mutual(n: int) -> str:
    body = "".join(f"def f{i}(c): return g{i}(c)\ndef g{i}(c): return f{(i + 1) % n}(c)\n" for i in range(n))
    return f"import openai\n{body}f0(openai.OpenAI()).chat.completions.create(model='m', messages=[])\n"


def conditional_rebinding(n: int) -> str:
    again = (
        "if x.a{0}:\n    client = OpenAI() if x.b else client\nclient.chat.completions.create(model='m', messages=[])\n"
    )
    return "from openai import OpenAI\nimport x\nclient = OpenAI()\n" + "".join(again.format(i) for i in range(n))


def suppressions_in_a_statement(n: int) -> str:
    line = f"{CALL.strip()},  # llmguard: ignore[LLG102] why\n"
    return "import litellm\nx = (\n" + line * n + ")\n"


def suppressions_on_a_line(n: int) -> str:
    return f"import litellm\n{CALL.strip()}  " + "# llmguard: ignore[LLG102] why " * n + "\n"


SHAPES = [
    *(chain, nesting, imports, methods, bases, calls, rebinding, dictionary, mutual),
    *(conditional_rebinding, suppressions_in_a_statement, suppressions_on_a_line),
]
SIZES = {nesting: (45, 90), calls: (500, 1000), conditional_rebinding: (500, 1000)}


def work(source: str) -> int:
    """The number of Python calls that a check makes: what it does, whatever else the machine is doing."""
    count = 0

    def counted(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(counted)
    try:
        check_source(source)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.full
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_twice_the_input_is_at_most_three_times_the_work(shape: Callable[[int], str]) -> None:
    small, large = SIZES.get(shape, (1000, 2000))
    check_source(shape(small))  # imports and caches
    assert work(shape(large)) < 3 * work(shape(small))


def test_a_class_with_five_thousand_methods() -> None:
    assert work(methods(5000)) < 6 * work(methods(1000))


def test_what_lies_at_the_end_of_a_short_chain_is_found() -> None:
    for shape in SHAPES:
        found = check_source(shape(8)).findings
        assert found, shape.__name__


def test_import_cycles_end(tmp_path: Path) -> None:
    for number in range(40):
        names = "\n".join(
            f"from cycle_{other % 40} import *\nfrom cycle_{other % 40} import thing"
            for other in (number + 1, number + 7)
        )
        (tmp_path / f"cycle_{number}.py").write_text(
            f"{names}\nimport openai\nthing.messages.create(model='m', messages=[])\n"
        )
    report = check_paths([str(tmp_path)], Settings(root=str(tmp_path)))
    assert len(report.findings) == 40


def test_brackets_that_nobody_can_parse_take_no_time() -> None:
    call = "openai.OpenAI().chat.completions.create(model='m', messages=[])"
    source = f"import openai\n{'(' * 50_000}{call}{')' * 50_000}\n"
    began = time.perf_counter()
    (finding,) = check_source(source).findings
    assert finding.region.column == 50_001 + len("openai.OpenAI(")
    assert time.perf_counter() - began < 10
