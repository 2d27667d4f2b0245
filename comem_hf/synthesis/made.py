"""The rows that are made of the candidates of a source."""

from collections.abc import Mapping, Set
from dataclasses import replace

from transformers.utils import logging

from comem_hf.bank import MemoryBank
from comem_hf.evaluation.asking.prediction import Prediction
from comem_hf.synthesis.answers.dialogues import to_be_written, with_questions
from comem_hf.synthesis.answers.neighbours import Neighbours, OwnItem
from comem_hf.synthesis.answers.teacher import Teacher, asked_as, questions_of
from comem_hf.synthesis.output.row import Row, shuffled
from comem_hf.synthesis.questions.candidate import Candidate
from comem_hf.synthesis.questions.draw import draw
from comem_hf.synthesis.questions.pictures import refuse_missing
from comem_hf.synthesis.settings.settings import SynthesisSettings

from .gather import Gathered


logger = logging.get_logger(__name__)


def made_rows(gathered: Gathered, teacher: Teacher, bank: MemoryBank, hidden: Set[str]) -> list[Row]:
    """Have the candidates of a source answered, and make rows of what is kept; each step is counted.

    Args:
        gathered ([`Gathered`]): The source, its candidates and counts.
        teacher ([`Teacher`]): What answers.
        bank (`MemoryBank`): The bank.
        hidden (`Set[str]`): Items that rows to train on do not have.

    Raises:
        ValueError: If too many pictures turn out to be damaged.
    """
    source, settings, counts = gathered.source, teacher.settings, gathered.counts
    if source.dialogues:
        candidates, answers = _self_study(gathered, teacher, bank)
    else:
        candidates = gathered.candidates
        out_of_reach = {each.id: hidden for each in candidates if each.side == "train"}
        items = Neighbours(bank, settings.top_k, out_of_reach, settings.exclude_query_image)
        asked = questions_of(gathered.benchmark, candidates)
        answers = teacher.answer(
            source.name, asked, items, settings.top_k, prompt=source.prompt, temperature=settings.temperature
        )
    damaged = [each.name for each in candidates if answers[each.id].problem and not answers[each.id].items]
    without = [*gathered.missing, *damaged]
    refuse_missing(without, gathered.asked, settings.max_missing, source.name)
    if without:
        first, more = "; ".join(without[:5]), ", ..." if len(without) > 5 else ""
        logger.warning(
            f"Of source {source.name!r}, {len(without)} questions are left out, as their pictures are "
            f"missing or damaged: {first}{more}."
        )
    rows = {"train": [], "held_out": []}
    for candidate in candidates:
        prediction = answers[candidate.id]
        if prediction.problem:
            counts.add("not_asked")
            continue
        counts.add("answered")
        text = prediction.prediction.strip()
        is_right = bool(text) and (candidate.origin != "verified" or gathered.judge(text, candidate.question))
        row = _row(gathered, candidate, prediction, is_right, settings)
        if row is not None:
            rows[candidate.side].append(row)
    drawn = draw(rows["train"], source.count, settings.seed, f"rows of {source.name}", lambda row: row.id)
    counts.add("unused", len(rows["train"]) - len(drawn))
    counts.add("train", len(drawn))
    counts.add("held_out", len(rows["held_out"]))
    return [*drawn, *rows["held_out"]]


def _self_study(
    gathered: Gathered, teacher: Teacher, bank: MemoryBank
) -> tuple[list[Candidate], Mapping[str, Prediction]]:
    """The questions of dialogues, written by the model where the kind asks for that, and the answers."""
    source, counts = gathered.source, gathered.counts
    items = OwnItem(bank, {each.id: each.item_id for each in gathered.candidates})
    writing = questions_of(gathered.benchmark, to_be_written(gathered.candidates))
    temperature = teacher.settings.dialogue_temperature
    written = teacher.answer(f"{source.name}.questions", writing, items, 1, temperature=temperature)
    candidates = with_questions(gathered.candidates, written)
    counts.add("without_question", len(gathered.candidates) - len(candidates))
    asked = questions_of(gathered.benchmark, candidates)
    return candidates, teacher.answer(source.name, asked, items, 1, temperature=teacher.settings.temperature)


def _row(
    gathered: Gathered, candidate: Candidate, prediction: Prediction, is_right: bool, settings: SynthesisSettings
) -> Row | None:
    """The row of an answered question; `None` if it is not kept, which is counted."""
    source, counts = gathered.source, gathered.counts
    is_held_out = candidate.side == "held_out"
    is_found = candidate.item_id in prediction.items
    is_known = candidate.origin == "verified"
    counts.add("held_out_questions" if is_held_out else "train_questions")
    counts.add("held_out_right" if is_held_out else "right", is_known and is_right)
    if not is_held_out:
        counts.add("found", is_found)
        if settings.only_found and candidate.item_id is not None and not is_found:
            counts.add("not_found")
            return None
    takes_known = is_held_out or source.target == "answer"
    answer = candidate.answer if is_known and takes_known else None
    if not is_right and (answer is None or not is_held_out):
        counts.add("wrong")
        return None
    row = Row(
        id=candidate.id,
        question_id=candidate.id,
        source=source.name,
        origin=candidate.origin,
        side=candidate.side,
        entity=candidate.entity,
        question=asked_as(source.prompt, gathered.benchmark.name, candidate.question),
        answer=prediction.prediction.strip() if answer is None else answer,
        items=prediction.items,
        language=candidate.question.language,
        item_id=candidate.item_id,
        kind=candidate.question.kind,
    )
    if settings.shuffle_items and not is_held_out:
        row = replace(row, items=shuffled(row.items, settings.seed, row.id))
    return row
