"""What goes over the network, and where: certificates, proxies, redirects, keys, and answers without an end."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from llmguard import LLMWrapper
from llmguard.errors import ConfigError
from llmguard.testing import FakeProvider
from tests.calls.conftest import MESSAGES
from tests.optional import optional

optional("openai")
Ask = Callable[..., Any]
ANSWER = b'{"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}'


@pytest.fixture(params=["sync", "async", "async over httpx"])
def ask(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, rows: Any) -> Ask:
    """Ask through the wrapper, each way."""
    if request.param == "async over httpx":
        monkeypatch.setenv("LLM_HTTP_TRANSPORT", "httpx")

    def asked(base_url: str, provider: str = "openai", **options: Any) -> Any:
        wrapper = LLMWrapper(
            provider=provider, client_options={"api_key": "key-1", "max_retries": 0, "base_url": base_url, **options}
        )
        given: dict[str, Any] = {"messages": MESSAGES, "model": "m"}
        method = "chat_completion"
        if provider == "anthropic":
            method, given = "messages_create", {**given, "max_tokens": 5}
        if request.param == "sync":
            return getattr(wrapper, f"{method}_sync")(**given)["response"]

        async def work() -> Any:
            return (await getattr(wrapper, method)(**given))["response"]

        return asyncio.run(work())

    return asked


class Server:
    """A server on the loopback whose answers are a function's."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None], certificate: tuple[str, str] | None = None):
        seen: list[tuple[str, dict[str, str]]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                answer(self)

            def log_message(self, *arguments: Any) -> None:
                """Say nothing."""

        self.seen = seen
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port

    def __enter__(self) -> Server:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def fine(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(ANSWER)))
    handler.end_headers()
    handler.wfile.write(ANSWER)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A certificate for localhost that nobody has signed, and its key."""
    made = (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-out", made[0], "-keyout", made[1]),
        ],
        check=True,
        capture_output=True,
    )
    return made


def test_certificates_are_checked(ask: Ask, certificate: tuple[str, str]) -> None:
    with Server(fine, certificate) as server, pytest.raises(Exception, match="onnection"):
        ask(f"https://localhost:{server.port}/v1")
    assert server.seen == []


def test_a_certificate_of_ones_own_is_honoured(
    ask: Ask, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
    with Server(fine, certificate) as server:
        assert ask(f"https://localhost:{server.port}/v1").id == "1"


def test_proxies_are_honoured(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(fine) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "elsewhere.invalid")
        monkeypatch.setenv("no_proxy", "elsewhere.invalid")
        assert ask("http://models.invalid/v1").id == "1"
        assert [path for path, _ in proxy.seen] == ["http://models.invalid/v1/chat/completions"]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_redirect_to_another_host_is_not_followed(ask: Ask, provider: str) -> None:
    if provider == "anthropic":
        optional("anthropic")
    with Server(fine) as thief:

        def elsewhere(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(307)
            handler.send_header("location", f"http://localhost:{thief.port}/v1/chat/completions")
            handler.send_header("content-length", "0")
            handler.end_headers()

        with Server(elsewhere) as server, pytest.raises(Exception, match="307"):
            ask(f"http://127.0.0.1:{server.port}/v1", provider)
    assert thief.seen == []


def test_a_redirect_on_the_same_host_is_followed(ask: Ask) -> None:
    def once(handler: BaseHTTPRequestHandler) -> None:
        if handler.path.startswith("/v2"):
            fine(handler)
            return
        handler.send_response(307)
        handler.send_header("location", "/v2/chat/completions")
        handler.send_header("content-length", "0")
        handler.end_headers()

    with Server(once) as server:
        assert ask(f"http://127.0.0.1:{server.port}/v1").id == "1"


def test_a_key_does_not_go_to_another_provider(monkeypatch: pytest.MonkeyPatch, rows: Any) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of-openai")
    wrapper = LLMWrapper(provider="openai", client_options={"base_url": "https://api.groq.com/openai/v1"})
    with pytest.raises(ConfigError, match='is that of Groq: pass provider="groq"'):
        wrapper.chat_completion_sync(MESSAGES, model="m")
    assert rows() == []


def _bomb(handler: BaseHTTPRequestHandler) -> None:
    body = gzip.compress(b" " * 30_000_000)
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-encoding", "gzip")
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def _endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.end_headers()
    try:
        for _ in range(100_000):
            handler.wfile.write(b" " * 65536)
    except OSError:
        return  # the client has had enough


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Answers may have five million bytes."""
    from llmguard.calls.transports import guarded

    monkeypatch.setenv("LLM_MAX_RESPONSE_BYTES", "5000000")
    guarded._guarded.cache_clear()
    yield
    guarded._guarded.cache_clear()


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("answer", [_bomb, _endless])
def test_an_answer_without_an_end_breaks_off(ask: Ask, answer: Any) -> None:
    with Server(answer) as server, pytest.raises(Exception, match=r"onnection error|larger than 5,000,000 bytes"):
        ask(f"http://127.0.0.1:{server.port}/v1")


def test_a_limit_that_is_no_number_is_one_line(monkeypatch: pytest.MonkeyPatch, provider: FakeProvider) -> None:
    from llmguard.calls.transports import guarded

    monkeypatch.setenv("LLM_MAX_RESPONSE_BYTES", "much")
    guarded._guarded.cache_clear()
    wrapper = LLMWrapper(provider="openai", client_options={"api_key": "k9", "base_url": provider.base_url})
    with pytest.raises(ConfigError, match="LLM_MAX_RESPONSE_BYTES: must be a number of bytes above 0"):
        wrapper.chat_completion_sync(MESSAGES, model="m")


@pytest.mark.parametrize("model", ["gpt-4o", "o3-mini", "claude-sonnet-4-5", "gemini-2.5-pro"])
def test_another_makers_model_is_not_asked_of_the_default_provider(
    model: str, monkeypatch: pytest.MonkeyPatch, rows: Any
) -> None:
    from llmguard.errors import UsageError

    monkeypatch.setenv("GROQ_API_KEY", "of-groq")
    with pytest.raises(UsageError, match=f'model "{model}" is not served by Groq'):
        LLMWrapper().chat_completion_sync(MESSAGES, model=model)
    assert rows() == []


def test_what_the_default_provider_serves_is_asked(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    optional("groq")
    monkeypatch.setenv("GROQ_API_KEY", "of-groq")
    monkeypatch.setenv("GROQ_BASE_URL", provider.url)
    for model in ("openai/gpt-oss-20b", "llama-3.1-8b-instant", "gpt-4o"):  # behind a URL of one's own, anything
        LLMWrapper().chat_completion_sync(MESSAGES, model=model)
    assert [request.body["model"] for request in provider.requests][:2] == [
        "openai/gpt-oss-20b",
        "llama-3.1-8b-instant",
    ]
