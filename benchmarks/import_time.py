"""What `import comem_hf` adds to `import transformers, torch`, and what `comem --help` takes, in fresh processes.

    python benchmarks/import_time.py [--repeat 7]

One unmeasured round warms the disk's cache; the others take turns, so that a busy moment meets all alike.
"""

import argparse
import statistics
import subprocess
import sys
import time


MEASURE = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"

STATEMENTS = {
    "import transformers, torch": "import transformers, torch",
    "the same, and comem_hf": "import transformers, torch, comem_hf",
    "from transformers import AutoModel, AutoProcessor": "from transformers import AutoModel, AutoProcessor",
    "the same, after comem_hf": "import comem_hf; from transformers import AutoModel, AutoProcessor",
    "import comem_hf": "import comem_hf",
}
HELP = "comem --help"
BASE, WITH, *_ = STATEMENTS


def measure_statements(statements: str) -> float:
    """Seconds that statements take in a new process, without the interpreter's own start."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(statements)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def measure_help() -> float:
    """Seconds of `comem --help` as a whole, the interpreter's start included."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "comem_hf", "--help"], capture_output=True, check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7, help="processes per figure")
    repeat = parser.parse_args().repeat
    seconds: dict[str, list[float]] = {name: [] for name in (*STATEMENTS, HELP)}
    for _ in range(repeat + 1):
        for name, statements in STATEMENTS.items():
            seconds[name].append(measure_statements(statements))
        seconds[HELP].append(measure_help())
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name:<50} {median:6.3f} s   ({min(seconds[name][1:]):.3f} to {max(seconds[name][1:]):.3f})")
    added, base = medians[WITH] - medians[BASE], medians[BASE]
    print(f"comem_hf adds {added:.3f} s to {base:.3f} s: {added / base:.1%}")


if __name__ == "__main__":
    main()
