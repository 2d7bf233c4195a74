"""What recording a call costs the code that makes it, with a database that is well, that hangs, and that is gone.

    python benchmarks/recording.py

Prints the time of one call's two records (intent and finish) on the call path, and beside it what the machine takes for
one append of that size to a file. Exits with 1 above 50 microseconds at the median or 500 at the 99th percentile.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

CALLS = 5000
MOST_MEDIAN, MOST_P99 = 50.0, 500.0


def measure() -> None:
    """One process: the times of its calls, at the pace of a busy service."""
    from llmguard.usage.call import Call
    from llmguard.usage.recorder import recorder
    from llmguard.usage.tokens import Tokens

    current = recorder()
    tokens = Tokens(100, 40, 140)
    request = {"messages": [{"role": "user", "content": "What is the answer to everything? " * 10}]}
    times = []
    for number in range(CALLS + 200):
        before = time.perf_counter()
        call = Call(current, {"provider": "openai", "model": "gpt-4o", "operation": "chat", "service_name": "s"})
        call.start(request)
        call.finish("ok", tokens=tokens, source="provider", status_code=200)
        if number >= 200:
            times.append((time.perf_counter() - before) * 1e6)
        time.sleep(0.0005)
    times.sort()
    print(statistics.median(times), times[int(len(times) * 0.99)])
    os._exit(0)


def append_cost() -> float:
    """Microseconds of one `write` of 600 bytes to an append-only file."""
    with tempfile.TemporaryDirectory() as folder:
        descriptor = os.open(os.path.join(folder, "f"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        line = b"x" * 600
        times = []
        for _ in range(5000):
            before = time.perf_counter()
            os.write(descriptor, line)
            times.append((time.perf_counter() - before) * 1e6)
        os.close(descriptor)
    return statistics.median(times)


def main() -> int:
    """Measure and compare."""
    hung = socket.create_server(("127.0.0.1", 0), backlog=16)
    gone = socket.create_server(("127.0.0.1", 0))
    port = gone.getsockname()[1]
    gone.close()
    failed = False
    print(f"one append of 600 bytes: {append_cost():.1f} us")
    with tempfile.TemporaryDirectory() as folder:
        databases = {
            "well (SQLite)": f"sqlite:///{folder}/usage.db",
            "hung": f"postgresql://x@127.0.0.1:{hung.getsockname()[1]}/x",
            "gone": f"postgresql://x@127.0.0.1:{port}/x",
        }
        for name, url in databases.items():
            env = {**os.environ, "LLMGUARD_DATABASE_URL": url, "LLMGUARD_SPOOL_DIR": f"{folder}/spool"}
            done = subprocess.run(
                [sys.executable, __file__, "measure"], env=env, capture_output=True, text=True, check=True
            )
            median, p99 = map(float, done.stdout.split())
            failed |= median > MOST_MEDIAN or p99 > MOST_P99
            print(f"database {name:14} median {median:6.1f} us   99 % below {p99:6.1f} us")
    hung.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(measure() if sys.argv[1:] == ["measure"] else main())
