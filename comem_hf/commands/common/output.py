"""Output of commands: tables on a terminal, tab-separated lines in a pipe, JSON with `--json`."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer


JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, for machines.")]

HIT_COLUMNS = ("rank", "score", "probability", "id", "text")

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


def hit_rows(hits) -> list[tuple]:
    """Return rank, score, probability, id and beginning of the text of memory hits, as rows for `print_table`."""
    rows = []
    is_by_words = by_words(hits)
    for hit in hits:
        text = _one_line(hit.item.text or "")
        probability = "" if hit.probability is None else f"{hit.probability:.3f}"
        probability = hit.found_by if is_by_words else probability
        shown = text if len(text) <= 100 else f"{text[:97]}..."
        rows.append((hit.rank + 1, f"{hit.score:.3f}", probability, hit.item.id, shown))
    return rows


def hits_for_json(hits) -> list[dict[str, Any]]:
    """Return all but the pictures of memory hits, for `print_json`."""
    return [
        {
            "rank": hit.rank + 1,
            "score": hit.score,
            "probability": hit.probability,
            "found_by": hit.found_by,
            "id": hit.item.id,
            "text": hit.item.text,
            "metadata": hit.item.metadata,
        }
        for hit in hits
    ]


def _one_line(value: object) -> str:
    # Texts of models and banks may come from strangers: no control characters must reach the terminal.
    text = "".join(character if character.isprintable() else " " for character in str(value))
    return " ".join(text.split())
