"""What planning a migration costs beside a check, and how much memory it takes.

    python benchmarks/migrate.py

20,000 files, of which 200 have a call; both commands in processes of their own, in turns. Exits with 1 when the plan
takes more than twice the CPU of the check, or more than 300 MB.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

FILES, SITES, ROUNDS = 20_000, 200, 3
MOST_TIMES, MOST_MEGABYTES = 2.0, 300
_PLAIN = """import os


class Thing{n}:
    def run(self, values):
        return [os.path.join("a", str(value)) for value in values]

"""
_CALL = """from groq import Groq


class Service{n}:
    def __init__(self):
        self.client = Groq(timeout=10)

    def ask(self, user_id, text):
        response = self.client.chat.completions.create(model="m", messages=[{{"role": "user", "content": text}}])
        return response.choices[0].message.content
"""


def main() -> int:
    """Measure both, by turns."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(FILES):
            package = Path(folder) / f"package{number // 500}"
            package.mkdir(exist_ok=True)
            text = _CALL if number % (FILES // SITES) == 0 else _PLAIN * 4
            (package / f"module{number}.py").write_text(
                text.replace("{n}", str(number)).replace("{{", "{").replace("}}", "}")
            )
        times: dict[str, list[float]] = {"check": [], "migrate": []}
        most = 0.0
        for _ in range(ROUNDS):
            for name, taken in times.items():
                code = (
                    "import resource, sys\nfrom llmguard.cli import main\n"
                    f"sys.argv = ['llmguard', {name!r}, '--isolated', '--output-format', 'json', {folder!r}]\n"
                    "try:\n    main()\nexcept SystemExit:\n    pass\n"
                    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)"
                )
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
                if name == "migrate":
                    most = max(most, float(done.stderr.split()[-1]))
                    assert done.stdout.count('"verdict": "migrated') == SITES
    ratio = statistics.median(mine / theirs for theirs, mine in zip(*times.values(), strict=True))
    print(f"check {statistics.median(times['check']):.2f} s CPU, plan {statistics.median(times['migrate']):.2f} s")
    print(f"plan / check: {ratio:.2f} (asked: <= {MOST_TIMES}); {most:.0f} MB (asked: <= {MOST_MEGABYTES})")
    return 0 if ratio <= MOST_TIMES and most <= MOST_MEGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())
