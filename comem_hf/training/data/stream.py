"""Training samples as they come, one after the other."""

import copy
import random
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, count, islice
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from comem_hf.training.data.rows.read import RowReader
from comem_hf.training.data.rows.row import MissingPictureError, counted
from comem_hf.training.data.sources.skipped import Skipped
from comem_hf.training.data.sources.source import Source

from .dataset import MemoryDataset
from .sample import NUM_STAND_INS, TrainingSample


BEGINNING = 200
"""Number of rows that are looked through before a training: they are kept meanwhile, pictures included."""
CHECKED = 1000  # rows after which it is checked how many were left out


class MemoryStream(IterableDataset):
    """Training samples as they come: a row is checked when its turn has come, and is not kept.

    Before a training, the first 200 rows are looked through as those of files are; see [`MemoryStream.beginning`].
    The order is the same at every pass and in every process, and depends on `seed` and the pass alone. The processes
    of a training each go through all rows, and make batches of their own (by `accelerate`, with
    `dispatch_batches=False`); so do the workers of a data loader, which take turns by the batch. A training goes
    through the rows again and again until its steps are done; when resumed, it goes through those before its
    checkpoint first.

    Args:
        source ([`Source`]): The rows, from [`open_training_data`].
        ignore (`Iterable[str]`, *optional*): Keys that are not read, whatever their names.
        shuffle_buffer (`int`, *optional*, defaults to 0): Number of rows among which the next one is drawn; 0 keeps
            their order.
        seed (`int`, *optional*, defaults to 42): Seed of the order.

    Raises:
        ValueError: While it is read: if a row is not valid, or more than 5 % of the first 1,000 name missing pictures.
    """

    def __init__(self, source: Source, *, ignore: Iterable[str] = (), shuffle_buffer: int = 0, seed: int = 42):
        if shuffle_buffer < 0:
            raise ValueError(f"`shuffle_buffer` must be a number of rows, 0 for none, got {shuffle_buffer!r}.")
        self.name = source.name
        self._source, self._ignore = source, tuple(ignore)
        self.fingerprint = f"stream of {source.name}, shuffled among {shuffle_buffer} by the seed {seed}"
        self._rows = source.rows
        self._reader = RowReader(source.base_dir, self._ignore, source.takes_paths)
        self.shuffle_buffer, self.seed = shuffle_buffer, seed
        self.epoch, self.block, self.repeats = 0, 1, False

    def in_blocks(self, size: int, *, repeats: bool = False) -> "MemoryStream":
        """Return the stream for batches of a size, so that they are the same with any number of workers.

        Args:
            size (`int`): Number of rows of a batch, of all processes together.
            repeats (`bool`, *optional*, defaults to `False`): Whether passes follow each other without an end. To a
                `Trainer` they are then one epoch, in which it finds the place of a checkpoint.
        """
        other = copy.copy(self)
        other.block, other.repeats = size, repeats
        return other

    def beginning(self, num_rows: int = BEGINNING) -> MemoryDataset:
        """Return the first rows, in the order of the source, as a data set, for the checks that files get in advance.

        Args:
            num_rows (`int`, *optional*, defaults to 200): Number of rows; all, if there are fewer.

        Raises:
            ValueError: If there is no row, one of them is not valid, or more than 5 % name missing pictures.
        """
        rows = list(islice(self._rows, num_rows))
        if not rows:
            raise ValueError(f"{self.name} holds no rows.")
        source = replace(self._source, rows=rows, name=f"the first {counted(len(rows), 'row')} of {self.name}")
        return MemoryDataset.of(replace(source, fingerprint=None), self._ignore)

    def set_epoch(self, epoch: int) -> None:
        """Say which pass over the rows is next; a `Trainer` does."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[TrainingSample]:
        worker = get_worker_info()
        passes = map(self._pass, count(self.epoch) if self.repeats else [self.epoch])
        for number, sample in enumerate(chain.from_iterable(passes)):
            if worker is None or number // self.block % worker.num_workers == worker.id:
                yield sample

    def _pass(self, epoch: int) -> Iterator[TrainingSample]:
        worker = get_worker_info()
        samples = self._samples(says_so=epoch == 0 and (worker is None or worker.id == 0))
        if self.shuffle_buffer:
            samples = _shuffled(samples, self.shuffle_buffer, random.Random(f"{self.seed}, {epoch}"))
        return (replace(sample, epoch=epoch) for sample in _with_stand_ins(samples))

    def _samples(self, says_so: bool) -> Iterator[TrainingSample]:
        skipped = Skipped(self.name)
        rows, number = iter(self._rows), 0
        for number in count(1):
            row = next(rows, None)
            if number > CHECKED or row is None:
                if says_so and skipped.reasons:
                    skipped.check(max(number - 1, 1))
                says_so = False
            if row is None:
                break
            name = f"{self.name}, row {number}"
            try:
                yield row if isinstance(row, TrainingSample) else TrainingSample.of(self._reader(row, name), name)
            except MissingPictureError as error:
                skipped.add(str(error))
        if number == 1:
            raise ValueError(f"{self.name} holds no rows.")


def _shuffled(samples: Iterable[Any], size: int, numbers: random.Random) -> Iterator[Any]:
    """Draw the next sample among as many as a buffer holds."""
    buffer: list[Any] = []
    for sample in samples:
        if len(buffer) < size:
            buffer.append(sample)
            continue
        index = numbers.randrange(size)
        yield buffer[index]
        buffer[index] = sample
    numbers.shuffle(buffer)
    yield from buffer


def _with_stand_ins(samples: Iterable[TrainingSample]) -> Iterator[TrainingSample]:
    """Give each sample those after it to stand in for it, and at the end those before it."""
    before: deque[TrainingSample] = deque(maxlen=NUM_STAND_INS)
    waiting: deque[TrainingSample] = deque()
    for sample in chain(samples, [None] * NUM_STAND_INS):
        if sample is not None:
            waiting.append(sample)
        if waiting and (sample is None or len(waiting) > NUM_STAND_INS):
            first = waiting.popleft()
            yield replace(first, stand_ins=(*waiting, *before))
            before.appendleft(first)
