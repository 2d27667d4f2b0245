"""Time that `import comem_hf` adds to `import transformers, torch`, and that of `comem --help`, in fresh processes.

    python benchmarks/model/import_time.py [--repeat 7]

Prints medians. One unmeasured round warms the disk's cache; the cases take turns, so that a busy moment affects all.
"""

import argparse
import statistics
import subprocess
import sys
import time


# Statements, and the statements that are measured after them in the same process.
CASES = (
    ("import transformers, torch", "import comem_hf"),
    ("import transformers, torch", "from comem_hf import CoMemForConditionalGeneration, CoMemProcessor"),
    ("import transformers, torch", "from transformers import AutoModel, AutoProcessor"),
    ("import transformers, torch, comem_hf", "from transformers import AutoModel, AutoProcessor"),
)
MEASURE = """
from time import perf_counter
start = perf_counter()
{}
middle = perf_counter()
{}
print(middle - start, perf_counter() - middle)
"""


def measure_case(before: str, then: str) -> tuple[float, float]:
    """Measure the seconds of two statements, run in turn in a new process, without the interpreter's start."""
    command = [sys.executable, "-c", MEASURE.format(before, then)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, second = done.stdout.split()
    return float(first), float(second)


def measure_help() -> float:
    """Measure the seconds of `comem --help` as a whole, including the interpreter's start."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "comem_hf", "--help"], capture_output=True, check=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure all cases in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7, help="processes per figure")
    repeat = parser.parse_args().repeat
    rounds = [([measure_case(*case) for case in CASES], measure_help()) for _ in range(repeat + 1)][1:]
    print(f"{'after these statements':<38} {'':>8}   {'these take':<68} {'':>8}")
    for number, (before, then) in enumerate(CASES):
        first, second = (statistics.median(times[number][part] for times, _ in rounds) for part in (0, 1))
        print(f"{before:<38} {first:6.3f} s   {then:<68} {second:6.3f} s   {second / first:7.2%}")
    print(f"comem --help: {statistics.median(seconds for _, seconds in rounds):.3f} s in all")


if __name__ == "__main__":
    main()
