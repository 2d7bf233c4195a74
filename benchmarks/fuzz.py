"""Many programs made by chance through check and migrate: `python benchmarks/fuzz.py [PROGRAMS] [FIRST SEED]`.

Prints how many parse, and each problem with the seed that makes it again; the exit code is 1 when there is one.
"""

from __future__ import annotations

import sys
import time

from tests.fuzz.programs import changed, made, parses
from tests.fuzz.trial import problem_of


def main() -> int:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    began, parsed, problems = time.perf_counter(), 0, 0
    for seed in range(first, first + wanted // 2):
        for make in (made, changed):
            text = make(seed)
            parsed += parses(text)
            problem = problem_of(text)
            if problem:
                problems += 1
                print(f"{make.__name__}({seed}): {problem}")
    seconds = time.perf_counter() - began
    print(f"{wanted:,} programs, {parsed:,} of them parse, {problems} problems, {seconds:.0f} s")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
