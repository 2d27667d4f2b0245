"""OVEN: which entity of Wikipedia a picture shows (entity set), or a question about it means (query set)."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from .files.halves import first_of_both
from .files.picture_files import oven_pictures
from .files.rows import Row, UniqueIds, file_of, json_lines, needed_file
from .question import Benchmark, BenchmarkQuestion


SETS = {
    "val": ("entity_val", "query_val"),
    "val_3k": ("entity_val_3k", "query_val"),
    "test": ("entity_test", "query_test"),
    "train": ("entity_train", "query_train"),
    **{
        name: (name,)
        for name in (
            *("entity_val", "entity_val_3k", "query_val"),
            *("entity_test", "query_test", "entity_train", "query_train"),
        )
    },
}
"""Splits, and the sets (`oven_{set}.jsonl`) that each is made of; the CoMEM release scores `"val_3k"`."""

TITLES = ("Wiki6M_ver_1_0_title_only.jsonl", "wikipedia_6m.jsonl")
"""Files of Wikipedia's titles, of which the scorers search one: `wikidata_id`, `wikipedia_title`; `id`, `content`."""


def read_oven(folder: Path, split: str, languages: Sequence[str] | None, limit: int | None) -> list[Benchmark]:
    """Read `oven_entity_{split}.jsonl` and `oven_query_{split}.jsonl`, the entity set first.

    Args:
        folder (`Path`): Has these files, the pictures as InfoSeek has them, and one of [`TITLES`].
        split (`str`): A key of [`SETS`].
        languages (`Sequence[str]`, *optional*): English only; not read.
        limit (`int`, *optional*): Read so many questions only, half of them of each set, and of a set for validation
            the first seen and unseen entities, because its number is made of both; in the order of the files.
    """
    sets = SETS[split]
    paths = []
    for name in sets:
        path = file_of([folder], f"oven_{name}.jsonl")
        if path is None and paths:
            raise ValueError(
                f"{str(folder)!r} has no oven_{name}.jsonl; to read the other set alone, pass `split={sets[0]!r}`."
            )
        paths.append(path or needed_file(folder, f"oven_{name}.jsonl"))
    ids, rows = UniqueIds("data_id"), []
    for number, path in enumerate(paths):
        share = None if limit is None else (limit + len(paths) - 1 - number) // len(paths)
        lines = json_lines(path)
        some = first_of_both(lines, share, _is_unseen) if "val" in split else islice(lines, share)
        rows += [(ids.take(row), row) for row in some]
    pictures = oven_pictures([folder], (row.filled("image_id") for _, row in rows))
    questions = tuple(
        _question(question_id, row, split, pictures.get(row.fields["image_id"])) for question_id, row in rows
    )
    return [Benchmark("oven", "en", questions, tuple(paths), file_of([folder], *TITLES))]


def _is_unseen(row: Row) -> bool:
    return row.filled("data_split").endswith("_unseen")


def _question(question_id: str, row: Row, split: str, picture: Path | None) -> BenchmarkQuestion:
    part = row.filled("data_split")
    kind = part.split("_")[0]
    if kind not in ("entity", "query") or "val" in split and not part.endswith(("_val_seen", "_val_unseen")):
        raise row.wrong("data_split", "`entity_val_seen` or another part of OVEN")
    reference = None
    if "test" not in split or row.has("entity_id", "entity_text"):
        reference = {"entity_id": row.filled("entity_id"), "entity_text": row.text("entity_text")}
    return BenchmarkQuestion(question_id, row.filled("question"), picture, reference, split=part, kind=kind)
