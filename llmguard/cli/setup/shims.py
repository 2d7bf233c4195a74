"""Shims: the module paths from which existing code imports, three lines each."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from llmguard.cli.setup.draft import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.cli.setup.draft import Draft


class Shim(NamedTuple):
    """A module path of existing code.

    Attributes:
        path: of the shim.
        about: its docstring.
        code: its one import.
        needs: the module of llmguard that must be there.
    """

    path: str
    about: str
    code: str
    needs: str


_SCRIPT = """\
import sys

try:
    from llmguard.cli.hook import main
except ModuleNotFoundError:

    def main() -> int:
        print("llmguard is not installed here: name it in this hook's additional_dependencies", file=sys.stderr)
        return 0


if __name__ == "__main__":
    raise SystemExit(main())"""
_DOCTOR = """\
import sys

from llmguard.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["doctor"]
    main()"""
SHIMS = (
    Shim(
        "app/services/llm_wrapper.py",
        "The tracked wrapper.",
        "from llmguard import LLMWrapper, llm_wrapper  # noqa: F401",
        "llmguard.calls.wrapper",
    ),
    Shim(
        "app/services/llm_usage_tracker.py",
        "The usage tracker.",
        "from llmguard import LLMUsageTracker, llm_tracker, llm_usage_tracker  # noqa: F401",
        "llmguard.usage.tracker",
    ),
    Shim(
        "app/services/multi_model_service.py",
        "The multi-model service.",
        "from llmguard import ModelType, TaskComplexity, multi_model_service  # noqa: F401",
        "llmguard.calls.multi_model",
    ),
    Shim(
        "app/services/litellm_tracking_callback.py",
        "The LiteLLM callback.",
        "from llmguard import LLMUsageCallback, is_litellm_tracking_enabled, setup_litellm_tracking  # noqa: F401",
        "llmguard.usage.litellm_callback",
    ),
    Shim(
        "app/api/routes/llm_usage.py",
        "The usage API.",
        "from llmguard.web.llm_usage import router  # noqa: F401",
        "llmguard.web.llm_usage",
    ),
    Shim(
        "services/llm/unified_llm_service.py",
        "The unified service.",
        "from llmguard import LLMProvider, LLMResponse, UnifiedLLMService, get_llm_service  # noqa: F401",
        "llmguard.calls.unified",
    ),
    Shim(
        "services/llm/unified_llm_client.py",
        "The unified client.",
        "from llmguard import UnifiedLLMClient  # noqa: F401",
        "llmguard.calls.client",
    ),
    Shim(
        "services/llm/connection_warmer.py",
        "The connection warmer.",
        "from llmguard import LLMConnectionWarmer, get_llm_warmer  # noqa: F401",
        "llmguard.calls.warmer",
    ),
    Shim(
        "examples/test_llm_service.py",
        "Whether the providers answer: llmguard doctor.",
        _DOCTOR,
        "llmguard.calls.doctor",
    ),
    Shim(
        "scripts/check_llm_calls.py",
        "The checker under its old path: warns, exits with 0.",
        _SCRIPT,
        "llmguard.cli.hook",
    ),
)


def steps(draft: Draft) -> Iterator[Step]:
    """A step for each shim. What is there stays; what this llmguard does not have yet is said."""
    for shim in SHIMS:
        if draft.has(shim.path):
            yield Step("shim", shim.path, said="is there already")
        elif not _is_there(shim.needs):
            yield Step("shim", shim.path, said=f"not written: this version of llmguard has no {shim.needs}")
        else:
            yield Step("shim", shim.path, f'"""{shim.about}"""\n\n{shim.code}\n'.encode())


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
