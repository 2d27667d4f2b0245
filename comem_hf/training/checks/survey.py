"""What training rows look like to the model, found out before the first step."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers.utils import logging

from comem_hf.modeling.picture_comem import MAX_ASPECT_RATIO, load_image, picture_size
from comem_hf.training.batches.collator import MemoryCollator
from comem_hf.training.batches.whole_rows import UnusableRowError
from comem_hf.training.data.dataset import MemoryDataset
from comem_hf.training.data.rows.row import PUBLISHED_MAX_CHARACTERS, counted
from comem_hf.training.data.sample import TrainingSample
from comem_hf.training.data.sources.skipped import Skipped


logger = logging.get_logger(__name__)

DECODED = 1000
"""Number of pictures that are decoded whole; of others the beginning is read."""


def survey(dataset: MemoryDataset, collator: MemoryCollator) -> MemoryDataset:
    """Render all conversations, look at the pictures, and say what was found.

    Left out are rows of which a picture is damaged, or that cannot be cut to `max_length`. The first 1,000 pictures
    are decoded whole, and the rows that show them say first whether too many are left out; of the others only the
    beginning of the file is read, and those that tables hold are looked at only if there is a `max_length`, which
    depends on their sizes. Each file is opened once, however many rows show it. What is found, the number of rows
    that are cut among it, is logged.

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
    skipped, reasons = Skipped(dataset.name), {}
    without_picture = without_text = num_cut = 0
    decoded = True
    samples = dataset if limit else _samples(dataset, sizes)
    for number, sample in enumerate(logging.tqdm(samples, "looking through rows", len(dataset), leave=False, delay=5)):
        if decoded and not sizes.decodes:
            skipped.refuse_many(number)
        decoded = sizes.decodes
        try:
            is_cut = _look_at(sample, collator, sizes)
        except UnusableRowError as error:
            reasons[number] = f"{sample.name}: {error}"
            skipped.add(reasons[number])
            continue
        num_cut += is_cut
        without_picture += not sample.images
        without_text += sum(not item.text for item in sample.memories)
    skipped.check(len(dataset))
    if reasons:
        dataset = dataset.without(reasons)
    _report(dataset, collator, without_picture, without_text, num_cut)
    return dataset


def _samples(dataset: MemoryDataset, sizes: "PictureSizes") -> Iterator[TrainingSample]:
    """The samples: with the pictures that tables hold as long as pictures are decoded, then without these."""
    for number, sample in enumerate(dataset.samples_without_content()):
        images = sample.images + _of_items(sample)
        yield dataset[number] if sizes.decodes and any(map(_is_empty, images)) else sample


def _look_at(sample: TrainingSample, collator: MemoryCollator, sizes: "PictureSizes") -> bool:
    """Return whether a row will be cut.

    Raises:
        UnusableRowError: If it must be left out.
        ValueError: If the chat template leaves nothing of an answer.
    """
    sizes.check_known(_of_items(sample))
    shown, limit = _prompt(sample, collator), collator.rows.limit
    if limit is None:
        sizes.check_known(shown.images)
        collator.encoder.split(shown)
        return False
    found = [sizes.of(image) for image in shown.images]
    cut = limit.fit(shown, found)
    if cut is None:
        raise UnusableRowError(limit.refusal(shown, found))
    return cut is not shown


def _of_items(sample: TrainingSample) -> list[Any]:
    return [image for item in sample.memories for image in item.pictures]


class PictureSizes:
    """Sizes of pictures; each file is opened once."""

    def __init__(self):
        self._found: dict[str, tuple[int, int] | str] = {}
        self._num_decoded = 0

    @property
    def decodes(self) -> bool:
        """Whether the next picture is decoded whole."""
        return self._num_decoded < DECODED

    def of(self, image: Any) -> tuple[int, int]:
        """Return the width and height of a picture.

        Raises:
            UnusableRowError: If it cannot be read, or is too narrow.
        """
        if not isinstance(image, Path):
            return self._look(image)
        key = str(image)
        if key not in self._found:
            try:
                self._found[key] = self._look(image)
            except UnusableRowError as error:
                self._found[key] = str(error)
        found = self._found[key]
        if isinstance(found, str):
            raise UnusableRowError(found)
        return found

    def check_known(self, images: list[Any]) -> list[tuple[int, int]]:
        """Look at those of some pictures that are files, or of which the content was read."""
        return [self.of(image) for image in images if not _is_empty(image)]

    def _look(self, image: Any) -> tuple[int, int]:
        if not self.decodes:
            return _size(image)
        self._num_decoded += 1
        try:
            return load_image(image, max_aspect_ratio=MAX_ASPECT_RATIO).size
        except ValueError as error:
            raise UnusableRowError(str(error)) from error


def _is_empty(image: Any) -> bool:
    """Whether the content was left out; see [`MemoryDataset.samples_without_content`]."""
    content = image.get("bytes") if isinstance(image, dict) else image
    return isinstance(content, bytes) and not content


def _size(image: Any) -> tuple[int, int]:
    try:
        size = picture_size(image)
    except ValueError as error:
        raise UnusableRowError(str(error)) from error
    if max(size) > MAX_ASPECT_RATIO * min(size):
        raise UnusableRowError(
            f"{image} is {size[0]} x {size[1]} pixels; one side may be at most {MAX_ASPECT_RATIO} times the other."
        )
    return size


def _prompt(sample: TrainingSample, collator: MemoryCollator) -> TrainingSample:
    """The sample as its prompt will be."""
    if not collator.items_in_prompt or not sample.memories:
        return sample
    return collator.to_context(replace(sample, memories=sample.memories[: collator.drawing.max_memories]))


def _report(
    dataset: MemoryDataset, collator: MemoryCollator, without_picture: int, without_text: int, num_cut: int
) -> None:
    without_items = int((dataset.item_counts == 0).sum())
    of_rows = {"without memory items": without_items, "without a picture": without_picture}
    parts = [f"{count:,} of them {what}" for what, count in of_rows.items() if count]
    if without_text:
        parts.append(f"{without_text:,} of {dataset.item_counts.sum():,} memory items without text")
    if dataset.num_texts_cut:
        parts.append(f"{counted(dataset.num_texts_cut, 'text')} cut to {PUBLISHED_MAX_CHARACTERS:,} characters")
    if dataset.skipped:
        parts.append(f"{len(dataset.skipped):,} more left out")
    if num_cut:
        parts.append(f"{num_cut:,} cut to {collator.rows.limit.max_length:,} tokens")
    if dataset.unread:
        parts.append(f"keys that are not read: {', '.join(dataset.unread)}")
    line = "; ".join([f"{dataset.name}: {counted(len(dataset), 'row')}", *parts])
    (logger.warning if parts else logger.info)(f"{line}.")
