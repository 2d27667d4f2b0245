"""`comem bank remove`: items that a memory bank shall no longer find."""

from typing import Annotated

import typer

from comem_hf.commands.bank.options import FolderArgument, IdsArgument, WaitOption
from comem_hf.commands.common.conditions import WHERE_HELP, read_conditions
from comem_hf.commands.common.output import JsonOption


def remove(
    bank: FolderArgument,
    ids: IdsArgument = None,
    where: Annotated[list[str] | None, typer.Option(help=WHERE_HELP)] = None,
    wait: WaitOption = 0,
    json: JsonOption = False,
) -> None:
    """Remove items from a memory bank, by their ids or by their metadata.

    They stay in the files of the folder, as others may be reading them, and are in no copy: `comem push` uploads the
    bank without them. No model is needed.

    Example:
        comem bank remove my-bank item-1 item-2

    All items of a source:
        comem bank remove my-bank --where source=test
    """
    from comem_hf.commands.common.loading import open_bank
    from comem_hf.commands.common.output import print_json, print_table

    if bool(ids) == bool(where):
        raise ValueError("Give the ids of the items to remove, or `--where` with what their metadata is.")
    opened = open_bank(bank)
    conditions = read_conditions(where, opened.metadata_kinds)
    removed = opened.remove(ids or None, where=conditions, wait=wait)
    if json:
        print_json({"folder": bank, "items": len(opened), "removed": removed})
    else:
        print_table("bank", ("", ""), [("removed", len(removed)), ("items", len(opened))])
