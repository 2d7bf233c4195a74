"""`multi_model_service`: a prompt in, a text out, the model by the task. The seed's names and shapes.

An answer says what really happened: an error of the provider is `"status": "error"`, and has no `response`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from enum import Enum
from typing import Any, NamedTuple

from llmguard.calls.service_settings import attempt_timeout
from llmguard.calls.transports import row_of
from llmguard.calls.wrapper import LLMWrapper, llm_wrapper
from llmguard.errors import ConfigError, LLMGuardError, UsageError
from llmguard.usage.scrub import scrubbed

LOG = logging.getLogger("llmguard.calls")
_MOST_HISTORY = 5  # earlier messages that a conversation carries


class TaskComplexity(str, Enum):
    """How hard a task is."""

    SIMPLE = "simple"
    MEDIUM = "medium"
    COMPLEX = "complex"
    AGENTIC = "agentic"


class ModelType(str, Enum):
    """The models to choose from; AUTO is the one that the task asks for."""

    LLAMA_4_MAVERICK = "llama4_maverick"
    GEMMA_3_4B = "gemma3_4b"
    GEMINI = "gemini"
    AUTO = "auto"


class Model(NamedTuple):
    """A model of the service.

    Attributes:
        provider: who has it.
        name: as the provider spells it.
        temperature, max_tokens: that are sent.
        use: what it is for, in a few words.
    """

    provider: str
    name: str
    temperature: float
    max_tokens: int
    use: str


MODELS: dict[ModelType, Model] = {
    ModelType.LLAMA_4_MAVERICK: Model(
        "deepinfra", "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8", 0.1, 4096, "agents, analysis, mappings"
    ),
    ModelType.GEMMA_3_4B: Model("deepinfra", "google/gemma-3-4b-it", 0.7, 1024, "chat, short answers"),
    ModelType.GEMINI: Model("google", "gemini-2.5-flash", 0.3, 4096, "long context"),
}
_AGENTIC = ("agent", "field_mapping", "mapping", "crew", "migration", "asset", "planning", "assessment")
_CHAT = ("chat", "conversation", "question", "greeting", "summary", "general")


def _key(name: str | TaskComplexity) -> str:
    """A task type or a complexity as a variable of the environment has it."""
    text = name.value if isinstance(name, TaskComplexity) else name
    return re.sub(r"\W+", "_", text).upper()


def _configured(variable: str, usual: Model) -> Model | None:
    """The model that a variable names ("provider:model"), asked as the usual one is.

    Raises:
        ConfigError: it names none.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return None
    provider, colon, name = text.partition(":")
    try:
        row = row_of(provider) if colon and name else None
    except UsageError as error:
        raise ConfigError(variable, "", str(error)) from None
    if row is None:
        raise ConfigError(variable, "", f'must be "provider:model", not {text!r}')
    return usual._replace(provider=row.name, name=name)


class MultiModelService:
    """Chooses a model and asks it, tracked.

    Args:
        wrapper: that makes the calls.
        models: by task type or complexity, before what the environment says (`LLM_MODEL_TASK_<TYPE>`,
            `LLM_MODEL_<COMPLEXITY>`: "provider:model") and before `select_model`.
    """

    def __init__(
        self, wrapper: LLMWrapper = llm_wrapper, *, models: Mapping[str | TaskComplexity, Model] | None = None
    ) -> None:
        self._wrapper = wrapper
        self._models = {_key(name): model for name, model in (models or {}).items()}

    def select_model(self, task_type: str, complexity: TaskComplexity = TaskComplexity.MEDIUM) -> ModelType:
        """The model for a task: the large one for agents, analyses and what is complex, else the small one."""
        task = task_type.lower()
        if complexity in (TaskComplexity.AGENTIC, TaskComplexity.COMPLEX) or any(word in task for word in _AGENTIC):
            return ModelType.LLAMA_4_MAVERICK
        if complexity is TaskComplexity.SIMPLE or any(word in task for word in _CHAT):
            return ModelType.GEMMA_3_4B
        return ModelType.LLAMA_4_MAVERICK if "analysis" in task or "complex" in task else ModelType.GEMMA_3_4B

    async def generate_response(
        self,
        prompt: str,
        task_type: str = "general",
        model_type: ModelType | None = None,
        complexity: TaskComplexity = TaskComplexity.MEDIUM,
        system_message: str | None = None,
        *,
        user_id: Any = None,
        client_options: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Ask.

        Args:
            prompt: the question.
            task_type: kind of task; the `service_name` of the row.
            model_type: the model, None or AUTO for the one that the task asks for.
            complexity: of the task.
            system_message: put before the question.
            user_id: for whom, on the row.
            client_options: arguments of the SDK's client; without a `timeout` LLM_ATTEMPT_TIMEOUT holds.

        Returns:
            `{"status": "success", "response": text, "model_used", "task_type", "interface", "timestamp", "tokens_used",
            "prompt_tokens", "completion_tokens", "cost", "model_config", "usage_log_id"}`; after a failure `{"status":
            "error", "error": text, ...}` without `response`.
        """
        messages = [{"role": "system", "content": system_message}] if system_message else []
        messages.append({"role": "user", "content": prompt})
        chosen = self.model_for(task_type, complexity, model_type)
        return await self._ask(messages, chosen, task_type, user_id, client_options)

    async def chat_with_context(
        self,
        message: str,
        conversation_history: Iterable[Mapping[str, Any]] | None = None,
        context: str | None = None,
        *,
        user_id: Any = None,
        client_options: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Go on with a conversation: its last five messages, what is known, and a message; result as above."""
        messages: list[dict[str, Any]] = [{"role": "system", "content": context}] if context else []
        messages += [dict(earlier) for earlier in list(conversation_history or ())[-_MOST_HISTORY:]]
        messages.append({"role": "user", "content": message})
        chosen = self.model_for("chat", TaskComplexity.SIMPLE)
        return await self._ask(messages, chosen, "chat", user_id, client_options)

    def get_model_info(self) -> dict[str, Any]:
        """The models, and what each is for."""
        return {kind.value: model._asdict() for kind, model in MODELS.items()}

    def model_for(
        self,
        task_type: str,
        complexity: TaskComplexity = TaskComplexity.MEDIUM,
        model_type: ModelType | None = None,
    ) -> Model:
        """The model that is asked: the one that is named, else the one that is configured for the task or its
        complexity, else the one that `select_model` says.

        Raises:
            UsageError: there is no such model.
            ConfigError: a variable of the environment names none.
        """
        if model_type is not None and model_type is not ModelType.AUTO:
            if model_type not in MODELS:
                known = ", ".join(kind.name for kind in MODELS)
                raise UsageError(f"no model is called {model_type!r}: one of {known}")
            return MODELS[model_type]
        usual = MODELS[self.select_model(task_type, complexity)]
        for name in (f"TASK_{_key(task_type)}", _key(complexity)):
            given = self._models.get(name.removeprefix("TASK_"))
            found = given if given is not None else _configured(f"LLM_MODEL_{name}", usual)
            if found is not None:
                return found
        return usual

    async def _ask(
        self, messages: list[dict[str, Any]], model: Model, task_type: str, user_id: Any, options: Any
    ) -> dict[str, Any]:
        about = {
            "model_used": model.name,
            "task_type": task_type,
            "interface": "gemini" if model.provider == "google" else "openai",
            "timestamp": datetime.now(timezone.utc).isoformat(),
            "model_config": {"temperature": model.temperature, "max_tokens": model.max_tokens},
        }
        try:
            result = await self._wrapper.chat_completion(
                messages,
                user_id,
                task_type,
                model.name,
                model.temperature,
                model.max_tokens,
                provider=model.provider,
                client_options={"timeout": attempt_timeout(), **(options or {})},
            )
        except LLMGuardError:
            raise  # of the set-up, not of this call: it says what to do
        except Exception as error:  # noqa: BLE001  (an SDK's: the shape of this service says it in the answer)
            return {**about, "status": "error", "error": scrubbed(str(error)), "error_type": type(error).__name__}
        usage = result["usage"]
        return {
            **about,
            "status": "success",
            "response": result["response"].choices[0].message.content or "",
            "tokens_used": usage["total_tokens"],
            "prompt_tokens": usage["prompt_tokens"],
            "completion_tokens": usage["completion_tokens"],
            "cost": usage["cost"],
            "usage_log_id": usage["call_id"],
        }


multi_model_service = MultiModelService()
