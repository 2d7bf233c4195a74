"""`LLMUsageTracker`: one class with the methods of both seeds. `llm_tracker` and `llm_usage_tracker` are one object."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from llmguard.usage import recent
from llmguard.usage.block import TrackedBlock
from llmguard.usage.call import Call
from llmguard.usage.context import Part, enclosing, set_request_fields
from llmguard.usage.outcome import error_text
from llmguard.usage.recorder import recorder
from llmguard.usage.rows import count_of
from llmguard.usage.tokens import Tokens


class LLMUsageTracker:
    """Records calls, and answers what they were. Every method is safe in threads, tasks and forked processes."""

    def initialize(self) -> None:
        """Nothing to do: the ledger opens itself. Kept for code that calls it."""

    def set_request_context(
        self,
        request: Any = None,
        client_account_id: Any = None,
        engagement_id: Any = None,
        user_id: Any = None,
        username: str | None = None,
        flow_id: Any = None,
        page_context: str | None = None,
        feature_context: str | None = None,
        endpoint: str | None = None,
        *,
        tenant: Any = None,
        run_id: Any = None,
        agent: str | None = None,
        budget: str | None = None,
    ) -> None:
        """Know this of the request at hand: rows of its calls carry it, where a call does not say otherwise.

        `request` may be a Starlette or Django request: its client address and user agent are read. Holds for this task
        or thread and what it starts; requests that run at once do not see each other's.
        """
        fields = {
            "client_account_id": client_account_id,
            "engagement_id": engagement_id,
            "user_id": user_id,
            "username": username,
            "flow_id": flow_id,
            "page_context": page_context,
            "feature_context": feature_context,
            "endpoint": endpoint,
            "request_id": str(uuid.uuid4()),
            "tenant": tenant,
            "run_id": run_id,
            "agent": agent,
            "budget": budget,
        }
        headers = getattr(request, "headers", None)
        if headers is not None and hasattr(headers, "get"):
            fields["user_agent"] = headers.get("user-agent")
        fields["ip_address"] = getattr(getattr(request, "client", None), "host", None)
        set_request_fields(fields)

    def track_llm_call(
        self,
        provider: str | None = None,
        model: str | None = None,
        model_version: str | None = None,
        feature_context: str | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        user_id: Any = None,
        service_name: str | None = None,
        endpoint: str | None = None,
        tenant: Any = None,
        run_id: Any = None,
        agent: str | None = None,
        budget: str | None = None,
    ) -> TrackedBlock:
        """A block around one call: `async with`, `with`, or a decorator. It yields a `UsageLog`.

        Exceptions go through unchanged; a cancelled call is recorded as cancelled.
        """
        return TrackedBlock(
            {
                "provider": provider,
                "model": model,
                "model_version": model_version,
                "feature_context": feature_context,
                "metadata": dict(metadata) if metadata else None,
                "user_id": user_id,
                "service_name": service_name,
                "endpoint": endpoint,
                "tenant": tenant,
                "run_id": run_id,
                "agent": agent,
                "budget": budget,
            }
        )

    async def log_llm_call(
        self,
        user_id: Any,
        model: str,
        endpoint: str = "/v1/chat/completions",
        status_code: int = 200,
        tokens_used: int | None = None,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        duration_ms: int | None = None,
        error_message: str | None = None,
        metadata: dict[str, Any] | None = None,
        *,
        provider: str | None = None,
        service_name: str | None = None,
    ) -> str:
        """Record a call that has ended. The record is on the disk when this returns, in the database soon after.

        Returns:
            The `call_id` of its row.
        """
        given = Tokens(prompt_tokens, completion_tokens, tokens_used)
        fields = {
            "user_id": user_id,
            "model": model,
            "endpoint": endpoint,
            "provider": provider or (metadata or {}).get("provider"),
            "service_name": service_name or (metadata or {}).get("service"),
            "metadata": metadata,
        }
        failed = error_message is not None or (count_of(status_code) or 0) >= 400
        more = {"status_code": status_code, "duration_ms": duration_ms}
        return _logged(fields, given, "error" if failed else "ok", error_message, more)

    async def log_llm_usage(
        self,
        provider: str,
        model: str,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        response_time_ms: int | None = None,
        success: bool = True,
        error_type: str | None = None,
        error_message: str | None = None,
        request_data: Any = None,
        response_data: Any = None,
        model_version: str | None = None,
        feature_context: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> str:
        """Record a call that has ended; as `log_llm_call`, with the other seed's arguments.

        Returns:
            The `call_id` of its row.
        """
        fields = {
            "provider": provider,
            "model": model,
            "model_version": model_version,
            "feature_context": feature_context,
            "metadata": metadata,
        }
        more = {"duration_ms": response_time_ms, "error_type": error_type}
        tokens = Tokens(input_tokens, output_tokens)
        return _logged(fields, tokens, "ok" if success else "error", error_message, more)

    async def get_usage_stats(self, user_id: Any, days: int = 30) -> dict[str, Any]:
        """A user's calls and tokens by model and day; see `llmguard.usage.store.read.usage_stats`."""
        return await asyncio.to_thread(self.get_usage_stats_sync, user_id, days)

    def get_usage_stats_sync(self, user_id: Any, days: int = 30) -> dict[str, Any]:
        """`get_usage_stats` for code without a loop."""
        from llmguard.usage.store.read import usage_stats

        with _reading() as engine:
            return usage_stats(engine, str(user_id), days)

    async def check_rate_limit(self, user_id: Any, limit_type: str = "minute") -> dict[str, Any]:
        """Where a user stands in the minute, hour, day or month at hand; see `llmguard.usage.limits.standing`.

        This process's calls count at once, those of others a second after their end; where the limit is enforced, all
        count exactly. A failure is raised, not answered with "yes".

        Raises:
            UsageError: there is no such limit.
            SQLAlchemyError: the database does not answer.
        """
        return await asyncio.to_thread(self.check_rate_limit_sync, user_id, limit_type)

    def check_rate_limit_sync(self, user_id: Any, limit_type: str = "minute") -> dict[str, Any]:
        """`check_rate_limit` for code without a loop."""
        from llmguard.usage.limits.standing import standing

        with _reading() as engine:
            return standing(recorder(), engine, str(user_id), limit_type)

    async def initialize_default_pricing(self) -> int:
        """Show the list prices of OpenAI, Anthropic and DeepInfra as rows of `llm_model_pricing`, where it has none of
        a model. They say where they are from, and nothing is priced by them: the list itself counts.

        Returns:
            How many rows are new.

        Raises:
            SQLAlchemyError: the database does not answer.
        """
        from llmguard.usage.prices import in_force
        from llmguard.usage.store.pricing import write_list

        def write() -> int:
            with _reading() as engine:
                return write_list(engine, in_force(), ("openai", "anthropic", "deepinfra"))

        return await asyncio.to_thread(write)

    async def get_usage_report(
        self,
        client_account_id: Any = None,
        engagement_id: Any = None,
        user_id: Any = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        provider: str | None = None,
        model: str | None = None,
        page_context: str | None = None,
        feature_context: str | None = None,
    ) -> dict[str, Any]:
        """Requests, tokens and cost of what fits; see `llmguard.usage.store.read.usage_report`. Naive dates are UTC."""
        from llmguard.usage.store.read import usage_report

        filters = {
            "client_account_id": client_account_id,
            "engagement_id": engagement_id,
            "user_id": user_id,
            "provider": provider,
            "model": model,
            "page_context": page_context,
            "feature_context": feature_context,
        }

        def report() -> dict[str, Any]:
            with _reading() as engine:
                return usage_report(engine, _aware(start_date), _aware(end_date), **filters)

        return await asyncio.to_thread(report)


def _logged(
    fields: dict[str, Any], tokens: Tokens, status: str, error_message: str | None, more: dict[str, Any]
) -> str:
    around = enclosing()
    if around is not None:  # the block's call is being logged by hand: one call, one row
        part = {name: fields.get(name) for name in ("provider", "model")}
        around.inner.append(Part(_whole(tokens), {**part, "usage_source": "caller"}))
        return around.call_id
    tokens = _whole(tokens)
    current = recorder()
    known = recent.claim(current, fields["model"], tokens) if status == "ok" else None
    if known is not None:  # a tracked client has recorded it: what is logged is said of that call
        given = {name: value for name, value in fields.items() if value is not None and name != "endpoint"}
        current.amend({**given, "call_id": known})
        return known
    call = Call(current, fields)
    call.start(asks=False)
    text = None if error_message is None else error_text(str(error_message))
    call.finish(status, tokens=tokens, source="caller", error_message=text, **more)
    return call.call_id


def _whole(tokens: Tokens) -> Tokens:
    """Counts that callers give: usable ones only, and their sum where they give none."""
    prompt, completion, total = map(count_of, tokens[:3])
    tokens = Tokens(prompt, completion, total)
    if tokens.total is None and (tokens.prompt is not None or tokens.completion is not None):
        tokens = tokens._replace(total=(tokens.prompt or 0) + (tokens.completion or 0))
    return tokens


@contextmanager
def _reading() -> Iterator[Any]:
    """The ledger, for a question."""
    from llmguard.usage.store.ledger import opened

    with opened(recorder().settings) as ledger:
        yield ledger.engine


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=timezone.utc) if moment is not None and moment.tzinfo is None else moment


#: Both names of the seeds; one object.
llm_tracker = llm_usage_tracker = LLMUsageTracker()
