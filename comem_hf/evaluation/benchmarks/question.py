"""A question of a benchmark, and a benchmark: the same form for all eight."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .files.picture_in_table import PictureInTable


@dataclass(frozen=True)
class BenchmarkQuestion:
    """A question about a picture, with what its benchmark's scorers compare an answer with.

    Args:
        id (`str`): The benchmark's own id of the question.
        question (`str`): The question, as the file has it, without a prompt around it.
        picture (`Path`, `bytes` or [`PictureInTable`], *optional*): The picture's file, its encoded bytes, or its
            place in a table, whose `read()` gives them; `None` if it is missing.
        reference (`Mapping`, *optional*): What the scorers need, by the names of the benchmark's own file; `None` for
            a split without answers. OK-VQA: `answers` (the ten entries as the file has them), `question_type`;
            A-OKVQA: `choices`, `correct_choice_idx`, `direct_answers`, `difficult_direct_answer`; ViQuAE: `answer`
            (the aliases); InfoSeek: `answer_eval`, `question_type`; OVEN: `entity_id`, `entity_text`; MRAG-Bench:
            `answer_choice`, `answer`, `scenario`; CVQA: `Options`, `Label`, `Subset`.
        split (`str`, *optional*, defaults to `""`): Part of the benchmark that is scored by itself, by the
            benchmark's own name (`"val_unseen_entity"`); empty if it has no parts.
        language (`str`, *optional*, defaults to `"en"`): Language of the question.
        options (`tuple[str, ...]`, *optional*): The options of a multiple-choice question, in order.
        kind (`str`, *optional*, defaults to `""`): What scores are broken down by beside the split: the question type,
            the scenario, the subset.
    """

    id: str
    question: str
    picture: Path | bytes | PictureInTable | None
    reference: Mapping[str, Any] | None
    split: str = ""
    language: str = "en"
    options: tuple[str, ...] = ()
    kind: str = ""


@dataclass(frozen=True)
class Benchmark:
    """The questions of a benchmark in one language, all scored together.

    Args:
        name (`str`): One of [`BENCHMARKS`].
        language (`str`): Language of its questions, `"en"`, `"es"`, `"pt"`, `"zh"`, `"ru"` or `"bg"`.
        questions (`tuple[BenchmarkQuestion, ...]`): The questions, in the order of the file; their ids are unique.
        files (`tuple[Path, ...]`): The files that they were read from; their digests are recorded with results.
        titles (`Path`, *optional*): The file of Wikipedia titles that OVEN's scorers search.
        notes (`tuple[str, ...]`, *optional*): What a reader of its scores has to know of these files, such as missing
            ones; sentences without paths, which reports print.
    """

    name: str
    language: str
    questions: tuple[BenchmarkQuestion, ...]
    files: tuple[Path, ...] = field(default=())
    titles: Path | None = None
    notes: tuple[str, ...] = ()
