"""`comem convert`: a published checkpoint becomes one of this package."""

from pathlib import Path
from typing import Annotated

import typer

from comem_hf.commands.common.output import JsonOption


def convert(
    source: Annotated[
        str, typer.Argument(help="Folder or Hub id of a published checkpoint: merged, or a PEFT adapter.")
    ],
    output: Annotated[Path, typer.Argument(help="Folder to write.")],
    backbone: Annotated[
        str | None,
        typer.Option(help="The backbone it was trained from. [default: what the checkpoint holds of it]"),
    ] = None,
    reader: Annotated[
        str | None,
        typer.Option(help="The language model that a text-only reader was trained from. [default: no such reader]"),
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="'adapter' keeps or recovers a low-rank adapter; 'separate' writes full weights.")
    ] = "adapter",
    rank: Annotated[
        int | None, typer.Option(min=1, help="Rank of a recovered adapter. [default: found from the weights]")
    ] = None,
    max_error: Annotated[
        float, typer.Option(min=0, help="What a recovered adapter may leave out of a layer's change, relative.")
    ] = 1e-3,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a checkpoint in OUTPUT.")] = False,
    resampler_heads: Annotated[
        int | None, typer.Option(min=1, help="Attention heads of the resampler. [default: 16]")
    ] = None,
    resampler_head_dim: Annotated[
        int | None, typer.Option(min=1, help="Width of each of its heads. [default: what fits the weights]")
    ] = None,
    resampler_layers: Annotated[int | None, typer.Option(min=1, help="Passes of the resampler. [default: 8]")] = None,
    json: JsonOption = False,
) -> None:
    """Convert a published checkpoint.

    Example:
        comem convert ./CoMEM-Qwen2.5-VL-7B ./converted --backbone Qwen/Qwen2.5-VL-7B-Instruct
    """
    from comem_hf.commands.common.output import print_json
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
        reader=reader,
        encoder=encoder,
        resampler={name: value for name, value in sizes.items() if value is not None},
        rank=rank,
        max_error=max_error,
        overwrite=overwrite,
    )
    if json:
        facts = (
            "layout",
            "encoder",
            "num_tensors",
            "rank",
            "reader_trained",
            "reader_rank",
            "max_error",
            "worst_layer",
        )
        facts += ("has_processor", "notes")
        print_json({"folder": str(report.output), **{name: getattr(report, name) for name in facts}})
        return
    typer.echo(f"Source layout: {report.layout}. Wrote {report.num_tensors} tensors to {report.output}.")
    if report.worst_layer is not None:
        noise = report.noise[report.worst_layer]
        typer.echo(
            f"Adapter of rank {report.rank}, recovered; largest relative error {report.max_error:.1e} (rounding "
            f"explains up to {noise:.1e}) in {report.worst_layer}."
        )
    elif report.rank is not None:
        typer.echo(f"Adapter of rank {report.rank}, carried over exactly.")
    if report.reader_trained is not None:
        change = f"trained, too; an adapter of rank {report.reader_rank}" if report.reader_trained else "the backbone"
        if reader is None:  # of a text-only reader there is a note
            typer.echo(f"Reader: {change}.")
    for note in report.notes:
        typer.echo(note)
    if not report.has_processor:
        typer.echo("The backbone has no tokenizer files, so there is no processor.")
