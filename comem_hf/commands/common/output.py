"""Output of commands: tables on a terminal, tab-separated lines in a pipe, JSON with `--json`."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer


JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")]

HIT_COLUMNS = ("rank", "score", "probability", "id", "file", "text")
ITEM_COLUMNS = ("id", "file", "text", "metadata")

MinScoreOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Least probability that an item shows the same thing as the picture. [default: any]",
    ),
]


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a title.

    Args:
        title (`str`): Heading; in a pipe, the first field of every line.
        columns (`Sequence[str]`): Names of the columns.
        rows (`Sequence[Sequence[object]]`): Values, printed as one line each.
    """
    if not on_terminal():
        for row in rows:
            print("\t".join([title, *(_one_line(value) for value in row)]))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*(escape(_one_line(column)) for column in columns), title=escape(title), title_justify="left")
    for row in rows:
        table.add_row(*(escape(_one_line(value)) for value in row))
    Console().print(table)


def print_json(result: Any) -> None:
    """Print the result of a command as one JSON document."""
    text = json.dumps(result, indent=1, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # a locale without these characters, or half a pair of surrogates: JSON has escapes
        text = json.dumps(result, indent=1)
    print(text)


def on_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def nothing_found(bank, picture, min_score: float, where: Mapping[str, object] | None = None) -> str:
    """Say that no item has the least probability, and which one is nearest, for who has chosen it too high.

    Args:
        bank (`MemoryBank`): The bank.
        picture (`PIL.Image.Image`): The picture that was searched for.
        min_score (`float`): The least probability.
        where (`Mapping[str, object]`, *optional*): What was searched among.
    """
    from comem_hf.answering import NOTHING_FOUND

    hits = bank.search(image=picture, k=1, where=where)
    nearest = [f"The nearest is {_one_line(hit.item.id)}, with {hit.probability:.2f}." for hit in hits]
    return " ".join([NOTHING_FOUND.format(min_score), *nearest])


def by_words(hits) -> bool:
    """Whether hits are of a search by words, which have no probability."""
    return any("words" in hit.found_by for hit in hits)


def hit_columns(hits) -> tuple[str, ...]:
    """Return the columns of `hit_rows`: for a search by words, what found a hit is in the place of its probability."""
    return tuple("found by" if name == "probability" and by_words(hits) else name for name in HIT_COLUMNS)


def hit_rows(bank, hits) -> list[tuple]:
    """Return rank, score, probability, id, file and beginning of the text of hits, as rows for `print_table`.

    Args:
        bank (`MemoryBank`): The bank, which knows the names of files.
        hits (`list[MemoryHit]`): The hits.
    """
    rows, is_by_words = [], by_words(hits)
    for hit, file in zip(hits, bank.file_names(hits), strict=True):
        probability = "" if hit.probability is None else f"{hit.probability:.3f}"
        known = hit.found_by if is_by_words else probability
        rows.append((hit.rank + 1, f"{hit.score:.3f}", known, hit.item.id, file or "", _shortened(hit.item.text)))
    return rows


def item_rows(items, files: Sequence[str | None]) -> list[tuple]:
    """Return id, file, beginning of the text and metadata of items, as rows for `print_table`."""
    return [
        (item.id, file or "", _shortened(item.text), json.dumps(item.metadata, ensure_ascii=False))
        for item, file in zip(items, files, strict=True)
    ]


def items_for_json(items, files: Sequence[str | None]) -> list[dict[str, Any]]:
    """Return id, file, text and metadata of items, without pictures, for `print_json`."""
    return [
        {"id": item.id, "file": file, "text": item.text, "metadata": item.metadata}
        for item, file in zip(items, files, strict=True)
    ]


def hits_for_json(bank, hits) -> list[dict[str, Any]]:
    """Return rank, score, probability and what [`items_for_json`] has of hits, for `print_json`."""
    items = items_for_json([hit.item for hit in hits], bank.file_names(hits))
    return [
        {
            "rank": hit.rank + 1,
            "score": hit.score,
            "probability": hit.probability,
            "found_by": hit.found_by,
            **item,
        }
        for hit, item in zip(hits, items, strict=True)
    ]


def _shortened(text: str | None) -> str:
    text = _one_line(text or "")
    return text if len(text) <= 100 else f"{text[:97]}..."


def _one_line(value: object) -> str:
    # Texts of models and banks may come from strangers: no control characters must reach the terminal.
    text = "".join(character if character.isprintable() else " " for character in str(value))
    return " ".join(text.split())
