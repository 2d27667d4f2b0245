"""Where the files of a benchmark lie: in a folder of the user's, or on the Hub."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from comem_hf.evaluation.benchmarks import Benchmark, load_benchmark
from comem_hf.evaluation.scoring import Scorer, scorers_of

from . import TASKS


FOLDER = "COMEM_BENCHMARKS"
VOCABULARY = "vocab.txt"


@cache
def open_benchmark(task: str) -> Benchmark:
    """Read the benchmark of a task, once in each process.

    The files are those of the folder in the environment variable `COMEM_BENCHMARKS` that has the benchmark's name, or
    else those on the Hub, where they are there.

    Args:
        task (`str`): Name of the task, as in `tasks/benchmarks.jsonl`.

    Raises:
        ValueError: If there are no files, or they cannot be read.
    """
    row = _row(task)
    [benchmark] = load_benchmark(row["benchmark"], _folder(row), languages=[row["language"]])
    if all(question.reference is None for question in benchmark.questions):
        raise ValueError(f"The questions of {task} have no answers to score by: take a split that has them.")
    return benchmark


@cache
def scorers_for(task: str) -> dict[str, Scorer]:
    """Return the scorers of a task's benchmark by their names, `"official"` and `"release"`.

    Of several official ones, the first: the number that papers compare.
    OVEN's need `vocab.txt` of bert-base-uncased, which lies beside its files.
    """
    row = _row(task)
    vocabulary = _folder(row) / VOCABULARY if row["benchmark"] == "oven" else None
    if vocabulary is not None and not vocabulary.is_file():
        raise ValueError(f"{task} needs the vocabulary of bert-base-uncased, but {str(vocabulary)!r} is missing.")
    found: dict[str, Scorer] = {}
    for scorer in scorers_of(open_benchmark(task), vocabulary=vocabulary):
        found.setdefault(scorer.name, scorer)
    return found


def _row(task: str) -> dict[str, Any]:
    rows = map(json.loads, (TASKS / "benchmarks.jsonl").read_text(encoding="utf-8").splitlines())
    return next(row for row in rows if row["task"] == task)


def _folder(row: dict[str, Any]) -> Path:
    own = os.environ.get(FOLDER)
    if own and (folder := Path(own) / row["benchmark"]).is_dir():
        return folder
    if row["repository"] is None:
        raise ValueError(
            f"{row['task']} needs the files of {row['benchmark']!r}, which are on no Hub: set {FOLDER} to a folder "
            f"that has them in {row['benchmark']!r}."
        )
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(row["repository"], repo_type="dataset", allow_patterns=row["files"]))
