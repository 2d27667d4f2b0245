"""Readers of a bank that is being changed: `benchmarks/bank_readers.py` for five seconds."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_readers_get_no_wrong_answer_while_a_writer_changes_the_bank_and_is_killed():
    script = Path(__file__).parents[2] / "benchmarks" / "bank_readers.py"
    done = subprocess.run(
        [sys.executable, script, "--seconds", "5", "--readers", "3"], capture_output=True, text=True, timeout=200
    )
    counts = dict(line.rsplit(maxsplit=1) for line in done.stdout.splitlines()[1:])
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts["wrong answers"] == "0"
    assert all(int(counts[name]) > 0 for name in ("generations written", "searches", "reloads", "generations"))
