"""Rows whose pictures are open and whose prompts are short enough, or the rows that take their places."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import PIL.Image
import torch
from torch.utils.data import get_worker_info
from transformers.utils import logging

from comem_hf.modeling.picture_comem import MAX_ASPECT_RATIO, load_image
from comem_hf.training.data.length import LengthLimit
from comem_hf.training.data.sample import TrainingSample


logger = logging.get_logger(__name__)

MOST_WORKERS = 256
LONGEST_PATH = 4096  # longer strings are pictures in base64

Prepared = TypeVar("Prepared")


class UnusableRowError(ValueError):
    """A picture of a row is damaged, or the row cannot be cut to the length that is allowed."""


class WholeRows:
    """Opener of the pictures of rows, which knows what to do with rows that cannot be used.

    Args:
        limit ([`LengthLimit`], *optional*): What cuts long rows; by default nothing is cut.
    """

    def __init__(self, limit: LengthLimit | None = None):
        self.limit = limit
        # Of the main process and of each worker, which write to it without waiting for each other.
        self._counts = torch.zeros(MOST_WORKERS, 2, dtype=torch.long).share_memory_()

    @property
    def num_replaced(self) -> int:
        """How often a row had to be replaced so far, in this process and its workers."""
        return int(self._counts[:, 0].sum())

    @property
    def num_cut(self) -> int:
        """How often a row was cut so far, in this process and its workers."""
        return int(self._counts[:, 1].sum())

    def first_usable(self, sample: TrainingSample, prepare: Callable[[TrainingSample], Prepared]) -> Prepared:
        """Prepare a sample, or else the first of its stand-ins with which that succeeds.

        Args:
            sample ([`TrainingSample`]): The sample.
            prepare (`Callable`): Prepares a sample, by [`WholeRows.ready`].

        Raises:
            UnusableRowError: If none of them can be used.
        """
        try:
            return prepare(sample)
        except UnusableRowError as error:
            for other in sample.stand_ins:
                other = TrainingSample.from_row(other)
                try:
                    prepared = prepare(other)
                except UnusableRowError:
                    continue
                self._count(0)
                logger.warning(f"{str(error).rstrip('.')}; {other.name} stands in for it.")
                return prepared
            raise

    def ready(self, sample: TrainingSample, pictures: dict[str, PIL.Image.Image]) -> TrainingSample:
        """Return a sample with open pictures, cut to the length that is allowed.

        Args:
            sample ([`TrainingSample`]): The sample.
            pictures (`dict[str, PIL.Image.Image]`): Files that are open already, by path; changed in place.

        Raises:
            UnusableRowError: If a picture is damaged, or the sample cannot be cut.
        """
        images = [_opened(image, sample.name, pictures) for image in sample.images]
        memories = [
            replace(item, image=None, images=[_opened(image, sample.name, pictures) for image in item.pictures])
            for item in sample.memories
        ]
        ready = replace(sample, images=images, memories=memories)
        if self.limit is None:
            return ready
        sizes = [image.size for image in images]
        cut = self.limit.fit(ready, sizes)
        if cut is None:
            raise UnusableRowError(f"{sample.name}: {self.limit.refusal(ready, sizes)}")
        if cut is not ready:
            self._count(1)
        return cut

    def _count(self, what: int) -> None:
        worker = get_worker_info()
        self._counts[0 if worker is None else 1 + worker.id % (MOST_WORKERS - 1), what] += 1


def _opened(image: Any, name: str, pictures: dict[str, PIL.Image.Image]) -> PIL.Image.Image:
    """Open a picture; a file that occurs in several places of a batch is opened once."""
    key = str(image) if isinstance(image, str | Path) and len(str(image)) < LONGEST_PATH else None
    if key not in pictures or key is None:
        try:
            picture = load_image(image, max_aspect_ratio=MAX_ASPECT_RATIO)
        except ValueError as error:
            raise UnusableRowError(f"{name}: {error}") from error
        if key is None:
            return picture
        pictures[key] = picture
    return pictures[key]
