"""The benchmarks of the CoMEM paper, read from the files that their authors publish."""

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .aokvqa import read_aokvqa
from .cvqa import SUBSETS, read_cvqa
from .files.picture_in_table import PictureInTable
from .infoseek import LANGUAGES, read_infoseek, read_infoseek_multilingual
from .mrag import read_mrag
from .okvqa import read_okvqa
from .oven import SETS, read_oven
from .question import Benchmark, BenchmarkQuestion
from .viquae import read_viquae


__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "BenchmarkQuestion",
    "PictureInTable",
    "languages_of",
    "load_benchmark",
    "splits_of",
]


@dataclass(frozen=True)
class _Reader:
    """How a benchmark is read, and its splits, of which the first is what papers score."""

    read: Callable[[Any, str, Sequence[str] | None, int | None], list[Benchmark]]
    splits: tuple[str, ...]
    languages: tuple[str, ...] = ("en",)
    is_table: bool = True  # whether the Hub has it as a data set


_READERS = {
    "infoseek": _Reader(read_infoseek, ("val", "train", "test"), is_table=False),
    "oven": _Reader(read_oven, tuple(SETS), is_table=False),
    "mrag": _Reader(read_mrag, ("test",)),
    "okvqa": _Reader(read_okvqa, ("val", "train")),
    "aokvqa": _Reader(read_aokvqa, ("val", "train", "test")),
    "viquae": _Reader(read_viquae, ("test", "validation", "train")),
    "cvqa": _Reader(read_cvqa, ("test",), tuple(SUBSETS.values())),
    "infoseek_multilingual": _Reader(read_infoseek_multilingual, ("val",), tuple(LANGUAGES), is_table=False),
}

BENCHMARKS: tuple[str, ...] = tuple(_READERS)
"""Names of the benchmarks."""


def load_benchmark(
    name: str,
    folder: str | os.PathLike | Any,
    *,
    split: str | None = None,
    languages: Sequence[str] | None = None,
    limit: int | None = None,
) -> list[Benchmark]:
    """Read the questions of a benchmark from local files.

    Pictures are not opened: each is a path, or a [`PictureInTable`] that is read when it is needed. A question whose
    picture is missing has `None` there and is not left out.

    Args:
        name (`str`): One of [`BENCHMARKS`].
        folder (`str`, `os.PathLike`, `datasets.Dataset` or `datasets.DatasetDict`): The folder with the benchmark's
            files, as `docs/how-to/benchmarks.md` lists them, or one that `save_to_disk` wrote; or the data set itself,
            for MRAG-Bench, OK-VQA, A-OKVQA and CVQA.
        split (`str`, *optional*): A part of the benchmark, see [`splits_of`]; without it, the part that papers score.
        languages (`Sequence[str]`, *optional*): Languages to read, see [`languages_of`]; without it, all there are.
        limit (`int`, *optional*): Read only the first so many questions of each language; of InfoSeek and OVEN, half
            of them from each part that their numbers are made of (fewer, if a part has fewer).

    Returns:
        `list[Benchmark]`: One benchmark per language.

    Raises:
        ValueError: If the name, split or language is unknown, a file is missing or damaged, a field is missing or of
            another type, an id comes twice, or there are no questions. File and line are named.
    """
    reader = _reader(name)
    split = {"validation": "val", "val": "validation"}.get(split, split) if split not in reader.splits else split
    if split is None:
        split = reader.splits[0]
    if split not in reader.splits:
        raise ValueError(f"`split` of {name!r} must be one of {list(reader.splits)}, got {split!r}.")
    if languages is not None:
        languages = _checked_languages(name, languages, reader.languages)
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ValueError(f"`limit` must be a whole number from 1, or None, got {limit!r}.")
    if isinstance(folder, (str, os.PathLike)):
        folder = Path(folder)
        if not folder.is_dir():
            raise ValueError(f"`folder` must be the folder with the files of {name!r}; {str(folder)!r} is no folder.")
    elif not reader.is_table:
        raise ValueError(f"{name!r} is read from its files: pass their folder, got {type(folder).__name__}.")
    with _collector_paused():
        benchmarks = reader.read(folder, split, languages, limit)
    if not any(benchmark.questions for benchmark in benchmarks):
        raise ValueError(f"There are no questions of {name!r}, split {split!r}, in {_shown(folder, benchmarks)}.")
    for benchmark in benchmarks:
        if not benchmark.questions:
            raise ValueError(f"{_shown(folder, [benchmark])} holds no questions.")
    return benchmarks


def splits_of(name: str) -> tuple[str, ...]:
    """Return the splits of a benchmark that can be read, first the one that papers score."""
    return _reader(name).splits


def languages_of(name: str) -> tuple[str, ...]:
    """Return the languages of a benchmark, in the order in which they are read."""
    return _reader(name).languages


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause the search for circles: going through a million rows again and again takes longer than reading them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _reader(name: str) -> _Reader:
    if name not in _READERS:
        raise ValueError(f"The benchmark must be one of {list(BENCHMARKS)}, got {name!r}.")
    return _READERS[name]


def _checked_languages(name: str, languages: Sequence[str], known: tuple[str, ...]) -> list[str]:
    languages = [languages] if isinstance(languages, str) else list(languages)
    unknown = [language for language in languages if language not in known]
    if unknown or not languages or len(set(languages)) < len(languages):
        raise ValueError(f"`languages` of {name!r} must be some of {list(known)}, each once, got {languages}.")
    return languages


def _shown(folder: Any, benchmarks: list[Benchmark]) -> str:
    files = [str(path) for benchmark in benchmarks for path in benchmark.files]
    return repr(files[0]) if len(files) == 1 else repr(str(folder)) if isinstance(folder, Path) else "the data set"
