"""`comem index-words`: the words index of a bank that has none."""

from typing import Annotated

import typer

from comem_hf.commands.common.output import JsonOption


def index_words(
    bank: Annotated[str, typer.Argument(help="Folder of the bank.")],
    json: JsonOption = False,
) -> None:
    """Store an index of the words of a bank's texts, for searches by words.

    `comem build-bank` does this, so it is for banks of older versions, whose index each process makes in memory at its
    first search by words. Nothing is encoded, and no model is needed. A bank that has an index stays as it is.

    Example:
        comem index-words my-bank
    """
    from comem_hf.commands.common.loading import open_bank
    from comem_hf.commands.common.output import print_json

    opened = open_bank(bank)
    opened.index_words()
    name = opened.config.words["file"]
    size = opened.config.files[name]["size"]
    if json:
        print_json({"folder": str(opened.folder), "file": name, "bytes": size})
        return
    typer.echo(f"The words of {len(opened):,} items are indexed in {name}, {size:,} bytes.")
