"""What of an error's text may stand on a row: no key of anybody's, and nothing of what was asked."""

from __future__ import annotations

import base64
import random
import string
import time
from typing import Any

import pytest

from llmguard import track
from llmguard.testing import Answer, FakeProvider, memory_ledger
from llmguard.usage.outcome import error_text, failure_fields
from llmguard.usage.scrub import scrubbed, without_input
from tests.optional import optional

_random = random.Random(1)


def signs(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """Random signs with a digit among the first."""
    return "a7" + "".join(_random.choice(alphabet) for _ in range(count - 2))


HEX = "0123456789abcdef"
#: Keys as they are given out: prefix, length and alphabet as the providers document or show them.
KEYS = {
    "OpenAI": f"sk-{signs(48)}",
    "OpenAI, of a project": f"sk-proj-{signs(60)}_{signs(60)}",
    "OpenAI, masked by itself": "sk-abc12***********************************wxyz",
    "OpenAI, session": f"sess-{signs(40)}",
    "Anthropic": f"sk-ant-api03-{signs(93)}-{signs(6)}AA",
    "Groq": f"gsk_{signs(52)}",
    "xAI": f"xai-{signs(80)}",
    "Perplexity": f"pplx-{signs(48)}",
    "Replicate": f"r8_{signs(37)}",
    "Hugging Face": f"hf_{signs(34)}",
    "NVIDIA": f"nvapi-{signs(64)}",
    "Fireworks": f"fw_{signs(24)}",
    "Cerebras": f"csk-{signs(48)}",
    "Together": f"tgp_v1_{signs(43)}",
    "Together, old": signs(64, HEX),
    "OpenRouter": f"sk-or-v1-{signs(64, HEX)}",
    "DeepSeek": f"sk-{signs(32, HEX)}",
    "Moonshot": f"sk-{signs(48)}",
    "DashScope": f"sk-{signs(32, HEX)}",
    "Mistral": signs(32),
    "Cohere": signs(40),
    "AI21": signs(32),
    "Azure OpenAI": signs(32, HEX),
    "Azure OpenAI, new": signs(84),
    "Voyage": f"pa-{signs(43)}",
    "Jina": f"jina_{signs(60)}",
    "Stability": f"sk-{signs(48)}",
    "ElevenLabs": f"sk_{signs(48, HEX)}",
    "AssemblyAI": signs(32, HEX),
    "Deepgram": signs(40, HEX),
    "Zhipu": f"{signs(32, HEX)}.{signs(16)}",
    "Databricks": f"dapi{signs(32, HEX)}",
    "Anyscale": f"esecret_{signs(26)}",
    "Google": f"AIza{signs(35)}",
    "Google, OAuth": f"ya29.{signs(120)}",
    "Google, client": f"GOCSPX-{signs(28)}",
    "AWS": f"AKIA{signs(16, string.ascii_uppercase + string.digits)}",
    "AWS, of a session": f"ASIA{signs(16, string.ascii_uppercase + string.digits)}",
    "Bedrock": f"ABSK{signs(110)}==",
    "GitHub": f"ghp_{signs(36)}",
    "GitHub, fine": f"github_pat_{signs(22)}_{signs(59)}",
    "GitLab": f"glpat-{signs(20)}",
    "Slack": "xoxb" + f"-{signs(12)}-{signs(24)}",
    "LangSmith": f"lsv2_pt_{signs(32, HEX)}_{signs(10, HEX)}",
    "a JSON web token": ".".join(
        base64.urlsafe_b64encode(part.encode()).decode().rstrip("=")
        for part in ('{"alg":"RS256","typ":"JWT"}', '{"sub":"1234567890","name":"x"}', signs(40))
    ),
}
#: Texts with a secret in a place that says what it is; the secret is the one word below.
WORD = "hunter2-Tr0ub4dor"
PLACES = [
    "Authorization: Bearer {}",
    "authorization: Basic {}",
    "Authorization: Negotiate {}",
    "Authorization=AWS4-HMAC-SHA256 Credential={}/20260101/us-east-1/bedrock/aws4_request, Signature=abc",
    "Proxy-Authorization: Custom {}",
    "headers={{'Authorization': 'Bearer {}', 'x': 1}}",
    "x-api-key: {}",
    "api-key: {}",
    "Ocp-Apim-Subscription-Key: {}",
    "x-goog-api-key={}",
    "GET https://generativelanguage.googleapis.com/v1/models?key={}&alt=json",
    "https://a.blob.core.windows.net/c?sv=2024&sig={}&se=x",
    "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={};EndpointSuffix=x",
    "grant_type=client_credentials&client_id=a&client_secret={}",
    '{{"access_token": "{}", "expires_in": 3600}}',
    '{{"refresh_token":"{}"}}',
    "password={} user=a",
    "postgresql://app:{}@db.example.com/x",
    "aws_secret_access_key = {}",
    "AWS_SESSION_TOKEN={}",
    "OPENAI_API_KEY={}",
    "Incorrect API key provided: {}. You can find your key at https://x",
    "Invalid api key in request header: {}",
    "Cookie: {}",
    "SharedAccessSignature={}",
    "private_key: {}",
]


@pytest.mark.parametrize("provider", KEYS)
def test_a_key_is_known_wherever_it_stands(provider: str) -> None:
    key = KEYS[provider]
    for text in (
        f"no such key: {key}",
        f"({key}) is not valid",
        f'"{key}"',
        f"https://x/v1/{key}/a",
        f"denied for {key}.",
    ):
        said = scrubbed(text.format(key))
        assert key not in said
        assert key[-12:] not in said, said


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_says_what_it_holds_is_emptied(place: str) -> None:
    said = scrubbed(place.format(WORD))
    assert WORD not in said
    assert "[secret]" in said


def test_a_private_key_is_taken_out_whole() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc\n-----END RSA PRIVATE KEY-----"
    assert scrubbed(f"a {key} b") == "a [secret] b"
    assert scrubbed(f"a {key[:50]}") == "a [secret]"


@pytest.mark.parametrize(
    "text",
    [
        "5 tokens left, token count 12",
        "Error code: 429 - rate limit reached for model gpt-4o in organization on tokens per min",
        "The model `gpt-4o-mini-2024-07-18` does not exist",
        "models/gemini-2.5-flash-preview-05-20 is not found for API version v1beta",
        "request 019b76da-a800-7000-8000-000000000000 failed",
        "signature is invalid",
        "maximum context length is 128000 tokens, however you requested 130001",
        "/usr/lib/python3.11/site-packages/openai/resources/chat/completions/completions.py",
        "Connection refused by api.openai.com:443",
        "max_tokens: 4096 is too large",
        "the risk-free skills of tasks",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrubbed(text) == text


def test_keys_of_this_process_are_known_by_their_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERE_API_KEY", "notlong")
    assert scrubbed("you sent notlong to us") == "you sent [secret] to us"


PROMPT = "Please summarise the attached diagnosis of Mrs. Ålesund, born 1961, who takes 20 mg of a drug."


@pytest.mark.parametrize(
    "text",
    [
        f"invalid content: {PROMPT}",
        f"invalid content: {PROMPT[10:60]}... (truncated)",
        f"messages.0.content: {PROMPT!r} is not allowed",
        f'{{"error": {{"input": "{PROMPT.upper()}"}}}}',
        f"1 validation error\n  Input should be a list [type=list_type, input_value='{PROMPT}', input_type=str]",
        "the diagnosis of Mrs. \\u00c5lesund, born 1961, who takes 20 mg",
    ],
)
def test_what_was_asked_is_taken_out(text: str) -> None:
    request = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}]}
    said = error_text(text, request)
    for word in ("diagnosis", "Ålesund", "1961", "20 mg"):
        assert word.lower() not in said.lower(), said
    assert "[input]" in said


def test_what_the_provider_says_itself_stays() -> None:
    request = {"messages": [{"role": "user", "content": PROMPT}]}
    said = "Error code: 400 - This model's maximum context length is 8192 tokens."
    assert error_text(said, request) == said


def test_a_long_text_is_cut_and_takes_no_time() -> None:
    request = {"messages": [{"role": "user", "content": PROMPT * 1000}]}
    began = time.perf_counter()
    said = error_text(("no. " + PROMPT) * 10_000 + "sk-" * 10_000 + "key=" * 10_000, request)
    assert len(said) <= 300
    assert time.perf_counter() - began < 2
    for hostile in (
        "a" * 50_000,
        "=" * 50_000,
        "-" * 50_000,
        "key " * 20_000,
        "://" * 20_000,
        "eyJ." * 20_000,
        "sk-_" * 20_000,
    ):
        began = time.perf_counter()
        error_text(hostile)
        assert time.perf_counter() - began < 10, hostile[:10]  # a pattern that goes astray takes minutes


def test_a_row_of_a_failed_call_quotes_nothing() -> None:
    openai = optional("openai")
    with (
        FakeProvider(Answer(f"invalid: {PROMPT}, key sk-{'a1' * 20}", status=400)) as provider,
        memory_ledger() as ledger,
    ):
        client: Any = track(openai.OpenAI(base_url=provider.base_url, api_key="k", max_retries=0))
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": PROMPT}])
    (row,) = ledger.rows
    assert (row["status"], row["status_code"], row["error_type"]) == ("error", 400, "BadRequestError")
    assert "diagnosis" not in row["error_message"]
    assert "a1a1" not in row["error_message"]
    assert "invalid: [input]" in row["error_message"]


def test_an_error_without_a_request_says_its_type_and_code() -> None:
    assert failure_fields(ValueError("x"))["error_message"] == "x"
    assert without_input("abc", None) == "abc"
