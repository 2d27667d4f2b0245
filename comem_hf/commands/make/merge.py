"""`comem merge`: the memory encoder alone, as a standard model or as a PEFT adapter."""

from pathlib import Path
from typing import Annotated

import typer

from comem_hf.commands.common.output import JsonOption


def merge(
    model: Annotated[str, typer.Argument(help="Folder or Hub repository of a model.")],
    output: Annotated[Path, typer.Argument(help="Folder to write; must not exist or be empty.")],
    adapter_only: Annotated[
        bool, typer.Option("--adapter-only", help="Write the adapter as a PEFT folder, and merge nothing.")
    ] = False,
    backbone: Annotated[
        str | None,
        typer.Option(help="Backbone of a memory-only model. [default: the one that its configuration names]"),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what was written there before.")] = False,
    json: JsonOption = False,
) -> None:
    """Write the memory encoder, without its resampler, as a standard model of the backbone's type.

    Example:
        comem merge my-model my-encoder
    """
    from comem_hf.commands.common.loading import without_loading_bar
    from comem_hf.commands.common.output import print_json
    from comem_hf.conversion import export_adapter, merge_encoder

    with without_loading_bar():
        folder = (export_adapter if adapter_only else merge_encoder)(
            model, output, backbone=backbone, overwrite=overwrite
        )
    if json:
        print_json({"folder": str(folder), "kind": "adapter" if adapter_only else "encoder"})
        return
    typer.echo(f"Wrote the {'adapter' if adapter_only else 'merged memory encoder'} to {folder}.")
