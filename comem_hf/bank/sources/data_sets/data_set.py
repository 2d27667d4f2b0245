"""Items of a `datasets.Dataset`, in memory, on disk or streamed."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from comem_hf.bank.sources.files.wit import WIT_TEXT_COLUMNS, wit_text
from comem_hf.bank.sources.places.picture_places import PicturePlaces
from comem_hf.bank.sources.rows.columns import IMAGE_NAMES, Columns, named, nothing_found
from comem_hf.bank.sources.rows.lazy import LazyItems, make_item
from comem_hf.bank.sources.rows.plain_values import id_as_text
from comem_hf.bank.sources.rows.reasons import is_of_the_machine, reason_of
from comem_hf.bank.sources.rows.text_of_row import is_text_name
from comem_hf.bank.sources.rows.unreadable import UnreadableItem
from comem_hf.files.data_sets import is_file_of
from comem_hf.files.tables.table import no_column
from comem_hf.modeling.memory_item import MemoryItem
from comem_hf.modeling.picture_comem import is_inline


_NAME = "The data set"
_IMAGE_NAMES = (*IMAGE_NAMES, "filename", "jpg", "png", "webp")  # the last three as webdataset names them
_ID_NAMES = ("id", "image_id", "__key__")


def read_dataset(
    dataset,
    image: str | None = None,
    text: str | None = None,
    id: str | None = None,
    repository: str | None = None,
    *,
    images: str | Path | None = None,
    urls: bool = False,
) -> LazyItems:
    """Items of a data set: one column is the image, one the text, one the id; the others become metadata.

    Columns that are not given are guessed by their names, see [`Columns`]. With the columns of WIT, title and
    description become the text. Images are taken as they are stored, and are not decoded.

    Args:
        dataset (`datasets.Dataset` or `datasets.IterableDataset`): One split.
        image, text, id (`str`, *optional*): Names of the columns.
        repository (`str`, *optional*): Id of the data set on the Hub, if it is from there. Its images must then be
            bytes or files of that repository: paths that others wrote must not fetch files of this machine.
        images (`str` or `Path`, *optional*): Folder that relative paths of pictures start from; the current one if
            not given.
        urls (`bool`, *optional*, defaults to `False`): Fetch pictures that are addresses on the web.

    Raises:
        ValueError: If `dataset` is no data set, a column is unknown, or neither an image nor a text was found.
    """
    import datasets

    if not isinstance(dataset, (datasets.Dataset, datasets.IterableDataset)):
        raise ValueError(
            "`dataset` must be a `datasets.Dataset` or `IterableDataset`, that is one split, "
            f"got {type(dataset).__name__}."
        )
    features = dataset.features
    if features is None:  # a stream that does not know them before it is read
        features = dict.fromkeys(next(iter(dataset), {}))
    for given in filter(None, (image, text, id)):
        if given not in features:
            raise no_column(_NAME, given, features)
    columns = Columns(image or named(_IMAGE_NAMES, features), text, id or named(_ID_NAMES, features))
    has_text = text is not None or any(map(is_text_name, features))
    wit = not has_text and all(name in features for name in WIT_TEXT_COLUMNS)
    if columns.image is None and not has_text and not wit:
        raise nothing_found(_NAME, features)
    media = [name for name, feature in features.items() if _holds_media(feature)]
    if media and isinstance(dataset, datasets.IterableDataset):
        dataset = dataset.decode(False)  # a stream from the Hub has a step that decodes before any cast
        for name, feature in features.items():
            if name not in media and dataset.features[name] != feature:  # `decode(False)` also leaves JSON as text
                dataset = dataset.cast_column(name, feature)
    if columns.image in media and isinstance(features[columns.image], datasets.Image):
        dataset = dataset.cast_column(columns.image, datasets.Image(decode=False))
    if unused := [name for name in media if name != columns.image]:
        dataset = dataset.remove_columns(unused)
    labels = {name: feature.names for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)}
    count = (lambda: len(dataset)) if isinstance(dataset, datasets.Dataset) else (lambda: None)
    pictures = _PicturesOfData(Path(images or "."), urls, repository)
    return LazyItems(partial(_items, dataset, columns, wit, labels, pictures), count)


def _holds_media(feature) -> bool:
    """Whether values are, or contain, files to decode."""
    import pyarrow as pa

    if isinstance(feature, dict):
        return any(map(_holds_media, feature.values()))
    if isinstance(feature, (list, tuple)):
        return _holds_media(feature[0])
    if hasattr(feature, "feature"):
        return _holds_media(feature.feature)
    return hasattr(feature, "decode_example") and pa.types.is_struct(feature.pa_type)  # of bytes and path


def _items(
    dataset, columns: Columns, wit: bool, labels: dict, pictures: "_PicturesOfData"
) -> Iterator[MemoryItem | UnreadableItem]:
    for number, row in _rows(dataset):
        where = f"row {number} of the data set"
        if isinstance(row, Exception):
            yield UnreadableItem(f"{where}: it cannot be read: {reason_of(row)}")
            continue
        item_id = id_as_text(columns.take_id(row))
        name, image = columns.take_image(row)
        try:
            image = pictures.find(image)
        except Exception as error:  # file systems and networks raise errors of many types
            if is_of_the_machine(error):
                raise
            reason = f"`{name}` {error}" if type(error) is ValueError else f"cannot read its image: {reason_of(error)}"
            yield UnreadableItem(f"{where}: {reason}", item_id if isinstance(item_id, str) else None)
            continue
        for label, names in labels.items():
            if row.get(label) is not None and row[label] >= 0:
                row[label] = names[row[label]]
        text = wit_text(row) if wit else columns.take_text(row)
        yield make_item(where, image=image, text=text, id=item_id, metadata=row)


def _rows(dataset) -> Iterator[tuple[int, dict | Exception]]:
    """Number and content of each row. In a data set with numbered rows, one that raises an error ends nothing."""
    import datasets

    if not isinstance(dataset, datasets.Dataset):
        yield from enumerate(dataset)
        return
    number = 0
    while number < len(dataset):
        try:
            for row in dataset.skip(number):
                yield number, row
                number += 1
        except Exception as error:  # a transform of the user's may raise anything
            if is_of_the_machine(error):
                raise
            yield number, error
            number += 1


class _PicturesOfData(PicturePlaces):
    """Finds pictures of a data set: a stream of image files has addresses (`hf://...`), which are read.

    Args:
        folder, urls: As for [`PicturePlaces`].
        repository (`str`, *optional*): The data set on the Hub; pictures are then in it, or nowhere.
    """

    def __init__(self, folder: Path, urls: bool, repository: str | None):
        super().__init__(folder, urls)
        self.repository = repository

    def find(self, value: object) -> object:
        path = value
        if isinstance(value, dict) and value.keys() & {"bytes", "path"}:
            content, path = value.get("bytes"), value.get("path")
            if isinstance(content, bytes):
                return content
            if content is not None:
                raise ValueError(f"has `bytes` of type {type(content).__name__}.")
        if not isinstance(path, str) or is_inline(path):
            return super().find(path)
        if self.repository is not None and not is_file_of(self.repository, path):
            raise ValueError(
                f"names {path!r:.200}, which is outside the data set {self.repository!r}, and such files are not "
                "opened."
            )
        if self.repository is None and (path is value or _is_for_all(path)):
            return super().find(path)
        import fsspec

        with fsspec.open(path, "rb") as file:
            return file.read()


def _is_for_all(path: str) -> bool:
    """Whether a path is of a kind that sources of all kinds know."""
    return "://" not in path or path.lower().startswith(("http://", "https://", "file://"))
