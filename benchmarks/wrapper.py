"""What the wrapper costs beside the SDK that it uses, LiteLLM, and nothing at all.

    python benchmarks/wrapper.py calls       # CPU and throughput against openai, groq and LiteLLM
    python benchmarks/wrapper.py streams     # microseconds that a chunk costs
    python benchmarks/wrapper.py own         # `client=` with a client of the caller's against the wrapper's own
    python benchmarks/wrapper.py service     # the failover service on top of the wrapper
    python benchmarks/wrapper.py start       # import llmguard against a bare interpreter; what the first call loads

Calls go to a provider on the loopback. Each arm is a process, rounds alternate, ratios are medians of those of a round.
Recording into a ledger (SQLite) is included. Exits with 1 when a bound is not met: CPU 1.10 times the bare SDK one at a
time, throughput at 64 at once 2 times openai's and 1 time groq's, CPU 0.7 times LiteLLM's, 10 microseconds a chunk, the
failover service 1.15 times the wrapper, `client=` 1.05 times the wrapper's own client (made like it: the same SDK over
the same connections) in calls and chunks, import 1.3 times a bare interpreter.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

ROUNDS = 9
MESSAGES = [{"role": "user", "content": "What is the answer to everything?"}]
#: (arm, the one it is measured by, calls at once, figure, bound, whether less is better)
BOUNDS = (
    ("wrapper openai", "openai", 1, "cpu", 1.10, True),
    ("wrapper groq", "groq", 1, "cpu", 1.10, True),
    ("wrapper openai", "openai", 64, "rate", 2.0, False),
    ("wrapper groq", "groq", 64, "rate", 1.0, False),
    ("wrapper openai", "litellm", 1, "cpu", 0.7, True),
    ("wrapper openai", "litellm", 64, "cpu", 0.7, True),
)
MOST_PER_CHUNK, MOST_IMPORT, MOST_OWN, MOST_SERVICE = 10.0, 1.3, 1.05, 1.15


def asking(arm: str, base_url: str) -> Callable[..., Awaitable[Any]]:
    """The call of an arm."""
    arm, root = arm.removesuffix(" stream"), base_url.removesuffix("/v1")
    if arm == "openai":
        import openai

        return openai.AsyncOpenAI(base_url=base_url, api_key="k").chat.completions.create
    if arm == "groq":
        import groq

        return groq.AsyncGroq(base_url=root, api_key="k").chat.completions.create
    if arm == "litellm":
        import functools

        import litellm

        call = functools.partial(litellm.acompletion, api_base=base_url, api_key="k")
        return lambda **given: call(**{**given, "model": f"openai/{given['model']}"})
    from llmguard import LLMWrapper

    if arm == "client openai":
        return asking_with_client(base_url)
    if arm == "service openai":
        return asking_the_service(base_url)
    provider = arm.split()[1]
    options = {"api_key": "k", "base_url": root if provider == "groq" else base_url}
    wrapper = LLMWrapper(provider=provider, client_options=options)

    async def ask(**given: Any) -> Any:
        return (await wrapper.chat_completion(**given, user_id="u", service_name="benchmark"))["response"]

    return ask


def asking_with_client(base_url: str) -> Callable[..., Awaitable[Any]]:
    """The call with a client of the caller's own, which is made like the wrapper's."""
    import openai

    from llmguard import llm_wrapper
    from llmguard.calls.transports.sdk import http_client

    client = openai.AsyncOpenAI(base_url=base_url, api_key="k", http_client=http_client(openai, asynchronous=True))

    async def ask(**given: Any) -> Any:
        made = await llm_wrapper.chat_completion(client=client, **given, user_id="u", service_name="benchmark")
        return made["response"]

    return ask


def asking_the_service(base_url: str) -> Callable[..., Awaitable[Any]]:
    """The call by the failover service, with a fallback that is not needed."""
    from llmguard import UnifiedLLMService
    from llmguard.calls.service_settings import ServiceSettings

    os.environ.update(OPENAI_BASE_URL=base_url, OPENAI_API_KEY="k", GROQ_API_KEY="k", OPENAI_MODEL="gpt-4o")
    service = UnifiedLLMService(ServiceSettings("openai", ("groq",), pool_size=1))

    async def ask(**given: Any) -> Any:
        return await service.generate_response_async(**given, user_id="u", service_name="benchmark")

    return ask


async def measure(arm: str, base_url: str) -> None:
    """One process: for each line that is read, CPU milliseconds per call and calls per second."""
    ask = asking(arm, base_url)
    flush: Callable[[], Any] = lambda: None  # noqa: E731
    if arm.startswith(("wrapper", "client", "service")):
        from llmguard.usage.recorder import recorder

        flush = recorder().flush
    stream = "stream" in arm

    async def one() -> int:
        response = await ask(model="gpt-4o", messages=MESSAGES, **({"stream": True} if stream else {}))
        return sum([1 async for _ in response]) if stream else 1

    async def work(numbers: Iterator[int]) -> int:
        return sum([await one() for _ in numbers])

    for _ in range(20):
        await one()
    flush()
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        at_once, calls = map(int, line.split())
        numbers = iter(range(calls))
        cpu, clock = time.process_time(), time.perf_counter()
        units = sum(await asyncio.gather(*(work(numbers) for _ in range(at_once))))
        took = time.perf_counter() - clock
        flush()
        print((time.process_time() - cpu) * 1000 / units, calls / took, flush=True)
    os._exit(0)


class Arm:
    """A process that measures."""

    def __init__(self, name: str, base_url: str, folder: str) -> None:
        env = {
            **os.environ,
            "LLMGUARD_DATABASE_URL": f"sqlite:///{folder}/{name.replace(' ', '-')}.db",
            "LLMGUARD_SPOOL_DIR": f"{folder}/spool",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        command = [sys.executable, "-W", "ignore", __file__, "arm", name, base_url]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        while (line := self._line()) != "ready":
            assert line, f"{name} ended"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def round(self, at_once: int, calls: int) -> tuple[float, float]:
        """CPU milliseconds per call, calls per second."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{at_once} {calls}\n")
        self.process.stdin.flush()
        cpu, rate = self._line().split()
        return float(cpu), float(rate)

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.communicate()


def calls() -> bool:
    """Whether the bounds of calls hold."""
    from loopback import provider

    good = True
    with tempfile.TemporaryDirectory() as folder, provider() as base_url:
        arms = {
            name: Arm(name, base_url, folder)
            for name in ("openai", "groq", "litellm", "wrapper openai", "wrapper groq")
        }
        for at_once, number in ((1, 150), (64, 512)):
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
            for turn in range(ROUNDS):
                for name in list(arms)[:: 1 if turn % 2 else -1]:
                    found[name].append(arms[name].round(at_once, number))
            for name, rounds in found.items():
                cpu, rate = (statistics.median(column) for column in zip(*rounds, strict=True))
                print(f"{at_once:2} at once  {name:15} {cpu:6.3f} ms CPU per call  {rate:6.0f} calls/s")
            for name, other, when, figure, bound, less in BOUNDS:
                if when == at_once:
                    at = ("cpu", "rate").index(figure)
                    pairs = zip(found[name], found[other], strict=True)
                    ratio = statistics.median(mine[at] / theirs[at] for mine, theirs in pairs)
                    holds = ratio <= bound if less else ratio >= bound
                    good &= holds
                    asked = f"asked: {'<=' if less else '>='} {bound}"
                    print(f"    {name} / {other}: {figure} {ratio:.2f} ({asked}){'' if holds else '  NOT MET'}")
        for arm in arms.values():
            arm.end()
    return good


def streams() -> bool:
    """Whether a chunk through the wrapper costs little enough."""
    from llmguard.testing import Answer, FakeProvider

    with tempfile.TemporaryDirectory() as folder, FakeProvider(Answer("word " * 400, chunks=400)) as fake:
        names = ("openai", "wrapper openai")
        arms = {name: Arm(f"{name} stream", fake.base_url, folder) for name in names}
        found: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(ROUNDS):
            for name in names[:: 1 if turn % 2 else -1]:
                found[name].append(arms[name].round(1, 10)[0] * 1000)
        for arm in arms.values():
            arm.end()
    added = statistics.median(mine - theirs for mine, theirs in zip(found[names[1]], found[names[0]], strict=True))
    bare = statistics.median(found[names[0]])
    print(f"a chunk costs {bare:.1f} us by the bare SDK; the wrapper adds {added:+.1f} us (asked: <= {MOST_PER_CHUNK})")
    return added <= MOST_PER_CHUNK


def own() -> bool:
    """Whether a client of the caller's costs what the wrapper's own does, in calls and in chunks."""
    from loopback import provider

    from llmguard.testing import Answer, FakeProvider

    good, names = True, ("wrapper openai", "client openai")
    with (
        tempfile.TemporaryDirectory() as folder,
        provider() as base_url,
        FakeProvider(Answer("word " * 400, chunks=400)) as fake,
    ):
        for kind, url, number in (("", base_url, 150), (" stream", fake.base_url, 10)):
            arms = {name: Arm(name + kind, url, folder) for name in names}
            pairs = []
            for turn in range(2 * ROUNDS):
                took = {name: arms[name].round(1, number)[0] for name in names[:: 1 if turn % 2 else -1]}
                pairs.append(took[names[1]] / took[names[0]])
            for arm in arms.values():
                arm.end()
            ratio = statistics.median(pairs)
            good &= ratio <= MOST_OWN
            print(f"client= / the wrapper's own,{kind or ' calls'}: CPU {ratio:.2f} times (asked: <= {MOST_OWN})")
    return good


def service() -> bool:
    """Whether the failover service costs little on top of the wrapper."""
    from loopback import provider

    names, pairs = ("wrapper openai", "service openai"), []
    with tempfile.TemporaryDirectory() as folder, provider() as base_url:
        arms = {name: Arm(name, base_url, folder) for name in names}
        for turn in range(2 * ROUNDS):
            took = {name: arms[name].round(1, 150)[0] for name in names[:: 1 if turn % 2 else -1]}
            pairs.append(took[names[1]] / took[names[0]])
        for arm in arms.values():
            arm.end()
    ratio = statistics.median(pairs)
    print(f"the failover service / the wrapper: CPU {ratio:.2f} times (asked: <= {MOST_SERVICE})")
    return ratio <= MOST_SERVICE


def start() -> bool:
    """Whether the import is light."""
    times: dict[str, list[float]] = {"pass": [], "import llmguard": []}
    for _ in range(25):
        for code, taken in times.items():
            before = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            taken.append(time.perf_counter() - before)
    ratio = statistics.median(mine / bare for bare, mine in zip(*times.values(), strict=True))
    print(f"import llmguard: {ratio:.2f} times a bare interpreter (asked: <= {MOST_IMPORT})")
    return ratio <= MOST_IMPORT


if __name__ == "__main__":
    if sys.argv[1:2] == ["arm"]:
        asyncio.run(measure(*sys.argv[2:]))
    parts = {"calls": calls, "streams": streams, "own": own, "service": service, "start": start}
    results = [parts[name]() for name in sys.argv[1:] or parts]
    sys.exit(0 if all(results) else 1)
