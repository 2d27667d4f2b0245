"""`comem build-bank`: a memory bank from a list of items."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer


if TYPE_CHECKING:
    from comem_hf.modeling.memory_item import MemoryItem


def build_bank(
    items: Annotated[Path, typer.Argument(help="JSONL file of items.")],
    output: Annotated[Path, typer.Argument(help="Folder of the bank, new or empty.")],
    model: Annotated[str, typer.Option(help="Folder or Hub id of the model whose memory encoder to use.")],
    embedder: Annotated[
        str, typer.Option(help="'backbone' (the model's own vision tower), or an image model's folder or Hub id.")
    ] = "backbone",
    batch_size: Annotated[int, typer.Option(min=1, help="Items per encoder pass.")] = 32,
    dtype: Annotated[
        str, typer.Option(help="Of the stored vectors: float32, bfloat16, float16, int8 or int4.")
    ] = "float32",
    on_error: Annotated[
        str, typer.Option(help="'skip' leaves out items that cannot be used and lists them in OUTPUT; 'raise' stops.")
    ] = "skip",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bank in OUTPUT.")] = False,
) -> None:
    """Encode items and write them as a memory bank.

    One JSON object a line: `image` (a path, relative to the file), `text`, `id`; any other field becomes metadata.
    Called again after an interruption, it goes on where it stopped.

    Example:

        comem build-bank items.jsonl my-bank --model my-model
    """
    from comem_hf.bank import MemoryBank

    from .loading import load_model
    from .output import print_table

    rows = list(read_items(items))
    loaded, processor = load_model(model)
    bank = MemoryBank.build(
        rows,
        model=loaded,
        processor=processor,
        output_dir=output,
        embedder=embedder,
        batch_size=batch_size,
        dtype=dtype,
        overwrite=overwrite,
        on_error=on_error,
    )
    print_table("bank", ("", ""), [("folder", output), ("items", len(bank))])


def read_items(path: Path) -> Iterator["MemoryItem"]:
    """Memory items of a JSONL file; image paths are relative to it.

    Raises:
        ValueError: If the file cannot be read, or a line is no item (its number is named).
    """
    from comem_hf.modeling.memory_item import MemoryItem

    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"Cannot read items from {str(path)!r}: {reason}.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"expected a JSON object, got {line[:80]!r}.")
            image = row.pop("image", None)
            if image is not None and not isinstance(image, str):
                raise ValueError(f"`image` must be a path, got {image!r}.")
            yield MemoryItem(
                image=None if image is None else path.parent / image,
                text=row.pop("text", None),
                id=row.pop("id", None),
                metadata=row,
            )
        except ValueError as error:
            raise ValueError(f"{str(path)!r}, line {number}: {error}") from error
