"""A generation URL is requested over plain HTTP.

What:
    A POST with requests, httpx, aiohttp or urllib to a URL that is known to generate, put together from
    constants, attributes and f-strings as far as they are known.

Why:
    The call costs money and uses up rate limit, and no ledger sees who spent it or on what.

Example:
    import httpx

    httpx.post("https://api.openai.com/v1/chat/completions", json=payload, headers=headers)

Instead:
    with llm_tracker.track_llm_call("openai", "gpt-4o", service_name="reports") as usage_log:
        usage_log.response = httpx.post("https://api.openai.com/v1/chat/completions", json=payload, headers=headers)

Limits:
    A URL that comes from configuration alone says nothing and is not reported; `http.client` and prepared requests
    are not followed.

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule
from llmguard.providers.provider import Family

RULE = Rule(
    "LLG190",
    "direct-http",
    "A generation URL is requested over plain HTTP.",
    applies=lambda callee: callee.family is Family.HTTP,
)
