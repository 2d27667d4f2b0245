"""The items that the CoMEM release retrieved for each question of a benchmark."""

import base64
import binascii
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from comem_hf.modeling.memory_item import MemoryItem

from .mds import MdsFolder


KEYS = ("data_id", "question_id", "id", "ID")
"""Columns that may hold a question's id: InfoSeek and OVEN, OK-VQA and A-OKVQA, ViQuAE and MRAG-Bench, CVQA."""


class RetrievalRecords(Mapping[str, list[MemoryItem]]):
    """The items of each question, by the id of the question; they are read from the file at each access.

    Args:
        folder (`Path`): The MDS folder.
        key (`str`, *optional*): The column that holds the id; without it, the first of [`KEYS`] that is there.

    Raises:
        ValueError: If the folder is damaged, a column is missing, or an id comes twice.
    """

    def __init__(self, folder: Path, key: str | None = None):
        self._mds = MdsFolder(folder)
        self.columns = self._mds.columns
        found = [name for name in ([key] if key is not None else KEYS) if name in self.columns]
        if not found or "retrieval_info" not in self.columns:
            raise ValueError(
                f"{str(folder)!r} holds no retrieval records: it must have the columns `retrieval_info` and "
                f"{f'`{key}`' if key is not None else ' or '.join(f'`{name}`' for name in KEYS)}, but has "
                f"{list(self.columns)}."
            )
        self.key = found[0]
        self._places: dict[str, tuple[int, int]] = {}
        for shard, sample, value in self._mds.each(self.key):
            question_id, where = str(value), self._mds.where(shard, sample)
            if question_id in self._places:
                first = self._mds.where(*self._places[question_id])
                raise ValueError(f"{where}: `{self.key}` {question_id!r} is that of {first} already.")
            self._places[question_id] = (shard, sample)

    def __getitem__(self, question_id: str) -> list[MemoryItem]:
        """Read the items of a question, in stored order (which is not that of similarity)."""
        place = self._places[question_id]
        where = self._mds.where(*place)
        stored = self._mds.sample(*place, ["retrieval_info"])["retrieval_info"]
        if not isinstance(stored, list):
            raise ValueError(f"{where}: `retrieval_info` must be a list, got {type(stored).__name__}.")
        return [
            _item(entry, f"{question_id}/{number}", f"{where}, item {number}") for number, entry in enumerate(stored)
        ]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, question_id: object) -> bool:
        return question_id in self._places  # the mixin would read the items


def load_records(folder: str | os.PathLike, key: str | None = None) -> RetrievalRecords:
    """Read the retrieval records of the CoMEM release, an MDS folder such as `infoseek_record_base`.

    An item's id is that of the question and its place, `"infoseek_val_00000000/0"`. Its text is as stored: texts that
    end in "nan" and empty ones are the release's own. A text that is null becomes empty, as the release makes it.

    Args:
        folder (`str` or `os.PathLike`): The folder.
        key (`str`, *optional*): The column that holds the question's id; without it, the first of `data_id`,
            `question_id`, `id` and `ID` that is there.

    Returns:
        `RetrievalRecords`: A mapping from a question's id to its items, which are read when they are asked for.

    Raises:
        ValueError: If the folder is no such folder, or is damaged or compressed; the file is named.
    """
    return RetrievalRecords(Path(folder), key)


def _item(entry: Any, item_id: str, where: str) -> MemoryItem:
    if not isinstance(entry, dict) or not {"passage_content", "image"} <= entry.keys():
        raise ValueError(f"{where} must have `passage_content` and `image`, got {str(entry)[:80]!r}.")
    text, encoded = entry["passage_content"], entry["image"]
    if encoded:
        try:
            encoded = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError, TypeError) as error:
            raise ValueError(f"{where}: `image` must be base64 ({error}).") from error
    try:
        return MemoryItem(image=encoded or None, text="" if text is None else text, id=item_id)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
