"""`comem bank add`: more items for a memory bank, or others in their place."""

from typing import Annotated

import typer

from comem_hf.commands.bank.options import FolderArgument, WaitOption
from comem_hf.commands.common.output import JsonOption
from comem_hf.commands.common.source_options import (
    DelimiterOption,
    EncodingOption,
    IdColumnOption,
    ImageColumnOption,
    ImagesOption,
    SplitOption,
    TextColumnOption,
    UrlsOption,
)


def add(
    bank: FolderArgument,
    source: Annotated[str, typer.Argument(help="Items, in any form that `comem build-bank` takes.")],
    upsert: Annotated[
        bool,
        typer.Option("--upsert", help="An item takes the place of the one that has its id. [default: it is left out]"),
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="Folder or Hub id of the bank's model [default: the embedded model].")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Items per encoder pass.")] = 32,
    on_error: Annotated[
        str, typer.Option(help="'skip' leaves out items that cannot be used and lists them; 'raise' changes nothing.")
    ] = "skip",
    wait: WaitOption = 0,
    images: ImagesOption = None,
    split: SplitOption = None,
    image_column: ImageColumnOption = None,
    text_column: TextColumnOption = None,
    id_column: IdColumnOption = None,
    urls: UrlsOption = False,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    json: JsonOption = False,
) -> None:
    """Encode items and add them to a memory bank.

    Items that the bank holds already are passed over. With `--upsert`, an item replaces the one that has its id; where
    only its metadata is another, such as a price, nothing is encoded.

    Example:
        comem bank add my-bank items.jsonl --model my-model

    New prices in the same file:
        comem bank add my-bank items.jsonl --model my-model --upsert
    """
    from comem_hf.bank.encoding.skipped import LeftOut, labelled
    from comem_hf.bank.sources import open_source
    from comem_hf.commands.common.loading import load_model, open_bank
    from comem_hf.commands.common.output import print_json, print_table

    items = open_source(
        source,
        images=images,
        split=split,
        image_column=image_column,
        text_column=text_column,
        id_column=id_column,
        urls=urls,
        encoding=encoding,
        delimiter=delimiter,
    )
    opened = open_bank(bank).attach(*load_model(model, takes_items=True))
    change = opened.upsert if upsert else opened.add
    entries = change(items, batch_size=batch_size, on_error=on_error, wait=wait)
    left_out = LeftOut.of(entries, 0)
    counts = {"skipped": left_out.skipped, "repeated": left_out.repeated, "other_files": left_out.other_files}
    if json:
        print_json({"folder": bank, "items": len(opened), **counts, "left_out": entries})
        return
    shown = {name: number for name, number in counts.items() if number}
    rows = [("items", len(opened)), *((name.replace("_", " "), number) for name, number in shown.items())]
    print_table("bank", ("", ""), rows)
    for entry in entries:
        if not entry.get("repetition"):
            typer.echo(labelled(entry), err=True)
