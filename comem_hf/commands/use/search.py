"""`comem search`: the items of a memory bank that are nearest to a picture or a text."""

from typing import Annotated

import typer

from comem_hf.commands.common.conditions import WHERE_HELP, read_conditions
from comem_hf.commands.common.output import JsonOption, MinScoreOption


def search(
    bank: Annotated[str | None, typer.Argument(help="Bank folder or Hub id [default: the embedded bank].")] = None,
    image: Annotated[str | None, typer.Option(metavar="PATH", help="Picture to look for.")] = None,
    text: Annotated[
        str | None,
        typer.Option(help="Text to look for: by its words, or by an embedder that has a text side."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Folder or Hub id of the bank's model [default: the embedded model].")
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Items to show.")] = 3,
    text_weight: Annotated[
        float, typer.Option(min=0, max=1, help="Weight of the text where picture and text are given.")
    ] = 0.5,
    where: Annotated[
        list[str] | None,
        typer.Option(help=WHERE_HELP),
    ] = None,
    min_score: MinScoreOption = None,
    json: JsonOption = False,
) -> None:
    """Find the items of a memory bank that are nearest to a picture, or whose texts have the words of a text.

    Example:
        comem search --image flag.png --top-k 5

    By words, which needs no model:
        comem search my-bank --text "red chair"

    Among the items of one source or another:
        comem search my-bank --model my-model --image flag.png --where source=wikipedia --where source=wit

    Among all others:
        comem search my-bank --model my-model --image flag.png --where 'source!=wit'

    Only what probably is the same thing:
        comem search --image flag.png --min-score 0.5
    """
    from comem_hf.commands.common.loading import load_model, open_bank
    from comem_hf.commands.common.output import (
        hit_columns,
        hit_rows,
        hits_for_json,
        nothing_found,
        print_json,
        print_table,
    )
    from comem_hf.modeling.memory_item import FOUND_BY_PICTURE

    if image is None and text is None:
        raise ValueError("Nothing to search for: give `--image` or `--text`.")
    opened = open_bank(bank)
    if image is not None and opened.config.embedder["type"] == "backbone":
        opened.attach(*load_model(model, takes_items=True))
    if text is not None and not opened.searches_text:
        raise ValueError(f"{FOUND_BY_PICTURE}: give `--image` instead of `--text`.")
    conditions = read_conditions(where, opened.metadata_kinds)
    options = {"text_weight": text_weight, "where": conditions, "min_score": min_score}
    hits = opened.search(image=image, text=text, k=top_k, **options)
    if min_score is not None and not hits:
        typer.echo(nothing_found(opened, image, min_score, conditions), err=True)
    elif image is None and not hits:
        typer.echo("Nothing found: no item's text has a word of the text to look for.", err=True)
    if json:
        print_json(hits_for_json(opened, hits))
    elif hits or image is not None and min_score is None:
        print_table("memory", hit_columns(hits), hit_rows(opened, hits))
