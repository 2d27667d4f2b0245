"""A-OKVQA: questions about pictures of COCO, with four choices and ten direct answers."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .files.picture_files import named_picture
from .files.picture_in_table import PictureInTable
from .files.rows import Row, UniqueIds, file_of, json_entries
from .files.tables import no_table, table_of
from .question import Benchmark, BenchmarkQuestion


def read_aokvqa(source: Any, split: str, languages: Sequence[str] | None, limit: int | None) -> list[Benchmark]:
    """Read A-OKVQA in its own form, with COCO's pictures, or the Parquet files of `HuggingFaceM4/A-OKVQA`.

    Args:
        source (`Path` or a data set): A folder with `aokvqa_v1p0_val.json` and `coco/val2017/000000000001.jpg`, or
            what [`table_of`] takes. There the direct answers may be text that Python writes for a list.
        split (`str`): `"val"`, `"train"` or `"test"`.
        languages (`Sequence[str]`, *optional*): English only; not read.
        limit (`int`, *optional*): Read so many questions only.
    """
    name = f"aokvqa_v1p0_{split}.json"
    path = file_of([source], name) if isinstance(source, Path) else None
    if path is not None:
        rows, files, notes = _of_json(source, path, split), (path,), ()
    else:
        names = ["validation", "val"] if split == "val" else [split]
        table = table_of(source, names)
        if table is None:
            raise no_table(source, names, f" and no {name}")
        answers = ["correct_choice_idx", "direct_answers", "difficult_direct_answer"]
        rows = table.rows(["question_id", "question", "choices"], answers)
        files, notes = table.files, table.notes
    ids, questions = UniqueIds("question_id"), []
    for row, picture in rows:
        if len(questions) == limit:
            break
        choices = row.listed("choices")
        questions.append(
            BenchmarkQuestion(
                ids.take(row),
                row.filled("question"),
                picture,
                _reference(row, choices, split),
                options=tuple(choices),
            )
        )
    return [Benchmark("aokvqa", "en", tuple(questions), files, notes=notes)]


def _of_json(folder: Path, path: Path, split: str) -> Iterator[tuple[Row, Path | PictureInTable | None]]:
    rooms = [folder / "coco" / f"{split}2017", folder / f"{split}2017"]
    for row in json_entries(path):
        yield row, named_picture(rooms, f"{row.whole('image_id'):012d}.jpg")


def _reference(row: Row, choices: list[str], split: str) -> dict[str, Any] | None:
    if split == "test" and not row.has("correct_choice_idx", "direct_answers"):
        return None
    return {
        "choices": choices,
        "correct_choice_idx": row.whole("correct_choice_idx", below=len(choices)),
        "direct_answers": row.listed("direct_answers"),
        "difficult_direct_answer": row.flag("difficult_direct_answer"),
    }
