"""Import roots known to be no language-model SDKs though they look alike, and callables that hand a client on."""

from __future__ import annotations

# A receiver that comes from one of these is never judged by its shape.
LOOKALIKES = frozenset(
    {
        "twilio",  # client.messages.create(body=, to=)
        "slack_sdk",
        "slack_bolt",
        "intercom",  # client.messages.create(...)
        "googleapiclient",  # service.users().messages()
        "sendgrid",
        "mailjet_rest",
        "postmarker",
        "vonage",
        "plivo",
        "sinch",
        "telnyx",
        "messagebird",
        "telegram",
        "discord",
        "stripe",
        "unittest",  # mocks
        "mock",
        "pytest",
        "prompt_toolkit",
        "jedi",
        "readline",
        "click",
        "argcomplete",
        "django",
        "sqlalchemy",
        "peewee",
        "tortoise",
        "mongoengine",
        "responses",  # HTTP stubs: responses.add, not responses.create
        "respx",
        "vcr",
        "kubernetes",
        "docker",
        "vllm",  # local engines: no bill, no rate limit
        "llama_cpp",
        "gpt4all",
        "transformers",
        "torch",
        "ctransformers",
        "exllamav2",
        "mlx_lm",
    }
)

#: Of these, the ones whose objects are never a client, whatever hangs on them: mocks, and engines that run here.
STAND_INS = frozenset(
    {"unittest", "mock", "pytest", "vllm", "llama_cpp", "gpt4all", "transformers", "torch", "ctransformers", "mlx_lm"}
)

# Their result (or their first argument, called later) is what went in: dotted path -> position of the argument.
PASS_THROUGH = {
    "typing.cast": 1,
    "typing_extensions.cast": 1,
    "copy.copy": 0,
    "copy.deepcopy": 0,
    "contextlib.closing": 0,
    "contextlib.aclosing": 0,
    "contextlib.nullcontext": 0,
    "fastapi.Depends": 0,
    "instructor.from_openai": 0,
    "instructor.from_anthropic": 0,
    "instructor.from_litellm": 0,
    "instructor.from_groq": 0,
    "instructor.from_mistral": 0,
    "instructor.from_cohere": 0,
    "instructor.from_gemini": 0,
    "instructor.from_genai": 0,
    "instructor.from_vertexai": 0,
    "instructor.from_bedrock": 0,
    "instructor.from_cerebras": 0,
    "instructor.from_fireworks": 0,
    "instructor.from_writer": 0,
    "instructor.from_perplexity": 0,
    "instructor.from_xai": 0,
    "instructor.patch": 0,
    "instructor.apatch": 0,
    "langsmith.wrappers.wrap_openai": 0,
    "langsmith.wrappers.wrap_anthropic": 0,
    "langsmith.wrappers.wrap_gemini": 0,
    "braintrust.wrap_openai": 0,
    "braintrust.wrap_anthropic": 0,
    "weave.op": 0,
    "mlflow.trace": 0,
    "traceloop.sdk.decorators.task": 0,
    "functools.lru_cache": 0,
    "functools.cache": 0,
    "asgiref.sync.sync_to_async": 0,
    "asgiref.sync.async_to_sync": 0,
    "async_lru.alru_cache": 0,
}

# They call what they are given: dotted path (or a bare method name) -> position of the callable.
INVOKERS = {
    "asyncio.to_thread": 0,
    "anyio.to_thread.run_sync": 0,
    "trio.to_thread.run_sync": 0,
    "starlette.concurrency.run_in_threadpool": 0,
    "fastapi.concurrency.run_in_threadpool": 0,
    "run_in_executor": 1,
    "submit": 0,
}
