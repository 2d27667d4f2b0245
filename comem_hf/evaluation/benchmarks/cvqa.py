"""CVQA: questions in the languages of their countries, with four options."""

from collections.abc import Sequence
from typing import Any

from transformers.utils import logging

from .files.rows import Row, UniqueIds
from .files.tables import no_table, table_of
from .question import Benchmark, BenchmarkQuestion


logger = logging.get_logger(__name__)

SUBSETS = {
    "('Chinese', 'China')": "zh",
    "('Russian', 'Russia')": "ru",
    "('Spanish', 'Spain')": "es",
    "('Portuguese', 'Brazil')": "pt",
    "('Bulgarian', 'Bulgaria')": "bg",
}
"""The subsets that the CoMEM paper scores, and the language of each. Other subsets are not read."""


def read_cvqa(source: Any, split: str, languages: Sequence[str] | None, limit: int | None) -> list[Benchmark]:
    """Read the five subsets of `afaji/cvqa` that have prompts, a benchmark for each language.

    Args:
        source (`Path` or a data set): See [`table_of`].
        split (`str`): `"test"`.
        languages (`Sequence[str]`, *optional*): Values of [`SUBSETS`]; without it, all that have rows.
        limit (`int`, *optional*): Read so many questions of each language only.
    """
    table = table_of(source, [split])
    if table is None:
        raise no_table(source, [split])
    ids, found = UniqueIds("ID"), {language: [] for language in languages or SUBSETS.values()}
    others = 0
    for row, picture in table.rows(["ID", "Subset", "Question", "Options", "Label"], ["Category"]):
        question_id = ids.take(row)
        subset = row.filled("Subset")
        language = SUBSETS.get(subset)
        others += language is None
        if language in found and len(found[language]) != limit:
            found[language].append(_question(question_id, row, subset, language, picture))
    if others:
        logger.info(f"{others} questions are of subsets other than {list(SUBSETS)}, and are left out.")
    missing = [language for language, questions in found.items() if not questions]
    if missing and languages:
        raise ValueError(f"CVQA in this table has no questions of the language {missing[0]!r}.")
    if missing and len(missing) < len(found):
        logger.warning(f"There are no questions of the languages {missing} in CVQA's table: they are left out.")
    found = {language: tuple(questions) for language, questions in found.items() if questions}
    return [
        Benchmark("cvqa", language, questions, table.files, notes=table.notes) for language, questions in found.items()
    ]


def _question(question_id: str, row: Row, subset: str, language: str, picture: Any) -> BenchmarkQuestion:
    options = row.listed("Options")
    reference = None
    if row.has("Label"):
        reference = {"Options": options, "Label": row.whole("Label", below=len(options)), "Subset": subset}
    return BenchmarkQuestion(
        question_id,
        row.filled("Question"),
        picture,
        reference,
        language=language,
        options=tuple(options),
        kind=row.text("Category") if row.has("Category") else "",
    )
