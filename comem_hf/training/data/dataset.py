"""Training samples by their number."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from comem_hf.training.data.rows.read import RowReader
from comem_hf.training.data.rows.row import MissingPictureError
from comem_hf.training.data.sources.json_files import open_json
from comem_hf.training.data.sources.skipped import Skipped
from comem_hf.training.data.sources.source import Source

from .sample import NUM_STAND_INS, TrainingSample


class MemoryDataset(Dataset):
    """Training samples: all rows are checked when the data set is made, and read again when they are needed.

    Rows of files stay there (JSONL, tables of `datasets`), and images are opened when a batch is made. A row that
    names a missing picture is left out; if these are more than 5 % of all, the data is refused. Any other
    `torch.utils.data.Dataset` whose elements are rows (see [`TrainingSample.from_row`]) can be trained on as well.

    Args:
        rows (`Iterable[dict]`): The rows.
        base_dir (`str` or `Path`, *optional*): The folder that relative image paths start from.
        name (`str`, *optional*, defaults to `"data set"`): Name of the rows' source in error messages.
        ignore (`Iterable[str]`, *optional*): Keys that are not read, whatever their names.

    Attributes:
        item_counts (`np.ndarray`): Number of memory items of each sample.
        entities (`dict[str, set[str]]`): What the rows are about, by the keys `entity` and `entity_id`, if they have
            them.
        unread (`list[str]`): Keys of rows that nobody reads, in the order in which they were found.
        num_texts_cut (`int`): Number of texts that were cut to 5,000 characters, as those of the published form are.
        skipped (`list[str]`): Why rows were left out, by row.
        fingerprint (`str`, *optional*): What identifies the rows, such as the SHA-256 of their file.

    Raises:
        ValueError: If there is no row, one is not valid (the message names the row, counted from 1, and the field), or
            too many name pictures that are missing.
    """

    def __init__(
        self,
        rows: Iterable[Any],
        *,
        base_dir: str | Path | None = None,
        name: str = "data set",
        ignore: Iterable[str] = (),
    ):
        self._open(Source(rows, name, None if base_dir is None else Path(base_dir)), ignore)

    @classmethod
    def of(cls, source: Source, ignore: Iterable[str] = ()) -> "MemoryDataset":
        """Check the rows of a source; see the class."""
        dataset = cls.__new__(cls)
        dataset._open(source, ignore)
        return dataset

    @classmethod
    def from_file(cls, path: str | Path) -> "MemoryDataset":
        """Read a `.jsonl` file (a row per line) or a `.json` file (a list of rows).

        [`open_training_data`] reads data of other sources. Relative image paths start from the file's own folder.
        Pickled files, which the published training also accepts, are not read: unpickling runs the code that they
        hold.

        Args:
            path (`str` or `Path`): The file, in UTF-8.

        Returns:
            `MemoryDataset`: The samples; its `fingerprint` is the SHA-256 of the file.

        Raises:
            ValueError: If the file is missing, is not JSON, or holds a row that is not valid.
        """
        path = Path(path)
        if not path.is_file():
            raise ValueError(f"There is no training data at {str(path)!r}.")
        return cls.of(open_json(path))

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: int) -> TrainingSample:
        sample = self._sample(index)
        sample.stand_ins = Following(self, index)
        return sample

    def samples_without_content(self) -> Iterator[TrainingSample]:
        """Go through the samples; pictures that tables hold are empty there, so that they need not be read."""
        rows = self._rows.without_pictures() if hasattr(self._rows, "without_pictures") else self._rows
        kept = iter(self._numbers.tolist())
        wanted = next(kept, None)
        for number, row in enumerate(rows):
            if number == wanted:
                yield self._read(row, number)
                wanted = next(kept, None)

    def name_of(self, index: int) -> str:
        """Return the name of a sample in messages; it has that of its row, counted from 1."""
        return self._name_of(int(self._numbers[index]))

    def without(self, reasons: Mapping[int, str]) -> "MemoryDataset":
        """Return the data set without some samples.

        Args:
            reasons (`Mapping[int, str]`): Why each is left out, by the number of the sample.
        """
        other = copy.copy(self)
        stays = np.ones(len(self), dtype=bool)
        stays[list(reasons)] = False
        other._numbers, other.item_counts = self._numbers[stays], self.item_counts[stays]
        other.skipped = self.skipped + list(reasons.values())
        return other

    def _open(self, source: Source, ignore: Iterable[str]) -> None:
        self.name, self.fingerprint = source.name, source.fingerprint
        self._rows = source.rows if isinstance(source.rows, Sequence) else list(source.rows)
        self._reader = RowReader(source.base_dir, ignore, source.takes_paths)
        self.entities: dict[str, set[str]] = {}
        self.num_texts_cut = 0
        unread: dict[str, None] = {}
        numbers, counts, skipped = [], [], Skipped(source.name)
        rows = self._rows.without_pictures() if hasattr(self._rows, "without_pictures") else self._rows
        for number, row in enumerate(rows):
            if isinstance(row, TrainingSample):
                counts.append(len(row.memories))
                numbers.append(number)
                continue
            try:
                read = self._reader(row, self._name_of(number))
            except MissingPictureError as error:
                skipped.add(str(error))
                continue
            numbers.append(number)
            counts.append(len(read.memories))
            unread.update(dict.fromkeys(read.unread))
            self.num_texts_cut += read.num_cut
            for key, value in read.entity.items():
                self.entities.setdefault(key, set()).add(value)
        skipped.check(len(self._rows))
        if not numbers:
            raise ValueError(f"{source.name} holds no rows.")
        self._numbers, self.item_counts = np.array(numbers, dtype=np.int64), np.array(counts, dtype=np.int64)
        self.unread, self.skipped = list(unread), skipped.reasons

    def _sample(self, index: int) -> TrainingSample:
        number = int(self._numbers[index])
        return self._read(self._rows[number], number)

    def _read(self, row: Any, number: int) -> TrainingSample:
        if isinstance(row, TrainingSample):
            return copy.copy(row)
        name = self._name_of(number)
        return TrainingSample.of(self._reader(row, name, files_exist=True), name)

    def _name_of(self, number: int) -> str:
        return f"{self.name}, row {number + 1}"


class Following:
    """The samples after one, from the first again after the last: those that stand in for it.

    Args:
        dataset ([`MemoryDataset`]): All samples.
        index (`int`): Number of the one.
    """

    def __init__(self, dataset: MemoryDataset, index: int):
        self.dataset, self.index = dataset, index

    def __iter__(self) -> Iterator[TrainingSample]:
        for step in range(1, min(len(self.dataset), NUM_STAND_INS + 1)):
            yield self.dataset._sample((self.index + step) % len(self.dataset))
