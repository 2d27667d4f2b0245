"""Choosing the source that a name or an object stands for."""

import operator
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from comem_hf.bank.sources.data_sets.data_set import read_dataset
from comem_hf.bank.sources.data_sets.open import open_saved, stream_of_hub
from comem_hf.bank.sources.files.json_lines import EXPORTED_ITEMS, is_export
from comem_hf.bank.sources.files.table_files import CSV_SUFFIXES, TABLE_SUFFIXES, read_table, why_no_table
from comem_hf.bank.sources.files.web_dataset import TAR_SUFFIXES, read_tar
from comem_hf.bank.sources.files.wit import is_wit, read_wit
from comem_hf.bank.sources.folder.image_folder import read_image_folder
from comem_hf.bank.sources.folder.shards import refuse_mixed, shards_of
from comem_hf.bank.sources.places.picture_places import PicturePlaces, path_of_file_url
from comem_hf.bank.sources.rows.columns import Columns
from comem_hf.bank.sources.rows.items import items_of_table
from comem_hf.bank.sources.rows.lazy import LazyItems
from comem_hf.files.data_sets import HUB_PREFIX, choose_split, is_saved
from comem_hf.files.option_names import option
from comem_hf.files.tables.arrow_rows import frame_table
from comem_hf.files.tables.opened import suffix_of

from .options import SourceOptions


_KINDS = (
    "a .csv, .tsv, .jsonl, .json or .parquet file, a .tar file of webdataset, a folder of images or of "
    f"`save_to_disk`, {HUB_PREFIX}USER/NAME"
)


def open_source(
    source: Any,
    *,
    images: str | Path | None = None,
    split: str | None = None,
    image_column: str | None = None,
    text_column: str | None = None,
    id_column: str | None = None,
    urls: bool = False,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> LazyItems:
    """Items of a file, a folder, a data set on the Hub, or a table in memory.

    In all of them but WIT, the text of an item is the first of the fields `text`, `caption`, `description`, `txt`,
    `title` and `prompt` that is there and not empty; the picture is in `image`, `img`, `picture`, `image_path`,
    `image_file`, `photo` or `file_name`, and the id in `id`. Each other field is metadata, and so are the fields of an
    object `metadata`, as in what [`MemoryBank.export`] writes.

    Args:
        source (`str`, `Path` or a table): A file with rows, `.csv`, `.tsv`, `.jsonl`, `.ndjson`, `.json` (these also
            with `.gz`) or `.parquet` ([`read_table`]), a TSV file with the columns of WIT ([`read_wit`]); a `.tar`
            file of webdataset ([`read_tar`]); a folder of images ([`read_image_folder`]), of `save_to_disk`, or with
            nothing but `.tar` or `.parquet` files; `hf://datasets/USER/NAME`, with `@REVISION` if wanted, streamed; a
            `datasets.Dataset` or the like ([`read_dataset`]); or a data frame of pandas or polars, or a table of
            Arrow. A file may be named by its `file://` address.
        images (`str` or `Path`, *optional*): Folder that relative paths of pictures start from. By default that of the
            file, and the current one for tables in memory. Of a WIT file: the folder of its images.
        split (`str`, *optional*): Split of a data set that has several; `"train"` by default.
        image_column, text_column, id_column (`str`, *optional*): Names of these columns, for every source; in a folder
            of images, those of its metadata files.
        urls (`bool`, *optional*, defaults to `False`): Fetch pictures that are addresses on the web, each with a limit
            of size and time ([`fetch_picture`]). Each process of a build fetches all of them.
        encoding, delimiter (`str`, *optional*): Those of a CSV file; found out if not given, see [`csv_table`].

    Raises:
        ValueError: If `source` is none of these, cannot be read, has no such column, or does not take an option that
            is given.
    """
    columns = Columns(image_column, text_column, id_column)
    options = SourceOptions(columns, images, split, urls, encoding, delimiter)
    if images is not None and not Path(images).is_dir():
        raise ValueError(f"{option('images')} must be a folder, got {str(images)!r}.")
    if not isinstance(source, str | Path):
        return _of_object(source, options)
    if str(source).startswith(HUB_PREFIX):
        options.check("data sets on the Hub", "split")
        repository, _, revision = str(source).removeprefix(HUB_PREFIX).partition("@")
        dataset = stream_of_hub(repository, revision or None, split or "train")
        return read_dataset(dataset, columns.image, columns.text, columns.id, repository)
    path = _local(str(source))
    return _of_folder(path, options) if path.is_dir() else _of_file(path, options)


def _local(name: str) -> Path:
    """The path of a name that is no address of another machine."""
    if name[:5].lower() == "file:":
        try:
            return Path(path_of_file_url(name))
        except ValueError as error:
            raise ValueError(f"The source {error}") from error
    is_data = name[:5].lower() == "data:"
    if is_data or "://" in name:
        kind = "a data URL" if is_data else "an address on the web"
        raise ValueError(f"{name[:80]!r} is {kind}, which is no source of items: save it as a file, and give that.")
    return Path(name)


def _of_object(source: Any, options: SourceOptions) -> LazyItems:
    columns, pictures = options.columns, PicturePlaces(Path(options.images or "."), options.urls)
    if type(source).__module__.partition(".")[0] == "datasets":
        options.check("data sets in memory", "images", "urls", "split")
        if isinstance(source, Mapping):  # as `DatasetDict` and `IterableDatasetDict` are
            source = choose_split(source, options.split, "The data set")
        elif options.split is not None:
            raise ValueError(f"{option('split')} is for a data set that has several: leave it out.")
        return read_dataset(source, columns.image, columns.text, columns.id, images=options.images, urls=options.urls)
    table = frame_table(source)
    if table is None:
        raise ValueError(
            f"An object of type {type(source).__name__} is no source of items: give {_KINDS}, a data frame, a table "
            "of Arrow or a `datasets.Dataset`. `MemoryBank.build` takes a list of items as it is."
        )
    options.check("data frames", "images", "urls")
    return items_of_table(table, columns, pictures)


def _of_file(path: Path, options: SourceOptions) -> LazyItems:
    name, suffix, columns = repr(str(path)), suffix_of(path), options.columns
    if suffix in (".tsv", ".tsv.gz") and is_wit(path):
        options.check(f"WIT files, as {name} is one", "images")
        return read_wit(path, options.images, columns)
    if suffix in TABLE_SUFFIXES:
        of_csv = ("encoding", "delimiter") if suffix in CSV_SUFFIXES else ()
        options.check(name, "images", "urls", *of_csv)
        of_file = {"images": options.images, "encoding": options.encoding, "delimiter": options.delimiter}
        return read_table(path, columns, urls=options.urls, **of_file)
    if suffix in TAR_SUFFIXES:
        return _of_tars([path], options)
    reason = why_no_table(path) or f"{'' if path.exists() else 'there is no such file or folder; '}give {_KINDS}"
    raise ValueError(f"{name} is no source of items: {reason}.")


def _of_tars(paths: list[Path], options: SourceOptions) -> LazyItems:
    options.check("tar files")
    if options.columns.image is not None:
        raise ValueError(
            f"{option('image_column')} is not for tar files, in which a picture is a member: leave it out."
        )
    return read_tar(paths, options.columns)


def _of_folder(path: Path, options: SourceOptions) -> LazyItems:
    if is_saved(path):
        refuse_mixed(path)
        options.check("folders of `save_to_disk`", "images", "urls", "split")
        dataset, columns = open_saved(path, options.split), options.columns
        return read_dataset(
            dataset, columns.image, columns.text, columns.id, images=options.images or path, urls=options.urls
        )
    if is_export(path):
        return _of_file(path / EXPORTED_ITEMS, options)
    shards = shards_of(path)
    if not shards:
        options.check("folders of images", "encoding")
        return read_image_folder(path, options.columns, encoding=options.encoding)
    if suffix_of(shards[0]) in TAR_SUFFIXES:
        return _of_tars(shards, options)
    parts = [_of_file(shard, options) for shard in shards]
    return LazyItems(lambda: chain.from_iterable(parts), lambda: sum(map(operator.length_hint, parts)))
