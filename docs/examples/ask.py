"""Two services ask models through tracked clients; a third call is made by hand. The provider is a fake one, here."""

import httpx
import openai

from llmguard import llm_tracker, track
from llmguard.testing import Answer, FakeProvider


def summarize(client: openai.OpenAI, text: str) -> str:
    answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content or ""


def classify(client: openai.OpenAI, text: str) -> str:
    stream = client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": text}], stream=True
    )
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream)


def translate(url: str, text: str) -> str:
    with llm_tracker.track_llm_call("acme", "acme-large", service_name="translator") as usage_log:
        usage_log.response = httpx.post(
            f"{url}/chat/completions", json={"messages": [{"role": "user", "content": text}]}
        )
        return usage_log.response.json()["choices"][0]["message"]["content"]


with FakeProvider(Answer(prompt_tokens=1200, completion_tokens=150)) as provider:
    options = {"base_url": provider.base_url, "api_key": "test"}
    writer = track(openai.OpenAI(**options), service_name="summarizer", user_id="ann")
    for report in ("first", "second", "third"):
        summarize(writer, report)
    classify(track(openai.OpenAI(**options), service_name="classifier", user_id="bob"), "Is this spam?")
    translate(provider.base_url, "Guten Tag")
