"""Training samples from a JSON or JSONL file."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from .sample import TrainingSample


class MemoryDataset(Dataset):
    """Training samples: the rows are checked when the data set is made, the images are opened when they are needed.

    Any other `torch.utils.data.Dataset`, `datasets.Dataset` or list whose elements are rows (see
    [`TrainingSample.from_row`]) can be trained on as well; this class adds the reading and checking of files.

    Args:
        rows (`Iterable[dict]`): The rows.
        base_dir (`str` or `Path`, *optional*): The folder that relative image paths start from.
        name (`str`, *optional*, defaults to `"data set"`): Name of the rows' source in error messages.

    Raises:
        ValueError: If there is no row, or one is not valid; the message names the row (counted from 1) and the field.
    """

    def __init__(self, rows: Iterable[Any], *, base_dir: str | Path | None = None, name: str = "data set"):
        self.samples = [
            TrainingSample.from_row(row, base_dir=base_dir, name=f"{name}, row {number}")
            for number, row in enumerate(rows, start=1)
        ]
        if not self.samples:
            raise ValueError(f"{name} holds no rows.")
        self.fingerprint: str | None = None

    @classmethod
    def from_file(cls, path: str | Path) -> "MemoryDataset":
        """Read a `.jsonl` file (a row per line) or a `.json` file (a list of rows).

        Relative image paths start from the file's own folder. Pickled files, which the published training also
        accepts, are not read: unpickling runs the code that they hold.

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
        content = path.read_bytes()
        dataset = cls(_parse(content, path.name), base_dir=path.parent, name=path.name)
        dataset.fingerprint = hashlib.sha256(content).hexdigest()
        return dataset

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> TrainingSample:
        return self.samples[index]


def _parse(content: bytes, name: str) -> list[Any]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} is not UTF-8 text; training data is JSON (a list) or JSONL (a row per line)."
        ) from error
    if text.lstrip().startswith("["):
        return _loads(text, name)
    return [_loads(line, f"{name}, line {i}") for i, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _loads(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where} is not valid JSON: {error}.") from error
