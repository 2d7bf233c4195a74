"""A fake provider: a real HTTP server on the loopback that speaks the wire formats of OpenAI, Anthropic, Google and
Cohere, and keeps a log of what it was asked."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from llmguard.testing.wire import Answer, dialect_of, error, events, whole


class Request(NamedTuple):
    """A request that arrived.

    Attributes:
        path: with the query.
        headers: names in lower case.
        body: the JSON object, or the bytes when it is none.
        method: of HTTP.
    """

    path: str
    headers: dict[str, str]
    body: Any
    method: str = "POST"


class FakeProvider:
    """A provider on the loopback, while the `with` block runs.

        with FakeProvider() as provider:
            client = openai.OpenAI(base_url=provider.base_url, api_key="test")

    Attributes:
        answer: what it answers.
        answers: what it answers next, one for each request; `answer` when there is none left.
        requests: those that arrived, in order; each is there before it is answered.
    """

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer or Answer()
        self.answers: deque[Answer] = deque()
        self.requests: list[Request] = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self

    @property
    def url(self) -> str:
        """Where it listens: for the SDKs of Anthropic, Google, Cohere and Mistral."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def base_url(self) -> str:
        """The same with `/v1`: for the SDKs of OpenAI and Groq, and for LiteLLM."""
        return f"{self.url}/v1"

    def __enter__(self) -> FakeProvider:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def next_answer(self) -> Answer:
        """What the next request is answered."""
        return self.answers.popleft() if self.answers else self.answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    provider: FakeProvider

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65536
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        expected = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(expected)
        if len(raw) < expected:  # who asked is gone in the middle of it: nobody was asked anything
            self.close_connection = True
            return
        try:
            body = json.loads(raw)
        except ValueError:
            body = raw
        headers = {name.lower(): value for name, value in self.headers.items()}
        provider = self.server.provider
        provider.requests.append(Request(self.path, headers, body, self.command))
        answer = provider.next_answer()
        if answer.delay:
            time.sleep(answer.delay)
        asked = body if isinstance(body, dict) else {}
        dialect = dialect_of(self.path)
        if answer.body is not None:
            self._send(answer, answer.body, answer.content_type)
        elif answer.status >= 400:
            self._send(answer, json.dumps(error(dialect, answer)).encode())
        elif asked.get("stream") or "streamGenerateContent" in self.path:
            self._stream(dialect, asked, answer)
        else:
            self._send(answer, json.dumps(whole(dialect, self.path, asked, answer)).encode())

    def _head(self, answer: Answer, content_type: str) -> None:
        self.send_response(answer.status)
        self.send_header("content-type", content_type)
        for name, value in answer.headers:
            self.send_header(name, value)

    def _send(self, answer: Answer, data: bytes, content_type: str = "application/json") -> None:
        self._head(answer, content_type)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _stream(self, dialect: str, asked: dict[str, Any], answer: Answer) -> None:
        self._head(answer, "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number, event in enumerate(events(dialect, asked, answer)):
            if answer.cut is not None and number >= answer.cut:
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            if answer.chunk_delay:
                self.wfile.flush()
                time.sleep(answer.chunk_delay)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
