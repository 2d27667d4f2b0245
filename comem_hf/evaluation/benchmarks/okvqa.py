"""OK-VQA: questions about pictures of COCO that need knowledge from elsewhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers.utils import logging

from .files.picture_files import named_picture
from .files.rows import Row, UniqueIds, file_of, json_entries
from .files.tables import no_table, table_of
from .question import Benchmark, BenchmarkQuestion


logger = logging.get_logger(__name__)


def read_okvqa(source: Any, split: str, languages: Sequence[str] | None, limit: int | None) -> list[Benchmark]:
    """Read OK-VQA in the form of VQA v1, with COCO's pictures, or the Parquet files of `lmms-lab/OK-VQA`.

    Args:
        source (`Path` or a data set): A folder with `OpenEnded_mscoco_val2014_questions.json`,
            `mscoco_val2014_annotations.json` and `val2014/COCO_val2014_000000000001.jpg`, or what [`table_of`] takes.
        split (`str`): `"val"` or `"train"`.
        languages (`Sequence[str]`, *optional*): English only; not read.
        limit (`int`, *optional*): Read so many questions only.
    """
    year = f"{split}2014"
    names = [year, split, "validation"] if split == "val" else [year, split]
    questions_file = f"OpenEnded_mscoco_{year}_questions.json"
    path = file_of([source], questions_file) if isinstance(source, Path) else None
    if path is not None:
        return [_read_json(source, path, year, limit)]
    table = table_of(source, names)
    if table is None:
        raise no_table(source, names, f" and no {questions_file}")
    ids, questions = UniqueIds("question_id"), []
    for row, picture in table.rows(["question_id", "question", "answers", "question_type"]):
        if len(questions) == limit:
            break
        kind = row.text("question_type")
        reference = {"answers": row.texts("answers"), "question_type": kind}
        questions.append(BenchmarkQuestion(ids.take(row), row.filled("question"), picture, reference, kind=kind))
    return [Benchmark("okvqa", "en", tuple(questions), table.files, notes=table.notes)]


def _read_json(folder: Path, path: Path, year: str, limit: int | None) -> Benchmark:
    ids, rows = UniqueIds("question_id"), []
    for row in json_entries(path, "questions"):
        if len(rows) == limit:
            break
        rows.append((ids.take(row), row))
    annotations_file = folder / f"mscoco_{year}_annotations.json"
    annotations = _annotations(annotations_file) if annotations_file.is_file() else None
    notes = ()
    if annotations is None:
        notes = (f"There is no {annotations_file.name}: the questions can be answered, but not scored.",)
        logger.warning(f"{str(folder)!r}: {notes[0]}")
    questions = []
    for question_id, row in rows:
        reference, kind = None, ""
        if annotations is not None:
            if question_id not in annotations:
                raise ValueError(
                    f"{str(annotations_file)!r} has no annotation of `question_id` {question_id} of {row.where}."
                )
            answers, kind = annotations[question_id]
            reference = {"answers": answers, "question_type": kind}
        picture = named_picture([folder / year, folder], f"COCO_{year}_{row.whole('image_id'):012d}.jpg")
        questions.append(BenchmarkQuestion(question_id, row.filled("question"), picture, reference, kind=kind))
    files = (path,) if annotations is None else (path, annotations_file)
    return Benchmark("okvqa", "en", tuple(questions), files, notes=notes)


def _annotations(path: Path) -> dict[str, tuple[list[dict], str]]:
    ids, found = UniqueIds("question_id"), {}
    for row in json_entries(path, "annotations"):
        found[ids.take(row)] = (_answers(row), row.text("question_type"))
    return found


def _answers(row: Row) -> list[dict]:
    answers = row.fields.get("answers")
    if not isinstance(answers, list) or not answers:
        raise row.wrong("answers", "a list of answers")
    if not all(isinstance(each, dict) and isinstance(each.get("answer"), str) for each in answers):
        raise row.wrong("answers", "a list of objects with a string `answer`")
    return answers
