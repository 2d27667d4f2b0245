"""ViQuAE: questions about people and things that a picture shows, made from TriviaQA."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .files.picture_files import named_picture
from .files.rows import Row, UniqueIds, file_of, json_lines
from .files.tables import no_table, table_of
from .question import Benchmark, BenchmarkQuestion


def read_viquae(source: Any, split: str, languages: Sequence[str] | None, limit: int | None) -> list[Benchmark]:
    """Read `{split}.jsonl` of `PaulLerner/viquae_dataset`, or the Parquet files that the Hub makes of it.

    Args:
        source (`Path`): A folder with one of these, and the pictures in `images`, in it or beside it, or in
            `viquae_images/images` beside it, where the authors' repository has them.
        split (`str`): `"test"`, `"validation"` or `"train"`.
        languages (`Sequence[str]`, *optional*): English only; not read.
        limit (`int`, *optional*): Read so many questions only.
    """
    if not isinstance(source, Path):
        raise ValueError(
            "ViQuAE's data set holds no pictures, only their names: pass the folder that has `images` in it, and the "
            f"data set as {split}.jsonl, as Parquet, or as `save_to_disk` writes it."
        )
    rows, files, notes = _rows(source, split)
    beside = source.absolute().parent
    rooms = [source / "images", beside / "images", beside / "viquae_images/images"]
    ids, questions = UniqueIds("id"), []
    for row in rows:
        if len(questions) == limit:
            break
        picture = named_picture(rooms, row.text("image"))
        reference = {"answer": _aliases(row)}
        questions.append(BenchmarkQuestion(ids.take(row), row.filled("input"), picture, reference))
    return [Benchmark("viquae", "en", tuple(questions), files, notes=notes)]


def _rows(folder: Path, split: str) -> tuple[Iterator[Row], tuple[Path, ...], tuple[str, ...]]:
    path = file_of([folder], f"{split}.jsonl")
    if path is not None:
        return json_lines(path), (path,), ()
    table = table_of(folder, [split], picture=None)
    if table is None:
        raise no_table(folder, [split], f" and no {split}.jsonl")
    return (row for row, _ in table.rows(["id", "image", "input", "output"])), table.files, table.notes


def _aliases(row: Row) -> list[str]:
    output = row.fields.get("output")
    if not isinstance(output, dict):
        raise row.wrong("output", "an object with the list `answer`")
    return Row(row.file, f"{row.place}, `output`", output).texts("answer")
