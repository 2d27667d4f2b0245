"""Predictions that other code wrote: the benchmarks' own forms, those of the CoMEM release, and ours."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from comem_hf.evaluation.benchmarks import BENCHMARKS
from comem_hf.evaluation.benchmarks.files.rows import Row, UniqueIds, json_entries, json_lines, whole_json


SETTINGS = ("direct_answer", "multiple_choice")
"""Settings of A-OKVQA; its own form may hold a prediction for each."""

_FORMS = (
    ("id", "prediction"),  # ours
    ("qs_id", "output"),  # MRAG-Bench
    ("data_id", "prediction"),  # InfoSeek, OVEN, and the release's
    ("question_id", "prediction"),  # the release's of A-OKVQA
    ("question_id", "answer"),  # VQA
)
"""Fields of a row that hold the question's id and the predicted text."""


def load_predictions(
    path: str | os.PathLike, benchmark_name: str, *, setting: str = "direct_answer"
) -> dict[str, str]:
    """Read the predicted text of each question.

    JSONL: `id` or `data_id` and `prediction` (ours; InfoSeek, OVEN with or without `bm25`, the release's), `qs_id` and
    `output` (MRAG-Bench). JSON: a list of `question_id` and `answer` (OK-VQA), or `{id: {"direct_answer": ...,
    "multiple_choice": ...}}` or, for one setting, `{id: text}` (A-OKVQA).
    Other fields are not read: the references come from the benchmark itself.

    Args:
        path (`str` or `os.PathLike`): The file, `.jsonl` or `.json`.
        benchmark_name (`str`): One of [`BENCHMARKS`].
        setting (`str`, *optional*, defaults to `"direct_answer"`): Which prediction to take of A-OKVQA's form for both
            settings, `"direct_answer"` or `"multiple_choice"`; a question without it has none.

    Returns:
        `dict[str, str]`: Text by the id of the question, in the order of the file.

    Raises:
        ValueError: If the file cannot be read, is of an unknown form, has an id twice or a prediction that is no text;
            the line is named.
    """
    path = Path(path)
    if benchmark_name not in BENCHMARKS:
        raise ValueError(f"The benchmark must be one of {list(BENCHMARKS)}, got {benchmark_name!r}.")
    if setting not in SETTINGS:
        raise ValueError(f"`setting` must be one of {list(SETTINGS)}, got {setting!r}.")
    if path.suffix == ".json" and benchmark_name == "aokvqa" and isinstance(content := whole_json(path), dict):
        found = _of_aokvqa(path, content, setting)
    else:
        found = _of_rows(json_entries(path) if path.suffix == ".json" else json_lines(path))
    if not found:
        raise ValueError(f"{str(path)!r} holds no predictions.")
    return found


def _of_rows(rows: Iterator[Row]) -> dict[str, str]:
    found, form, ids = {}, None, None
    for row in rows:
        if form is None:
            form = next((form for form in _FORMS if row.fields.keys() >= {*form}), None)
            if form is None:
                raise ValueError(
                    f"{row.where}: a prediction has one of the pairs of fields "
                    f"{', '.join(f'`{key}` and `{value}`' for key, value in _FORMS)}; got {list(row.fields)}."
                )
            ids = UniqueIds(form[0])
        found[ids.take(row)] = row.text(form[1])
    return found


def _of_aokvqa(path: Path, content: dict[str, Any], setting: str) -> dict[str, str]:
    if all(isinstance(text, str) for text in content.values()):
        return content
    found = {}
    for question_id, fields in content.items():
        row = Row(path, f"entry {question_id!r}", fields if isinstance(fields, dict) else {})
        if not row.fields or not row.fields.keys() <= {*SETTINGS}:
            raise ValueError(
                f"{row.where} must have `direct_answer`, `multiple_choice` or both, got {str(fields)[:80]!r}."
            )
        if setting in row.fields:
            found[question_id] = row.text(setting)
    return found
