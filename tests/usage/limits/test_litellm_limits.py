"""LiteLLM: its asynchronous calls are refused, its synchronous ones are counted, the wrapper's are both refused."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from llmguard import llm_tracker, llm_wrapper, setup_litellm_tracking
from llmguard.errors import RateLimitExceeded
from llmguard.testing import FakeProvider
from llmguard.usage.limits.control import set_limit
from llmguard.usage.recorder import Recorder
from tests.optional import optional
from tests.usage.recorded import rows_of
from tests.usage.test_litellm import CALLBACKS

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def litellm() -> Any:
    module = optional("litellm")
    before = {name: list(getattr(module, name)) for name in CALLBACKS}
    setup_litellm_tracking()
    yield module
    for name, value in before.items():
        getattr(module, name)[:] = value


def test_what_can_be_refused_is(recording: Recorder, provider: FakeProvider, litellm: Any) -> None:
    set_limit(2, "day", user_id="ann", provider="openai")
    asked: dict[str, Any] = {"model": "openai/m", "api_base": provider.base_url, "api_key": "x", "max_retries": 0}
    asked |= {"messages": [{"role": "user", "content": "x"}], "user": "ann"}

    async def two_of_five() -> list[Any]:
        return await asyncio.gather(*(litellm.acompletion(**asked) for _ in range(5)), return_exceptions=True)

    said = asyncio.run(two_of_five())
    refused = [each for each in said if isinstance(each, Exception)]
    assert [type(each) for each in refused] == [RateLimitExceeded] * 3
    assert len(provider.requests) == 2
    assert len(rows_of(recording)) == 2  # what is refused has no row
    options = {"api_base": provider.base_url, "api_key": "x"}
    with pytest.raises(RateLimitExceeded):
        llm_wrapper.chat_completion_sync(
            asked["messages"], user_id="ann", provider="litellm", model="openai/m", client_options=options
        )
    with pytest.raises(RateLimitExceeded), llm_tracker.track_llm_call("openai", "m", user_id="ann"):
        litellm.completion(**asked)
    assert len(provider.requests) == 2


def test_a_direct_synchronous_call_is_counted(recording: Recorder, provider: FakeProvider, litellm: Any) -> None:
    set_limit(2, "day", user_id="ann")
    asked: dict[str, Any] = {"model": "openai/m", "api_base": provider.base_url, "api_key": "x", "max_retries": 0}
    for _ in range(3):
        litellm.completion(messages=[{"role": "user", "content": "x"}], user="ann", **asked)
    assert len(provider.requests) == 3
    ends = time.monotonic() + 20
    while len(rows_of(recording)) < 3 or any(row["status"] == "unknown" for row in rows_of(recording)):
        assert time.monotonic() < ends, "LiteLLM reports the end of a synchronous call from a thread"
        time.sleep(0.05)
    assert llm_tracker.check_rate_limit_sync("ann", "day")["current_count"] == 3
    with pytest.raises(RateLimitExceeded), llm_tracker.track_llm_call("openai", "m", user_id="ann"):
        raise AssertionError("it was refused")
