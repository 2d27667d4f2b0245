"""Whole predictions files as the published evaluators score them: how they pair ids, and what else they print.

Only the golden cases need this. `comem evaluate` has an answer to each question, or a problem that counts as wrong.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.evaluation.scoring import Scorer, SetScores, aokvqa, infoseek, okvqa, oven, score_set
from comem_hf.evaluation.scoring.sets.answered import Answered, reference_of
from comem_hf.evaluation.scoring.sets.means import means_by


Predictions = Iterable[tuple[str, str]]
Questions = Sequence[BenchmarkQuestion]


def answered_questions(
    predictions: Predictions,
    questions: Questions,
    *,
    missing: Literal["refuse", "wrong", "skip"],
    unknown: Literal["refuse", "skip"],
) -> list[Answered]:
    """Return each answer with its question.

    With `missing="skip"` the set goes by the predictions, and one that stands there twice counts twice; otherwise by
    the questions, and of several predictions the last counts.
    """
    predictions = list(predictions)
    known = {question.id: question for question in questions}
    texts = dict(predictions)
    if unknown == "refuse" and (strange := texts.keys() - known.keys()):
        raise ValueError(f"There are predictions for questions that the benchmark lacks: {sorted(strange)}.")
    if missing == "refuse" and (lacking := known.keys() - texts.keys()):
        raise ValueError(f"There is no prediction for {len(lacking)} of the questions: {sorted(lacking)}.")
    if missing == "skip":
        return [(text, known[name]) for name, text in predictions if name in known]
    return [(texts.get(question.id), known[question.id]) for question in questions]


def okvqa_set(predictions: Predictions, questions: Questions) -> SetScores:
    """Score as OK-VQA's evaluator, which refuses a set if an id is missing or unknown."""
    return score_set(okvqa.OFFICIAL, answered_questions(predictions, questions, missing="refuse", unknown="refuse"))


def aokvqa_set(
    predictions: Predictions, questions: Questions, *, multiple_choice: bool = False, strict: bool = False
) -> SetScores:
    """Score as A-OKVQA's evaluator, to which only a choice's own text is one; `strict` refuses any other text."""
    if not multiple_choice:
        questions = [question for question in questions if aokvqa.counted(question) is not None]
    answered = answered_questions(predictions, questions, missing="refuse" if strict else "wrong", unknown="skip")
    if not multiple_choice:
        return score_set(aokvqa.OFFICIAL, answered)
    for text, question in answered if strict else ():
        (choices,) = reference_of(question, "choices")
        if text not in choices:
            raise ValueError(f"The prediction must be one of the choices {', '.join(choices)}, got {text!r}.")
    exact = replace(
        aokvqa.MULTIPLE_CHOICE,
        score=lambda text, question: aokvqa.choice_score(
            text, *reference_of(question, "choices", "correct_choice_idx")
        ),
    )
    return score_set(exact, answered)


def infoseek_set(scorer: Scorer, predictions: Predictions, questions: Questions) -> SetScores:
    """Score as InfoSeek's evaluators: missing and unknown ids are left out, and without a half the number is 0."""
    answered = answered_questions(predictions, questions, missing="skip", unknown="skip")
    scorer = replace(scorer, headline=infoseek.final_score)
    return score_set(scorer, answered) if answered else SetScores(scorer.headline({}), {}, ())


def infoseek_by_type(scores: SetScores, answered: Sequence[Answered], half: str) -> dict[str, float]:
    """Return the score of each question type in one half; 0 for one without questions."""

    def type_of(question: BenchmarkQuestion) -> str | None:
        (name,) = reference_of(question, "question_type")
        known = {"time": "time", "numerical": "num"}
        return known.get(name.lower(), "string") if infoseek.half_of(question) == half else None

    found = {name: round(mean * 100, 2) for name, mean in means_by(type_of, answered, scores.items).items()}
    return dict.fromkeys(("time", "num", "string"), 0) | found


def oven_set(
    numbers: Callable[[Mapping[str, float]], dict[str, float]],
    found: Mapping[str, Iterable[tuple[str, str | None]]],
    questions: Mapping[str, Questions],
) -> dict[str, float]:
    """Score entities that were found, by set, as OVEN's evaluators do: missing ids are left out."""
    groups = {}
    for name in oven.SETS:
        answered = answered_questions(found[name], questions[name], missing="skip", unknown="refuse")
        scores = [float((entity_id,) == reference_of(question, "entity_id")) for entity_id, question in answered]
        splits = means_by(lambda question: question.split, answered, scores)
        groups |= {split if split.startswith(name) else f"{name}_{split}": mean for split, mean in splits.items()}
    return numbers(groups)
