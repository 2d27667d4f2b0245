"""Searching a bank and fetching the hits' memory, at a modest size; `make bench-bank` measures a million items.

    python -m benchmarks.speed.bank [--items 50000]

The bank of `benchmarks/bank/scale.py`: clustered vectors of 512 numbers, memory of 8 x 576 in int8, texts of 100 to
300 characters. A new process on one core opens it and fetches ten hits for each of 400 queries.
"""

import tempfile
from pathlib import Path

from benchmarks.bank.scale import measure
from benchmarks.speed.shared.arguments import parse
from benchmarks.speed.shared.recording import record


ROWS = {
    "open_s": "opening, s",
    "open_mb": "resident memory of the open bank, MB",
    "search_ms": "search, median, ms",
    "fetch_ms": "fetching items and memory of ten hits, median, ms",
    "p50_ms": "both, median, ms",
    "p95_ms": "both, 95th percentile, ms",
    "cpu_ms": "both, median of processor time, ms",
    "recall_at_10": "recall@10 against exact search",
}


def main() -> None:
    """Write, read in a new process, record."""
    options = parse(__doc__, shape="atlas-small", items={"type": int, "default": 50_000, "help": "items of the bank"})
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.items)
    rows = [{"what": shown, "measured": float(figures[name])} for name, shown in ROWS.items()]
    record("bank", f"A bank of {options.items:,} items, without a model;", options, rows)


if __name__ == "__main__":
    main()
