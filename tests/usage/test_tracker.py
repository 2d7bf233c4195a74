"""The tracker: what a block, a decorator or a logged call leaves in the ledger."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from llmguard.usage import recorder
from llmguard.usage.counts import tokens_of
from llmguard.usage.recorder import Recorder
from llmguard.usage.scrub import scrubbed
from llmguard.usage.settings import UsageSettings, from_environment
from llmguard.usage.tokens import Tokens
from llmguard.usage.tracker import LLMUsageTracker, llm_tracker, llm_usage_tracker
from tests.command import ROOT
from tests.usage.recorded import rows_of as rows


@pytest.fixture
def recording(settings: UsageSettings) -> Iterator[Recorder]:
    made = recorder.configure(settings._replace(project_root=str(ROOT)))
    yield made
    recorder.configure(settings._replace(disabled=True))


def response(**usage: Any) -> SimpleNamespace:
    return SimpleNamespace(id="resp-1", model="m-2026", usage=SimpleNamespace(**usage))


def test_the_seeds_names_are_one_object() -> None:
    assert llm_tracker is llm_usage_tracker
    assert isinstance(llm_tracker, LLMUsageTracker)


def test_a_block_leaves_one_row_with_its_place_in_the_code(recording: Recorder) -> None:
    with llm_tracker.track_llm_call("groq", "m", feature_context="f", metadata={"a": 1}, user_id=7) as usage_log:
        usage_log.input_tokens = 3
        usage_log.output_tokens = 0
        identity = usage_log.id
    (row,) = rows(recording)
    assert (row["call_id"], row["status"], row["provider"], row["model"]) == (identity, "ok", "groq", "m")
    assert (row["prompt_tokens"], row["completion_tokens"], row["tokens_used"]) == (3, 0, 3)
    assert (row["usage_source"], row["user_id"], row["feature_context"], row["metadata"]) == (
        "caller",
        "7",
        "f",
        {"a": 1},
    )
    assert row["code_file"] == "tests/usage/test_tracker.py"
    assert row["code_function"].startswith("test_a_block_leaves_one_row")
    begins = test_a_block_leaves_one_row_with_its_place_in_the_code.__code__.co_firstlineno
    assert row["code_line"] == begins + 1


def test_tokens_are_read_from_the_response_when_nobody_sets_them(recording: Recorder) -> None:
    async def work() -> None:
        async with llm_tracker.track_llm_call("openai", "m") as usage_log:
            usage_log.response = response(prompt_tokens=5, completion_tokens=2, total_tokens=9)

    asyncio.run(work())
    (row,) = rows(recording)
    assert (row["prompt_tokens"], row["completion_tokens"], row["tokens_used"]) == (5, 2, 9)
    assert (row["usage_source"], row["response_model"], row["provider_response_id"]) == ("provider", "m-2026", "resp-1")


def test_decorators_on_both_kinds_of_functions(recording: Recorder) -> None:
    @llm_tracker.track_llm_call("openai", "sync")
    def ask(x: int) -> Any:
        return response(prompt_tokens=x, completion_tokens=1)

    @llm_tracker.track_llm_call("openai", "async")
    async def ask_async(x: int) -> Any:
        return response(prompt_tokens=x, completion_tokens=1)

    async def both() -> None:
        await asyncio.gather(*(ask_async(n) for n in range(5)))

    assert ask(3).usage.prompt_tokens == 3
    assert ask.__name__ == "ask"
    ask(4)
    asyncio.run(both())
    found = rows(recording)
    assert sorted(row["prompt_tokens"] for row in found if row["model"] == "sync") == [3, 4]
    assert sorted(row["prompt_tokens"] for row in found if row["model"] == "async") == [0, 1, 2, 3, 4]


class RefusedError(Exception):
    status_code = 429


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RefusedError("key sk-abcdefgh12345678 refused"), ("error", 429, "RefusedError", "key [secret] refused")),
        (TimeoutError("late"), ("timeout", None, "TimeoutError", "late")),
        (asyncio.CancelledError(), ("cancelled", None, "CancelledError", None)),
        (KeyboardInterrupt(), ("cancelled", None, "KeyboardInterrupt", None)),
    ],
)
def test_what_ends_a_block_goes_through_unchanged_and_is_said(
    recording: Recorder, error: BaseException, expected: tuple[Any, ...]
) -> None:
    with pytest.raises(type(error)) as caught, llm_tracker.track_llm_call("openai", "m"):
        raise error
    assert caught.value is error
    (row,) = rows(recording)
    assert (row["status"], row["status_code"], row["error_type"], row["error_message"]) == expected
    assert (row["tokens_used"], row["usage_source"]) == (None, "none")


def test_a_cancelled_task_has_its_row(recording: Recorder) -> None:
    async def work(inside: asyncio.Event) -> None:
        async with llm_tracker.track_llm_call("openai", "m"):
            inside.set()
            await asyncio.sleep(60)

    async def cancel() -> None:
        inside = asyncio.Event()
        task = asyncio.create_task(work(inside))
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert [row["status"] for row in rows(recording)] == ["cancelled"]


def test_a_block_inside_a_block_is_one_call(recording: Recorder) -> None:
    with llm_tracker.track_llm_call("a", "outer") as outer, llm_tracker.track_llm_call("b", "inner") as inner:
        assert inner.id == outer.id
    assert [row["model"] for row in rows(recording)] == ["outer"]


def test_requests_at_once_do_not_see_each_other(recording: Recorder) -> None:
    async def request(user: int) -> None:
        llm_tracker.set_request_context(user_id=user, client_account_id=f"c{user}", feature_context="page")
        await asyncio.sleep(0.001 * (user % 3))
        async with llm_tracker.track_llm_call("p", f"m{user}", feature_context="own" if user == 0 else None):
            await asyncio.sleep(0.001)

    async def all_of_them() -> None:
        await asyncio.gather(*(request(user) for user in range(20)))

    asyncio.run(all_of_them())
    found = rows(recording)
    assert {(row["user_id"], row["client_account_id"], row["model"]) for row in found} == {
        (str(n), f"c{n}", f"m{n}") for n in range(20)
    }
    assert {row["feature_context"] for row in found if row["model"] != "m0"} == {"page"}
    assert {row["feature_context"] for row in found if row["model"] == "m0"} == {"own"}


def test_logged_calls_of_both_seeds(recording: Recorder) -> None:
    async def log() -> list[str]:
        return [
            await llm_usage_tracker.log_llm_call(
                "u1",
                "m",
                status_code=500,
                prompt_tokens=1,
                completion_tokens=2,
                duration_ms=5,
                error_message="broken",
                metadata={"service": "notes", "provider": "groq"},
            ),
            await llm_tracker.log_llm_usage("openai", "n" * 300, 4, 6, response_time_ms=9, feature_context="f"),
        ]

    identities = asyncio.run(log())
    first, second = rows(recording)
    assert [first["call_id"], second["call_id"]] == identities
    assert (first["status"], first["status_code"], first["tokens_used"], first["duration_ms"]) == ("error", 500, 3, 5)
    assert (first["service_name"], first["provider"], first["error_message"]) == ("notes", "groq", "broken")
    assert (second["model"], second["tokens_used"], second["status"]) == ("n" * 300, 10, "ok")


def test_statistics_have_the_seeds_shapes(recording: Recorder) -> None:
    async def work() -> tuple[dict[str, Any], dict[str, Any]]:
        for model, tokens in (("a", 1), ("a", 2), ("b", 3)):
            await llm_usage_tracker.log_llm_call("u", model, prompt_tokens=tokens, completion_tokens=1)
        await llm_usage_tracker.log_llm_call("other", "a", prompt_tokens=100)
        await asyncio.to_thread(recording.flush, 20)
        return await llm_usage_tracker.get_usage_stats("u"), await llm_tracker.get_usage_report(
            user_id="u",
            start_date=datetime(2020, 1, 1),
            end_date=datetime(2100, 1, 1, tzinfo=timezone.utc),
        )

    stats, report = asyncio.run(work())
    today = datetime.now(timezone.utc).date().isoformat()
    assert stats == {
        "total_calls": 3,
        "total_tokens": 9,
        "total_prompt_tokens": 6,
        "total_completion_tokens": 3,
        "by_model": {
            "a": {"calls": 2, "tokens": 5, "prompt_tokens": 3, "completion_tokens": 2},
            "b": {"calls": 1, "tokens": 4, "prompt_tokens": 3, "completion_tokens": 1},
        },
        "by_day": [{"date": today, "calls": 3, "tokens": 9, "prompt_tokens": 6, "completion_tokens": 3}],
    }
    assert report["summary"]["total_requests"] == report["summary"]["successful_requests"] == 3
    assert (report["summary"]["total_tokens"], report["summary"]["unpriced_requests"]) == (9, 3)
    assert [(m["model_name"], m["requests"], m["tokens"]) for m in report["breakdown_by_model"]] == [
        ("a", 2, 5),
        ("b", 1, 4),
    ]
    assert [(d["date"], d["requests"]) for d in report["daily_usage"]] == [(today, 3)]
    assert report["filters_applied"] == {"user_id": "u"}


def test_an_outage_is_no_no_usage(tmp_path: Any, recording: Recorder) -> None:
    broken = tmp_path / "not_a_database.db"
    broken.write_bytes(b"this is no database" * 100)
    recorder.configure(UsageSettings(f"sqlite:///{broken}", spool_dir=str(tmp_path / "s")))
    with pytest.raises(Exception, match="file is not a database"):
        llm_tracker.get_usage_stats_sync("u")


def test_threads(recording: Recorder) -> None:
    def work() -> None:
        for _ in range(50):
            with llm_tracker.track_llm_call("p", "m"):
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows(recording)) == 400


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (response(prompt_tokens=5, completion_tokens=2, total_tokens=7), Tokens(5, 2, 7)),
        ({"usage": {"input_tokens": 5, "output_tokens": 2}}, Tokens(5, 2, 7)),
        (response(prompt_tokens=0, completion_tokens=0), Tokens(0, 0, 0)),
        (
            {"usage": {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4},
                       "completion_tokens_details": {"reasoning_tokens": 3}}},
            Tokens(9, 5, 14, 4, None, 3),
        ),
        (
            response(input_tokens=2, output_tokens=3, cache_read_input_tokens=10, cache_creation_input_tokens=5),
            Tokens(17, 3, 20, 10, 5),
        ),
        ({"usage": {"input_tokens": 2, "output_tokens": 3, "cache_read_input_tokens": 0}}, Tokens(2, 3, 5, 0)),
        (
            SimpleNamespace(usage_metadata=SimpleNamespace(prompt_token_count=4, candidates_token_count=2,
                                                           thoughts_token_count=3, total_token_count=9)),
            Tokens(4, 5, 9, None, None, 3),
        ),
        ({"meta": {"tokens": {"input_tokens": 1, "output_tokens": 2}}}, Tokens(1, 2, 3)),
        ({"meta": {"billed_units": {"input_tokens": 4}}}, Tokens(4, None, 4)),
        (
            {"usage": {"tokens": {"input_tokens": 900, "output_tokens": 5},
                       "billed_units": {"input_tokens": 10, "output_tokens": 5}}},
            Tokens(10, 5, 15),
        ),
        ({"usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7}}, Tokens(7, 0, 7)),
        (
            {"usageMetadata": {"promptTokenCount": 7, "toolUsePromptTokenCount": 5, "candidatesTokenCount": 1,
                               "totalTokenCount": 13}},
            Tokens(12, 1, 13),
        ),
        (
            {"usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 112,
                       "completion_tokens_details": {"reasoning_tokens": 100}}},
            Tokens(10, 102, 112, None, None, 100),
        ),
        ({"usage": {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}}, Tokens(9, 1, 10, 8)),
        ({"usage": None}, Tokens()),
        ({"usage": {"prompt_tokens": None, "completion_tokens": -1}}, Tokens()),
        ({"usage": {"prompt_tokens": float("nan")}}, Tokens()),
        ("text", Tokens()),
        (None, Tokens()),
        (MagicMock(), Tokens()),
    ],
)  # fmt: skip
def test_tokens_in_one_form(given: Any, expected: Tokens) -> None:
    assert tokens_of(given) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Incorrect API key provided: sk-abc123***xyz9.", "Incorrect API key provided: [secret]."),
        ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer [secret]"),
        ("https://me:pw@host/x", "https://[secret]@host/x"),
        ("{'api_key': 'zzzzzz', 'a': 1}", "{'api_key': [secret], 'a': 1}"),
        ("GROQ gsk_0123456789abcdef failed", "GROQ [secret] failed"),
        ("5 tokens left, token count 12", "5 tokens left, token count 12"),
    ],
)
def test_secrets_do_not_get_into_rows(text: str, said: str) -> None:
    assert scrubbed(text) == said


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMGUARD_DATABASE_URL", "postgresql://db/x")
    monkeypatch.setenv("LLMGUARD_SPOOL", "off")
    monkeypatch.setenv("LLMGUARD_STRICT", "1")
    monkeypatch.setenv("LLMGUARD_MAX_AGE", "60")
    found = from_environment()
    assert (found.database_url, found.spool, found.strict, found.max_age) == ("postgresql://db/x", False, True, 60.0)
    monkeypatch.setenv("LLMGUARD_MAX_AGE", "soon")
    with pytest.raises(Exception, match="LLMGUARD_MAX_AGE: must be a number that is not negative, not 'soon'"):
        from_environment()
