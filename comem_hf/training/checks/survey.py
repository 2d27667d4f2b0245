"""What training rows look like to the model, found out before the first step."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers.utils import logging

from comem_hf.modeling.picture_comem import MAX_ASPECT_RATIO, picture_size
from comem_hf.training.batches.collator import MemoryCollator
from comem_hf.training.data.dataset import MemoryDataset
from comem_hf.training.data.sample import TrainingSample
from comem_hf.training.data.sources.skipped import Skipped


logger = logging.get_logger(__name__)


def survey(dataset: MemoryDataset, collator: MemoryCollator) -> MemoryDataset:
    """Render all conversations, read the beginnings of all picture files, and say what was found.

    Left out are rows of which a picture file is damaged, as far as its beginning shows, or that cannot be cut to
    `max_length`. Each file is opened once, however many rows show it. Pictures that tables hold are looked at only if
    there is a `max_length`, which depends on their sizes. What is found, the number of rows that are cut
    among it, is logged.

    Args:
        dataset ([`MemoryDataset`]): The rows.
        collator ([`MemoryCollator`]): What makes batches of them.

    Returns:
        [`MemoryDataset`]: The rows that can be trained on.

    Raises:
        ValueError: If the chat template leaves nothing of an answer (the message names the row), or more than 5 % of
            the rows would be left out.
    """
    sizes, limit = PictureSizes(), collator.rows.limit
    skipped, reasons, num_cut = Skipped(dataset.name), {}, 0
    samples = dataset if limit else dataset.samples_without_content()
    for number, sample in enumerate(logging.tqdm(samples, "looking through rows", len(dataset), leave=False, delay=5)):
        try:
            for item in sample.memories:
                sizes.check_known([item.image])
            shown = _prompt(sample, collator)
            found = [sizes.of(image) for image in shown.images] if limit else sizes.check_known(shown.images)
        except UnreadablePictureError as error:
            reasons[number] = f"{sample.name}: {error}"
            continue
        if limit is None:
            collator.encoder.split(shown)
            continue
        cut = limit.fit(shown, found)
        if cut is None:
            reasons[number] = f"{sample.name}: its pictures and answers alone are longer than `max_length`."
        num_cut += cut is not None and cut is not shown
    for reason in reasons.values():
        skipped.add(reason)
    skipped.check(len(dataset))
    if reasons:
        dataset = dataset.without(reasons)
    _report(dataset, collator, num_cut)
    return dataset


class UnreadablePictureError(ValueError):
    """A picture cannot be read."""


class PictureSizes:
    """Sizes of pictures; each file is opened once."""

    def __init__(self):
        self._found: dict[str, tuple[int, int] | str] = {}

    def of(self, image: Any) -> tuple[int, int]:
        """Return the width and height of a picture.

        Raises:
            UnreadablePictureError: If it cannot be read, or is too narrow.
        """
        if not isinstance(image, Path):
            return _size(image)
        key = str(image)
        if key not in self._found:
            try:
                self._found[key] = _size(image)
            except UnreadablePictureError as error:
                self._found[key] = str(error)
        found = self._found[key]
        if isinstance(found, str):
            raise UnreadablePictureError(found)
        return found

    def check_known(self, images: list[Any]) -> list[tuple[int, int]]:
        """Look at those of some pictures that are files, or of which the content was read."""
        return [self.of(image) for image in images if image is not None and not _is_empty(image)]


def _is_empty(image: Any) -> bool:
    """Whether the content was left out; see [`MemoryDataset.samples_without_content`]."""
    content = image.get("bytes") if isinstance(image, dict) else image
    return isinstance(content, bytes) and not content


def _size(image: Any) -> tuple[int, int]:
    try:
        size = picture_size(image)
    except ValueError as error:
        raise UnreadablePictureError(str(error)) from error
    if max(size) > MAX_ASPECT_RATIO * min(size):
        raise UnreadablePictureError(
            f"{image} is {size[0]} x {size[1]} pixels; one side may be at most {MAX_ASPECT_RATIO} times the other."
        )
    return size


def _prompt(sample: TrainingSample, collator: MemoryCollator) -> TrainingSample:
    """The sample as its prompt will be."""
    if not collator.items_in_prompt or not sample.memories:
        return sample
    return collator.to_context(replace(sample, memories=sample.memories[: collator.drawing.max_memories]))


def _report(dataset: MemoryDataset, collator: MemoryCollator, num_cut: int) -> None:
    without = int((dataset.item_counts == 0).sum())
    parts = [f"{dataset.name}: {len(dataset):,} rows"]
    if without:
        parts.append(f"{without:,} of them without memory items")
    if dataset.skipped:
        parts.append(f"{len(dataset.skipped):,} more left out")
    if collator.rows.limit is not None:
        parts.append(f"{num_cut:,} cut to {collator.rows.limit.max_length:,} tokens")
    if dataset.unread:
        parts.append(f"keys that are not read: {', '.join(dataset.unread)}")
    (logger.warning if without or dataset.skipped or num_cut or dataset.unread else logger.info)(
        "; ".join(parts) + "."
    )
