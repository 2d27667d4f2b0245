"""`comem bank update`: other metadata of an item, such as its price."""

from typing import Annotated

import typer

from comem_hf.commands.bank.options import FolderArgument, WaitOption
from comem_hf.commands.common.output import JsonOption


def update(
    bank: FolderArgument,
    item: Annotated[str, typer.Argument(metavar="ID", help="Id of the item.")],
    fields: Annotated[
        list[str],
        typer.Argument(metavar="FIELD=VALUE...", help="What becomes of its metadata; FIELD=null removes a field."),
    ],
    wait: WaitOption = 0,
    json: JsonOption = False,
) -> None:
    """Change the metadata of an item; its vectors stay, and no model is needed.

    A VALUE that is a number, true, false, or a list or object in JSON is stored as such, anything else as text; and so
    is a number if the bank has nothing but text in that field. In double quotes, it always is text.

    Example:
        comem bank update my-bank item-1 price=9.5 source=shop

    As text:
        comem bank update my-bank item-1 'sku="105"'
    """
    from comem_hf.commands.common.loading import open_bank
    from comem_hf.commands.common.output import ITEM_COLUMNS, item_rows, items_for_json, print_json, print_table

    changes = dict(map(_split, fields))
    opened = open_bank(bank)
    opened.update_metadata({item: {name: _value(opened, name, text) for name, text in changes.items()}}, wait=wait)
    items, files = opened.get([item]), opened.file_names([item])
    if json:
        print_json(items_for_json(items, files)[0])
    else:
        print_table("item", ITEM_COLUMNS, item_rows(items, files))


def _split(field: str) -> tuple[str, str]:
    name, equals, text = field.partition("=")
    if not name.strip() or not equals:
        raise ValueError(f"A change of metadata is written FIELD=VALUE, got {field!r}.")
    return name.strip(), text


def _value(bank, name: str, text: str) -> object:
    import json

    try:
        value = json.loads(text)
    except ValueError:
        return text
    if value is None or isinstance(value, str):
        return value
    try:
        kinds = bank.metadata_kinds(name)
    except ValueError:  # a new field
        return value
    return text if kinds == {"string"} else value
