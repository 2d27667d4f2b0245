"""MRAG-Bench: questions with four options, for which another picture of the same thing helps."""

from collections.abc import Sequence
from typing import Any

from .files.csv_table import CsvTable
from .files.rows import Row, UniqueIds, file_of
from .files.tables import no_table, table_of
from .question import Benchmark, BenchmarkQuestion


_LETTERS = ("A", "B", "C", "D")
_CSV = ("questions.csv", "release/questions.csv")


def read_mrag(source: Any, split: str, languages: Sequence[str] | None, limit: int | None) -> list[Benchmark]:
    """Read the table of MRAG-Bench: Parquet as the Hub has it, or the `questions.csv` that the CoMEM release reads.

    Of the pictures only that of the question is read, not those that the benchmark retrieved.

    Args:
        source (`Path` or a data set): See [`table_of`].
        split (`str`): `"test"`.
        languages (`Sequence[str]`, *optional*): English only; not read.
        limit (`int`, *optional*): Read so many questions only.
    """
    table = table_of(source, [split])
    if table is None:
        path = file_of([source], *_CSV)
        if path is None:
            raise no_table(source, [split], " and no questions.csv")
        table = CsvTable(path)
    ids, questions = UniqueIds("id"), []
    for row, picture in table.rows(["id", "scenario", "question", *_LETTERS, "answer_choice", "answer"]):
        if len(questions) == limit:
            break
        questions.append(
            BenchmarkQuestion(
                ids.take(row),
                row.filled("question"),
                picture,
                _reference(row),
                options=tuple(row.text(letter) for letter in _LETTERS),
                kind=row.filled("scenario"),
            )
        )
    return [Benchmark("mrag", "en", tuple(questions), table.files, notes=table.notes)]


def _reference(row: Row) -> dict[str, str]:
    if row.fields.get("answer_choice") not in _LETTERS:
        raise row.wrong("answer_choice", f"one of {list(_LETTERS)}")
    return {name: row.text(name) for name in ("answer_choice", "answer", "scenario")}
