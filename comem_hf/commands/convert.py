"""`comem convert`: a published checkpoint becomes one of this package."""

from pathlib import Path
from typing import Annotated

import typer


def convert(
    source: Annotated[str, typer.Argument(help="Folder or repository of a published, fully merged checkpoint.")],
    output: Annotated[Path, typer.Argument(help="Folder to write; must not exist or be empty.")],
    backbone: Annotated[str, typer.Option(help="The backbone that the checkpoint was made from.")],
    encoder: Annotated[
        str, typer.Option(help="'adapter' recovers a low-rank adapter; 'separate' keeps the encoder's full weights.")
    ] = "adapter",
    resampler_heads: Annotated[int | None, typer.Option(help="Attention heads of the resampler [16].")] = None,
    resampler_head_dim: Annotated[int | None, typer.Option(help="Width of each of its heads.")] = None,
    resampler_layers: Annotated[int | None, typer.Option(help="Passes of the resampler [8].")] = None,
):
    """
    Convert a published checkpoint.

    Example: comem convert ./CoMEM-Qwen2-VL-7B ./converted --backbone Qwen/Qwen2-VL-7B-Instruct
    """
    from comem_hf.conversion import convert_checkpoint

    sizes = {
        "num_attention_heads": resampler_heads,
        "head_dim": resampler_head_dim,
        "num_hidden_layers": resampler_layers,
    }
    report = convert_checkpoint(
        source,
        output,
        backbone=backbone,
        encoder=encoder,
        resampler={name: value for name, value in sizes.items() if value is not None},
    )
    typer.echo(f"Wrote {report.num_tensors} tensors to {report.output}.")
    if report.rank is not None:
        typer.echo(f"Adapter of rank {report.rank}; largest relative error of a layer {report.max_error:.1e}.")
    if not report.has_processor:
        typer.echo("The backbone has no tokenizer files, so there is no processor.")
