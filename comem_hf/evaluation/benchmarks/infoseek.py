"""InfoSeek, in English and in the five languages that the CoMEM release translated its questions to."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from transformers.utils import logging

from .files.halves import first_of_both
from .files.picture_files import oven_pictures
from .files.rows import Row, UniqueIds, file_of, json_lines, needed_file
from .question import Benchmark, BenchmarkQuestion


logger = logging.get_logger(__name__)

LANGUAGES = {"zh": "chinese", "ru": "russian", "es": "spanish", "pt": "portuguese", "bg": "bulgarian"}
"""Languages of multilingual InfoSeek, and their names in its files."""

_TYPES = ("String", "Numerical", "Time")
_PARTS = ("val_unseen_question", "val_unseen_entity")


def read_infoseek(folder: Path, split: str, languages: Sequence[str] | None, limit: int | None) -> list[Benchmark]:
    """Read `infoseek_{split}.jsonl`, with the question types of `infoseek_{split}_qtype.jsonl`.

    Without the second file the types are told from the answers, and a warning says so: a range of numbers is
    `"Numerical"`, answers that are all years `"Time"`, all others `"String"`.

    Args:
        folder (`Path`): Has these files, and the pictures: `oven_images/04/oven_04925731.jpg`, or any place that
            `id2image.jsonl` names.
        split (`str`): `"val"`, `"train"` or `"test"`.
        languages (`Sequence[str]`, *optional*): English only; not read.
        limit (`int`, *optional*): Read so many questions only: of `"val"`, the first of each half (unseen questions,
            unseen entities), because its number is made of both; in the order of the file.
    """
    path = needed_file(folder, f"infoseek_{split}.jsonl")
    return [_read("infoseek", "en", path, split, [folder], limit)]


def read_infoseek_multilingual(
    folder: Path, split: str, languages: Sequence[str] | None, limit: int | None
) -> list[Benchmark]:
    """Read `infoseek_val_{spanish,portuguese,chinese,russian,bulgarian}.jsonl`.

    Args:
        folder (`Path`): Has these files, in it or in `val_dataset`. The pictures and question types are InfoSeek's:
            in this folder, in `infoseek` in it, or in `infoseek` beside it.
        split (`str`): `"val"`.
        languages (`Sequence[str]`, *optional*): Keys of [`LANGUAGES`]; without it, all that have a file.
        limit (`int`, *optional*): Read so many questions of each language only, the first of each half.
    """
    places = [folder, folder / "infoseek", folder.absolute().parent / "infoseek"]
    read = []
    for language in languages or LANGUAGES:
        name = f"infoseek_{split}_{LANGUAGES[language]}.jsonl"
        path = file_of([folder, folder / "val_dataset"], name)
        if path is None and languages:
            raise ValueError(f"{str(folder)!r} has no {name}, which holds the language {language!r}.")
        if path is None:
            logger.warning(f"{str(folder)!r} has no {name}: the language {language!r} is left out.")
            continue
        read.append(_read("infoseek_multilingual", language, path, split, places, limit))
    if not read:
        raise ValueError(
            f"{str(folder)!r} has no infoseek_{split}_LANGUAGE.jsonl (LANGUAGE: {', '.join(LANGUAGES.values())})."
        )
    return read


def _read(name: str, language: str, path: Path, split: str, places: list[Path], limit: int | None) -> Benchmark:
    ids, rows = UniqueIds("data_id"), []
    for row in _first(json_lines(path), split, limit):
        rows.append((ids.take(row), row))
    types_file = file_of(places, f"infoseek_{split}_qtype.jsonl")
    types = _types(types_file) if types_file else None
    notes = ()
    if types is None and rows and split != "test":
        notes = (f"There is no infoseek_{split}_qtype.jsonl: question types are told from the answers.",)
        logger.warning(f"{str(places[0])!r}: {notes[0]}")
    pictures = oven_pictures(places, (row.filled("image_id") for _, row in rows))
    questions = tuple(
        _question(question_id, row, split, language, pictures.get(row.fields["image_id"]), types, types_file)
        for question_id, row in rows
    )
    return Benchmark(name, language, questions, (path, types_file) if types_file else (path,), notes=notes)


def _first(rows: Iterator[Row], split: str, limit: int | None) -> Iterator[Row]:
    if split == "val":
        return first_of_both(rows, limit, lambda row: _part(row, split))
    return islice(rows, limit)


def _part(row: Row, split: str) -> str:
    part = row.filled("data_split")
    if split == "val" and part not in _PARTS:
        raise row.wrong("data_split", f"one of {list(_PARTS)}")
    return part


def _question(
    question_id: str,
    row: Row,
    split: str,
    language: str,
    picture: Path | None,
    types: dict[str, str] | None,
    types_file: Path | None,
) -> BenchmarkQuestion:
    part = _part(row, split)
    reference, kind = None, (types or {}).get(question_id, "")
    if split != "test" or row.has("answer_eval"):
        answers = _answers(row)
        if types is None:
            kind = _told_type(answers)
        elif not kind:
            raise ValueError(f"{str(types_file)!r} has no question type for `data_id` {question_id!r} of {row.where}.")
        reference = {"answer_eval": answers, "question_type": kind}
    return BenchmarkQuestion(
        question_id, row.filled("question"), picture, reference, split=part, language=language, kind=kind
    )


def _answers(row: Row) -> list[Any]:
    """The list of `answer_eval`; a range that stands alone is made a list, as the official evaluator reads it."""
    value = row.fields.get("answer_eval")
    answers = [value] if isinstance(value, dict) else value
    if isinstance(answers, list) and answers:
        if all(isinstance(each, str) for each in answers) or all(map(_is_range, answers)):
            return answers
    raise row.wrong("answer_eval", 'a list of strings, or of numbers {"wikidata": x, "range": [low, high]}')


def _is_range(value: Any) -> bool:
    ends = value.get("range") if isinstance(value, dict) else None
    return (
        isinstance(ends, list)
        and len(ends) >= 2
        and all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in ends)
    )


def _types(path: Path) -> dict[str, str]:
    ids, types = UniqueIds("data_id"), {}
    for row in json_lines(path):
        question_id = ids.take(row)
        if row.fields.get("question_type") not in _TYPES:
            raise row.wrong("question_type", f"one of {list(_TYPES)}")
        types[question_id] = row.fields["question_type"]
    return types


def _told_type(answers: list[Any]) -> str:
    if isinstance(answers[0], dict):
        return "Numerical"
    years = all(each.isascii() and each.isdigit() and 3 <= len(each) <= 4 for each in answers)
    return "Time" if years else "String"
