"""Questions of your own, as JSONL."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from comem_hf.bank import MemoryBank
from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.synthesis.settings.known_keys import refuse_unknown_keys
from comem_hf.synthesis.settings.language import check_language

from .candidate import Candidate
from .item_picture import item_picture


KEYS = ("id", "question", "answer", "answers", "image", "item_id", "entity", "language", "kind")


def read_own(path: Path, source: str, bank: MemoryBank) -> list[Candidate]:
    """Read questions from JSONL, in the form of `comem evaluate --questions` with more that may be said.

    A row is `{"question", "answer", "item_id"}` or `{"question", "answer", "image"}`. Without `image`, the picture is
    the item's own, a little disturbed, as in `comem evaluate`. `answers` may list several right ones; without any, the
    teacher answers. `entity` is what the question is about, by default the item or else the picture; `id`, `language`
    (`"en"` by default) and `kind` are kept.

    Args:
        path (`Path`): The file; paths of pictures start from its folder.
        source (`str`): Name of the source.
        bank (`MemoryBank`): The bank that `item_id` is of.

    Raises:
        ValueError: If the file cannot be read, or a row is not valid; its line and field are named.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"Cannot read the questions of source {source!r} from {str(path)!r}: {error}.") from error
    candidates, ids = [], set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"Line {number} of {str(path)!r} is no JSON: {error}.") from error
        try:
            candidate = _candidate(row, number, source, bank, path.parent)
        except ValueError as error:
            raise ValueError(f"Line {number} of {str(path)!r}: {error}") from error
        if candidate.id in ids:
            raise ValueError(f"Line {number} of {str(path)!r}: the `id` {row.get('id')!r} comes twice.")
        ids.add(candidate.id)
        image = f", {row['image']}" if row.get("image") else ""
        candidates.append(replace(candidate, place=f"{path.name}, line {number}{image}"))
    if not candidates:
        raise ValueError(f"{str(path)!r} holds no questions.")
    return candidates


def _candidate(row: Any, number: int, source: str, bank: MemoryBank, folder: Path) -> Candidate:
    if not isinstance(row, Mapping):
        raise ValueError(f"a question must be an object, got {type(row).__name__}.")
    refuse_unknown_keys(row, KEYS, "a question")
    for key in KEYS:
        if row.get(key) is not None and key != "answers" and not isinstance(row[key], str):
            raise ValueError(f"`{key}` must be a text, got {row[key]!r}.")
    if not (row.get("question") or "").strip():
        raise ValueError("`question` is missing or empty.")
    check_language(row.get("language") or "en")
    answers = _answers(row)
    item_id, image = row.get("item_id"), row.get("image")
    if item_id is None and image is None:
        raise ValueError("give `image`, or `item_id` for the picture of an item of the bank.")
    if item_id is not None and item_id not in bank:
        raise ValueError(f"`item_id` {item_id!r} is no item of the bank.")
    question = BenchmarkQuestion(
        id=f"{source}/{row.get('id') or number}",
        question=row["question"],
        picture=item_picture(bank, item_id, number) if image is None else folder / image,
        reference={"answers": answers} if answers else None,
        language=row.get("language") or "en",
        kind=row.get("kind") or "",
    )
    entity = row.get("entity") or item_id or ""  # else the picture's digest, which is not known yet
    origin = "verified" if answers else "teacher"
    return Candidate(question, source, entity, origin, item_id, answers[0] if answers else None)


def _answers(row: Mapping[str, Any]) -> tuple[str, ...]:
    several = row.get("answers")
    if several is not None and not isinstance(several, list):
        raise ValueError(f"`answers` must be a list of texts, got {several!r}.")
    answers = ([] if row.get("answer") is None else [row["answer"]]) + (several or [])
    for answer in answers:
        if not isinstance(answer, str) or not answer.strip():
            raise ValueError(f"an answer must be a text that is not empty, got {answer!r}; leave out what is unknown.")
    return tuple(dict.fromkeys(answers))
