"""`comem search`: the items of a memory bank that are nearest to a picture or a text."""

from pathlib import Path
from typing import Annotated

import typer


def search(
    bank: Annotated[str | None, typer.Argument(help="Bank folder or Hub id [default: the embedded bank].")] = None,
    image: Annotated[Path | None, typer.Option(help="Picture to look for.")] = None,
    text: Annotated[
        str | None, typer.Option(help="Text to look for, where the bank's embedder has a text side.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Folder or Hub id of the bank's model [default: the embedded model].")
    ] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Items to show.")] = 3,
) -> None:
    """Find the items of a memory bank that are nearest to a picture.

    Example:

        comem search --image flag.png --top-k 5
    """
    from .loading import load_model, open_bank
    from .output import HIT_COLUMNS, hit_rows, print_table

    if image is None and text is None:
        raise ValueError("Nothing to search for: give `--image` or `--text`.")
    opened = open_bank(bank)
    if opened.config.embedder["type"] == "backbone":
        opened.attach(*load_model(model))
    print_table("memory", HIT_COLUMNS, hit_rows(opened.search(image=image, text=text, k=top_k)))
