"""`comem bank export`: the items of a memory bank as files that other programs read."""

from pathlib import Path
from typing import Annotated

import typer

from comem_hf.commands.bank.options import BankArgument
from comem_hf.commands.common.conditions import WHERE_HELP, read_conditions
from comem_hf.commands.common.output import JsonOption


def export(
    bank: BankArgument,
    output: Annotated[
        Path, typer.Argument(help="A file that ends with .parquet, or a folder for items.jsonl and pictures.")
    ],
    where: Annotated[list[str] | None, typer.Option(help=WHERE_HELP)] = None,
    json: JsonOption = False,
) -> None:
    """Write the items of a memory bank as JSONL with pictures, or as Parquet.

    `comem build-bank OUTPUT` makes a bank of the same items again. No model is needed.

    Example:
        comem bank export my-bank my-items

    As one file, and only some items:
        comem bank export my-bank my-items.parquet --where source=test
    """
    from comem_hf.commands.common.loading import open_bank
    from comem_hf.commands.common.output import print_json, print_table

    opened = open_bank(bank)
    count = opened.export(output, read_conditions(where, opened.metadata_kinds))
    if json:
        print_json({"output": str(output), "items": count})
    else:
        print_table("export", ("", ""), [("output", output), ("items", count)])
