"""Where rows come from: a file of questions, a benchmark, or the items of the bank."""

import re
from dataclasses import dataclass
from pathlib import Path

from comem_hf.modeling.field_checks_comem import check_choice, check_not_negative, check_positive, is_number


KINDS = ("facts", "summary", "repetition", "comparison")
"""Kinds of self-study dialogues; `answers/dialogues.py` says what each asks for."""

SCORERS = ("exact", "official", "release")
SIDES = ("train", "held_out")
PROMPTS = ("plain", "published")
TARGETS = ("teacher", "answer")


@dataclass(frozen=True)
class SourceSettings:
    """One source of a synthesis: give one of `questions`, `benchmark` and `dialogues`.

    Args:
        name (`str`): Name of the source, in rows and counts.
        questions (`Path`, *optional*): A JSONL file of questions, see [`read_own`].
        benchmark (`str`, *optional*): A benchmark that [`load_benchmark`] reads.
        dialogues (`int`, *optional*, defaults to `0`): Self-study dialogues about each item of the bank.
        data (`Path`, *optional*): Folder of the benchmark's files; by default in the synthesis' own `data`.
        split (`str`, *optional*): Split of the benchmark; by default `"train"`.
        kinds (`tuple[str, ...]`, *optional*): Some of [`KINDS`]: what dialogues are about; all by default.
        side (`str`, *optional*): `"train"` or `"held_out"`: where all of it goes. By default the seed decides, entity
            by entity.
        candidates (`int`, *optional*): Questions to draw (for dialogues, items) before any is asked; all by default.
        count (`int`, *optional*): Most rows to train on that are kept, drawn; all by default.
        scorer (`str`, *optional*): What judges the teacher: `"exact"` (exact match with one of the answers, of
            questions of your own), or a benchmark's `"official"` scorer or that of the CoMEM `"release"`. By default
            `"exact"`, for benchmarks `"official"`.
        min_score (`float`, *optional*, defaults to `0.5`): Least score of an answer that is right, 0 to 1.
        target (`str`, *optional*, defaults to `"teacher"`): What is learned where the teacher was right: its text, or
            the known `"answer"`.
        prompt (`str`, *optional*, defaults to `"plain"`): The question alone, or in the prompt that CoMEM has
            `"published"` for the benchmark; rows hold it as it was asked.

    Raises:
        ValueError: If a field has another value; field and value are named.
    """

    name: str
    questions: Path | None = None
    benchmark: str | None = None
    dialogues: int = 0
    data: Path | None = None
    split: str | None = None
    kinds: tuple[str, ...] = KINDS
    side: str | None = None
    candidates: int | None = None
    count: int | None = None
    scorer: str | None = None
    min_score: float = 0.5
    target: str = "teacher"
    prompt: str = "plain"

    def __post_init__(self):
        if not isinstance(self.name, str) or not re.fullmatch(r"[\w-]+", self.name):
            raise ValueError(f"`name` of a source must be made of letters, digits, '-' and '_', got {self.name!r}.")
        where = f"of source {self.name!r}"
        check_not_negative(f"dialogues` of source `{self.name}", self.dialogues)
        given = [name for name in ("questions", "benchmark", "dialogues") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(
                f"A source has one of `questions`, `benchmark` and `dialogues`; {self.name!r} has {given or 'none'}."
            )
        for field in ("candidates", "count"):
            if getattr(self, field) is not None:
                check_positive(f"{field}` of source `{self.name}", getattr(self, field))
        for field, choices in (("side", (None, *SIDES)), ("target", TARGETS), ("prompt", PROMPTS)):
            check_choice(f"{field}` of source `{self.name}", getattr(self, field), choices)
        fitting = {"questions": (None, "exact"), "benchmark": (None, "official", "release"), "dialogues": (None,)}
        if self.scorer not in fitting[given[0]]:
            known = [scorer for scorer in fitting[given[0]] if scorer]
            raise ValueError(f"`scorer` {where} must be one of {known}, or left out, got {self.scorer!r}.")
        if not is_number(self.min_score) or not 0 < self.min_score <= 1:
            raise ValueError(f"`min_score` {where} must be above 0 and at most 1, got {self.min_score!r}.")
        if not self.kinds or set(self.kinds) - set(KINDS):
            raise ValueError(f"`kinds` {where} must be some of {list(KINDS)}, got {list(self.kinds)}.")
        if self.prompt == "published" and self.benchmark is None:
            raise ValueError(f"`prompt` {where} is 'published', which benchmarks alone have; leave it out.")
        for field in ("data", "split"):
            if getattr(self, field) is not None and self.benchmark is None:
                raise ValueError(f"`{field}` {where} is for a benchmark; leave it out.")
