"""Choosing the source that a name stands for."""

from itertools import chain
from pathlib import Path

from comem_hf.bank.sources.folder.image_folder import read_image_folder
from comem_hf.bank.sources.rows.lazy import LazyItems

from .addresses import is_file_of
from .columns import read_dataset
from .json_lines import read_jsonl
from .wit import read_wit


HUB_PREFIX = "hf://datasets/"


def open_source(
    source: str | Path,
    *,
    images: str | Path | None = None,
    split: str = "train",
    image_column: str | None = None,
    text_column: str | None = None,
    id_column: str | None = None,
) -> LazyItems:
    """Items of a file, a folder or a data set on the Hub.

    In all of them but WIT, the text of an item is the first of the fields `text`, `caption`, `description`, `txt`,
    `title` and `prompt` that is there and not empty.

    Args:
        source (`str` or `Path`): A `.jsonl` file ([`read_jsonl`]), a `.tsv` or `.tsv.gz` file of WIT ([`read_wit`]), a
            folder of images ([`read_image_folder`]), or `hf://datasets/USER/NAME`, with `@REVISION` if wanted,
            streamed ([`read_dataset`]).
        images (`str` or `Path`, *optional*): Folder of a WIT file's images.
        split (`str`, defaults to `"train"`): Split of a data set on the Hub.
        image_column, text_column, id_column (`str`, *optional*): Columns of a data set on the Hub; guessed if not
            given.

    Raises:
        ValueError: If `source` is none of these, cannot be read, or does not take an option that is given.
    """
    name = str(source)
    path = Path(name)
    on_hub, wit = name.startswith(HUB_PREFIX), name.lower().endswith((".tsv", ".tsv.gz"))
    if images is not None and not wit:
        raise ValueError(f"`images` is for WIT files, not for {name!r}.")
    columns = {"image": image_column, "text": text_column, "id": id_column}
    if not on_hub and (split != "train" or any(columns.values())):
        raise ValueError(f"Split and columns can be chosen for {HUB_PREFIX}USER/NAME, not for {name!r}.")
    if on_hub:
        repository, _, revision = name.removeprefix(HUB_PREFIX).partition("@")
        return read_dataset(_stream(repository, revision or None, split), **columns, repository=repository)
    if path.is_dir():
        return read_image_folder(path)
    if wit:
        return read_wit(path, images)
    if path.suffix.lower() == ".jsonl":
        return read_jsonl(path)
    raise ValueError(
        f"{name!r} is no source of items: give a .jsonl file, a .tsv or .tsv.gz file of WIT, a folder of images, or "
        f"{HUB_PREFIX}USER/NAME."
    )


def _stream(repository: str, revision: str | None, split: str):
    if Path(repository).exists():  # `datasets` would read that folder instead
        raise ValueError(
            f"{HUB_PREFIX}{repository} cannot be read where a folder {repository!r} exists: change to another folder."
        )
    try:
        from datasets import load_dataset_builder
    except ImportError as error:
        raise ValueError("Reading a data set from the Hub needs datasets: pip install datasets.") from error
    builder = load_dataset_builder(repository, revision=revision)
    for address in chain.from_iterable((builder.config.data_files or {}).values()):
        if not is_file_of(repository, address):  # before version 5, `datasets` reads any file that a card names
            raise ValueError(f"The data set {repository!r} is refused: it names {address!r}, a file outside it.")
    return builder.as_streaming_dataset(split=split)
