"""`comem build-bank`: a memory bank from a file, a folder or a data set."""

import os
from pathlib import Path
from typing import Annotated

import typer

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


def build_bank(
    source: Annotated[
        str,
        typer.Argument(
            help="CSV, TSV, JSONL, JSON or Parquet file, tar file of webdataset, folder of images, or "
            "hf://datasets/USER/NAME."
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Folder of the bank, new or empty.")],
    model: Annotated[
        str | None,
        typer.Option(help="Folder or Hub id of the model whose memory encoder to use [default: the embedded model]."),
    ] = None,
    embedder: Annotated[
        str, typer.Option(help="'backbone' (the model's own vision tower), or an image model's folder or Hub id.")
    ] = "backbone",
    batch_size: Annotated[int, typer.Option(min=1, help="Items per encoder pass.")] = 32,
    shard_size: Annotated[
        int, typer.Option(min=1, help="Items per file, and the most that an interruption costs.")
    ] = 1024,
    dtype: Annotated[
        str, typer.Option(help="Of the stored vectors: float32, bfloat16, float16, int8 or int4.")
    ] = "float32",
    num_memory_tokens: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Store only the first so many vectors of each item, for a model that was trained with "
            "`--nested-memory-lengths` [default: all].",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[str, typer.Option(help="How embeddings are compared: cosine or l2.")] = "cosine",
    index: Annotated[
        str | None,
        typer.Option(help="FAISS factory string, 'shards:4' or 'lancedb' [default: by the number of items]."),
    ] = None,
    on_error: Annotated[
        str, typer.Option(help="'skip' leaves out items that cannot be used and lists them in OUTPUT; 'raise' stops.")
    ] = "skip",
    max_pixels: Annotated[
        int | None,
        typer.Option(min=1, help="Of a picture; larger ones are skipped [default: Pillow's limit, 89,478,485]."),
    ] = None,
    images: ImagesOption = None,
    split: SplitOption = None,
    image_column: ImageColumnOption = None,
    text_column: TextColumnOption = None,
    id_column: IdColumnOption = None,
    urls: UrlsOption = False,
    encoding: EncodingOption = None,
    delimiter: DelimiterOption = None,
    license: Annotated[
        str | None, typer.Option(help="Licence of the items, by the Hub's identifier, such as 'cc-by-sa-4.0'.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bank in OUTPUT.")] = False,
    json: JsonOption = False,
) -> None:
    """Encode items and write them as a memory bank.

    A row of a file, such as a line of CSV or JSONL, has `image` (a path, relative to the file, or the picture in
    base64), `text`, `id`; any other column becomes metadata. A folder has images, each with its text in a .txt file of
    the same name, or metadata files as on the Hub. A text may also be named caption, description, txt, title or
    prompt.
    Called again after an interruption, it goes on where it stopped. Under `torchrun -m comem_hf build-bank ...` or
    `accelerate launch` the processes share the work.

    Example:
        comem build-bank items.jsonl my-bank --model my-model

    An export of a shop, with its pictures in another folder:
        comem build-bank products.csv shop-bank --images pictures --text-column title
    """
    import PIL.Image

    from comem_hf.bank import MemoryBank
    from comem_hf.bank.building.processes import Processes
    from comem_hf.bank.encoding.skipped import LeftOut, read_skipped
    from comem_hf.bank.sources import open_source
    from comem_hf.commands.common.loading import load_model
    from comem_hf.commands.common.output import print_json, print_table

    if max_pixels is not None:
        PIL.Image.MAX_IMAGE_PIXELS = max_pixels  # of this process, in which nothing else opens pictures
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
    distributed = int(os.environ.get("WORLD_SIZE", 1)) > 1
    processes = Processes(distributed)  # before the model: each process has an accelerator of its own
    loaded, processor = load_model(model, takes_items=True)
    bank = MemoryBank.build(
        items,
        model=loaded,
        processor=processor,
        output_dir=output,
        embedder=embedder,
        batch_size=batch_size,
        shard_size=shard_size,
        dtype=dtype,
        metric=metric,
        index_factory=index,
        license=license,
        overwrite=overwrite,
        on_error=on_error,
        distributed=distributed,
        num_memory_tokens=num_memory_tokens,
    )
    if processes.leader:
        left_out = LeftOut.of(read_skipped(output), 0)
        built = {
            "folder": str(output),
            "items": len(bank),
            "skipped": left_out.skipped,
            "repeated": left_out.repeated,
            "other_files": left_out.other_files,
        }
        if json:
            print_json(built)
        else:
            shown = {name: value for name, value in built.items() if value or name not in ("repeated", "other_files")}
            rows = [(name.replace("_", " "), value) for name, value in shown.items()]
            print_table("bank", ("", ""), rows)
