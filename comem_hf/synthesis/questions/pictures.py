"""The pictures of questions, looked at before any is asked: which are there, and which are the same."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion

from .candidate import Candidate


def with_pictures(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates with the SHA-256 of their pictures; of one that says no entity, the picture is the entity.

    Args:
        candidates (`Sequence[Candidate]`): The candidates.
    """
    found = []
    for candidate in candidates:
        content = encoded_picture(candidate.question)
        digest = "" if content is None else hashlib.sha256(content).hexdigest()
        found.append(replace(candidate, picture=digest, entity=candidate.entity or f"picture-{digest[:16]}"))
    return found


def encoded_picture(question: BenchmarkQuestion) -> bytes | None:
    """Return the encoded picture of a question, or `None` if it is missing.

    Args:
        question (`BenchmarkQuestion`): The question.
    """
    picture = question.picture
    if picture is None or isinstance(picture, bytes):
        return picture
    try:
        return picture.read_bytes() if isinstance(picture, Path) else picture.read()
    except (OSError, ValueError):
        return None


def refuse_missing(problems: Sequence[str], asked: int, most: float, source: str) -> None:
    """Refuse a source of which too many pictures are missing or damaged.

    Args:
        problems (`Sequence[str]`): Names of the questions without a picture.
        asked (`int`): Number of questions.
        most (`float`): Largest share that may be without.
        source (`str`): Name of the source.

    Raises:
        ValueError: If there are more; the number and some questions are named.
    """
    if len(problems) > most * asked:
        raise ValueError(
            f"Of source {source!r}, {len(problems)} of {asked} pictures are missing or damaged, more than "
            f"`max_missing` {most:g} allows; first {'; '.join(problems[:3])}. Mend them, or raise `max_missing` in "
            "the YAML file of settings."
        )
