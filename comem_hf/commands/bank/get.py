"""`comem bank get`: items of a memory bank, as it holds them."""

from typing import Annotated

import typer

from comem_hf.commands.bank.options import BankArgument, IdsArgument
from comem_hf.commands.common.conditions import WHERE_HELP, read_conditions
from comem_hf.commands.common.output import JsonOption


def get(
    bank: BankArgument,
    ids: IdsArgument = None,
    where: Annotated[list[str] | None, typer.Option(help=WHERE_HELP)] = None,
    offset: Annotated[int, typer.Option(min=0, help="Items to pass over at the beginning.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="Most items to show.")] = 20,
    json: JsonOption = False,
) -> None:
    """Show items of a memory bank: some by their ids, or all in their order.

    No model is needed. `comem bank export` writes all items, with their pictures.

    Example:
        comem bank get my-bank item-1 item-2

    The items of a source, ten at a time:
        comem bank get my-bank --where source=test --offset 0 --limit 10
    """
    from comem_hf.commands.common.loading import open_bank
    from comem_hf.commands.common.output import ITEM_COLUMNS, item_rows, items_for_json, print_json, print_table

    if ids and where:
        raise ValueError("Give the ids of the items to show, or `--where` with what their metadata is.")
    opened = open_bank(bank)
    if ids:
        items = opened.get(ids)
    else:
        items = list(opened.items(read_conditions(where, opened.metadata_kinds), offset=offset, limit=limit))
    files = opened.file_names([item.id for item in items])
    if json:
        print_json(items_for_json(items, files))
    else:
        print_table("item", ITEM_COLUMNS, item_rows(items, files))
