"""`comem calibrate`: the probabilities of a bank's hits, for banks that have none."""

from typing import Annotated

import typer

from comem_hf.commands.common.output import JsonOption


def calibrate(
    bank: Annotated[str, typer.Argument(help="Folder of the bank.")],
    model: Annotated[
        str | None, typer.Option(help="Folder or Hub id of the bank's model [default: the embedded model].")
    ] = None,
    pictures: Annotated[
        int | None, typer.Option(min=8, help="Items to sample. [default: a quarter, from 64 to 256]")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures per pass of the embedder.")] = 32,
    json: JsonOption = False,
) -> None:
    """Fit the probabilities of a bank's hits to its own pictures.

    `comem build-bank` does this, so it is for banks of older versions, merged ones, and those that have grown or
    shrunk a lot. Only `bank_config.json` and the card change. `comem info BANK --plot FILE` draws the result.

    Example:
        comem calibrate my-bank --model my-model
    """
    from comem_hf.commands.common.loading import load_model, open_bank
    from comem_hf.commands.common.output import print_json, print_table
    from comem_hf.hub.describe import describe_bank

    opened = open_bank(bank)
    if opened.config.embedder["type"] == "backbone":
        opened.attach(*load_model(model, takes_items=True))
    opened.calibrate(pictures=pictures, batch_size=batch_size)
    fitted = describe_bank(opened.config)["calibration"]
    if json:
        print_json({"folder": str(opened.folder), **fitted})
        return
    rows = [("pictures", fitted["pictures"]), ("Brier score", f"{fitted['brier']:.3f}")]
    print_table("probabilities of hits", ("", ""), rows)
