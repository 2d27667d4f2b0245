"""Items of a `datasets.Dataset`, in memory, on disk or streamed."""

from collections.abc import Iterator
from functools import partial

from comem_hf.bank.sources.rows.lazy import LazyItems, make_item
from comem_hf.bank.sources.rows.plain_values import is_missing
from comem_hf.bank.sources.rows.reasons import is_of_the_machine, reason_of
from comem_hf.bank.sources.rows.text_of_row import is_text_name, take_text
from comem_hf.bank.sources.rows.unreadable import UnreadableItem
from comem_hf.modeling.memory_item import MemoryItem
from comem_hf.modeling.picture_comem import is_inline

from .addresses import is_file_of
from .wit import WIT_TEXT_COLUMNS, wit_text


_GUESSES = {
    "image": ("image", "img", "picture", "jpg", "png", "webp"),
    "id": ("id", "image_id", "__key__"),
}


def read_dataset(
    dataset, image: str | None = None, text: str | None = None, id: str | None = None, repository: str | None = None
) -> LazyItems:
    """Items of a data set: one column is the image, one the text, one the id; the others become metadata.

    Columns that are not given are guessed by their names: `image`, `id`, ..., and for the text, row by row, those of
    [`take_text`] (`text`, `caption`, `description`, `txt`, `title`, `prompt`). With the columns of WIT, title and
    description become the text. Images are taken as they are stored, and are not decoded.

    Args:
        dataset (`datasets.Dataset` or `datasets.IterableDataset`): One split.
        image, text, id (`str`, *optional*): Names of the columns.
        repository (`str`, *optional*): Id of the data set on the Hub, if it is from there. Its images must then be
            bytes or files of that repository: paths that others wrote must not fetch files of this machine.

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
    columns = {}
    for role, given in (("image", image), ("text", text), ("id", id)):
        if given is not None and given not in features:
            raise ValueError(f"The data set has no column {given!r}; its columns are {', '.join(features)}.")
        columns[role] = given or next((name for name in _GUESSES.get(role, ()) if name in features), None)
    has_text = text is not None or any(map(is_text_name, features))
    wit = not has_text and all(name in features for name in WIT_TEXT_COLUMNS)
    if columns["image"] is None and not has_text and not wit:
        raise ValueError(
            f"No column of the data set looks like an image or a text ({', '.join(features)}); name them with "
            "`image=` and `text=`."
        )
    media = [name for name, feature in features.items() if _holds_media(feature)]
    if media and isinstance(dataset, datasets.IterableDataset):
        dataset = dataset.decode(False)  # a stream from the Hub has a step that decodes before any cast
        for name, feature in features.items():
            if name not in media and dataset.features[name] != feature:  # `decode(False)` also leaves JSON as text
                dataset = dataset.cast_column(name, feature)
    if columns["image"] in media and isinstance(features[columns["image"]], datasets.Image):
        dataset = dataset.cast_column(columns["image"], datasets.Image(decode=False))
    if unused := [name for name in media if name != columns["image"]]:
        dataset = dataset.remove_columns(unused)
    labels = {name: feature.names for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)}
    count = (lambda: len(dataset)) if isinstance(dataset, datasets.Dataset) else (lambda: None)
    return LazyItems(partial(_items, dataset, columns, wit, labels, repository), count)


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
    dataset, columns: dict, wit: bool, labels: dict, repository: str | None
) -> Iterator[MemoryItem | UnreadableItem]:
    for number, row in _rows(dataset):
        where = f"row {number} of the data set"
        if isinstance(row, Exception):
            yield UnreadableItem(f"{where}: it cannot be read: {reason_of(row)}")
            continue
        fields = {role: None if name is None else row.pop(name) for role, name in columns.items()}
        fields["id"] = None if is_missing(fields["id"]) else str(fields["id"])
        try:
            fields["image"] = _encoded_image(fields["image"], repository)
        except Exception as error:  # file systems and networks raise errors of many types
            if is_of_the_machine(error):
                raise
            yield UnreadableItem(f"{where}: cannot read its image: {reason_of(error)}", fields["id"])
            continue
        for name, names in labels.items():
            if row.get(name) is not None and row[name] >= 0:
                row[name] = names[row[name]]
        if wit:
            fields["text"] = wit_text(row)
        elif columns["text"] is None:
            fields["text"] = take_text(row)
        yield make_item(where, **fields, metadata=row)


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


def _encoded_image(image: object, repository: str | None) -> object:
    """The file's content, or its path on this machine; a stream of image files has addresses (`hf://...`)."""
    path = image
    if isinstance(image, dict) and image.keys() & {"bytes", "path"}:
        content, path = image.get("bytes"), image.get("path")
        if isinstance(content, bytes):
            return content
        if content is not None:
            raise ValueError(f"its `bytes` are of type {type(content).__name__}")
    if not isinstance(path, str) or is_inline(path):
        return path
    if repository is not None and not is_file_of(repository, path):
        raise ValueError(f"{path!r:.200} is outside the data set {repository!r}, and such files are not opened")
    if repository is None and (path is image or "://" not in path):
        return path
    import fsspec

    with fsspec.open(path, "rb") as file:
        return file.read()
