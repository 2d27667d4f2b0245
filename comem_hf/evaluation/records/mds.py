"""Folders of MosaicML's MDS format: `index.json` and shards of samples, as mosaicml-streaming writes them.

A shard begins with the number of its samples and the byte at which each begins (and the last one ends), all `uint32`;
its settings follow, which `index.json` repeats. A sample begins with the sizes (`uint32`) of those columns whose size
is not fixed; the columns follow one after the other. Numbers are little-endian.
"""

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from comem_hf.evaluation.benchmarks.files.rows import whole_json


_NUMBERS = {
    **{"int": "q", "int8": "b", "int16": "h", "int32": "i", "int64": "q"},
    **{"uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q"},
    **{"float16": "e", "float32": "f", "float64": "d"},
}

_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "jpeg": bytes,
    "png": bytes,
    "str": lambda data: data.decode("utf-8"),
    "json": lambda data: json.loads(data.decode("utf-8")),
    "str_int": lambda data: int(data.decode("utf-8")),
    "str_float": lambda data: float(data.decode("utf-8")),
    **{name: lambda data, form=form: struct.unpack(f"<{form}", data)[0] for name, form in _NUMBERS.items()},
}
"""Encodings of columns that are read; pictures stay encoded."""


@dataclass(frozen=True)
class _Shard:
    path: Path
    samples: int
    columns: tuple[str, ...]
    encodings: tuple[str, ...]
    sizes: tuple[int | None, ...]


class MdsFolder:
    """The samples of an MDS folder, read one at a time.

    Args:
        folder (`Path`): Has `index.json` and the shards, not compressed.

    Raises:
        ValueError: If the index or a shard is missing or damaged, a shard is compressed, or a column is pickled.
    """

    def __init__(self, folder: Path):
        self._index = folder / "index.json"
        if not self._index.is_file():
            raise ValueError(f"{str(folder)!r} is no MDS folder: it has no index.json.")
        index = whole_json(self._index)
        shards = index.get("shards") if isinstance(index, dict) else None
        if not isinstance(shards, list) or not shards:
            raise ValueError(f"{str(self._index)!r} lists no `shards`.")
        self._shards = [self._checked(folder, number, shard) for number, shard in enumerate(shards)]
        self.columns = self._shards[0].columns
        for shard in self._shards:
            if set(shard.columns) != set(self.columns):
                raise ValueError(f"{str(shard.path)!r} has the columns {shard.columns}, other shards {self.columns}.")

    def each(self, name: str) -> Iterator[tuple[int, int, Any]]:
        """Read one column of all samples: shard, sample in it, value. The other columns are passed over.

        Args:
            name (`str`): The column.
        """
        for number, shard in enumerate(self._shards):
            with self._opened(shard) as file:
                for sample in range(shard.samples):
                    yield number, sample, self._values(file, shard, sample, [name])[name]

    def sample(self, shard: int, sample: int, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Read some columns of a sample, or all of them.

        Args:
            shard (`int`): The shard, from 0.
            sample (`int`): The sample in it, from 0.
            names (`Sequence[str]`, *optional*): The columns; without it, all.
        """
        with self._opened(self._shards[shard]) as file:
            return self._values(file, self._shards[shard], sample, self.columns if names is None else names)

    def where(self, shard: int, sample: int) -> str:
        """File and number of a sample, for messages."""
        return f"{str(self._shards[shard].path)!r}, sample {sample}"

    def _checked(self, folder: Path, number: int, entry: Any) -> _Shard:
        try:
            name, samples, size = entry["raw_data"]["basename"], entry["samples"], entry["raw_data"]["bytes"]
            columns, encodings = tuple(entry["column_names"]), tuple(entry["column_encodings"])
            sizes, form = tuple(entry["column_sizes"]), entry["format"]
        except (TypeError, KeyError) as error:
            raise ValueError(f"{str(self._index)!r}, shard {number} lacks {error}.") from error
        if form != "mds" or not len(columns) == len(encodings) == len(sizes):
            raise ValueError(f"{str(self._index)!r}, shard {number} is not in the MDS format, but {form!r}.")
        if not isinstance(name, str) or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"{str(self._index)!r}, shard {number} must lie in this folder, got {name!r}.")
        path = folder / name
        if not path.is_file():
            if entry.get("compression"):
                raise ValueError(
                    f"{str(path)!r} is there only compressed ({entry['compression']}); decompress it beside the "
                    "compressed file first."
                )
            raise ValueError(f"{str(path)!r} is missing, which {str(self._index)!r} lists.")
        if path.stat().st_size != size:
            raise ValueError(
                f"{str(path)!r} has {path.stat().st_size} bytes, but should have {size}; if it was cut off, fetch it "
                "again."
            )
        with path.open("rb") as file:
            held = int.from_bytes(file.read(4), "little")
        if held != samples:
            raise ValueError(f"{str(path)!r} holds {held} samples, but should hold {samples}.")
        for column, encoding in zip(columns, encodings, strict=True):
            if str(encoding).startswith("pkl"):
                raise ValueError(
                    f"{str(path)!r}: the column `{column}` is pickled, and pickles can run code: they are never read. "
                    "Write it as `json`, `str` or `bytes`."
                )
        return _Shard(path, samples, columns, encodings, sizes)

    def _opened(self, shard: _Shard) -> BinaryIO:
        try:
            return shard.path.open("rb")
        except OSError as error:
            raise ValueError(f"Cannot read {str(shard.path)!r} ({error.strerror}).") from error

    def _values(self, file: BinaryIO, shard: _Shard, sample: int, names: Sequence[str]) -> dict[str, Any]:
        where = f"{str(shard.path)!r}, sample {sample}"
        try:
            file.seek(4 * (1 + sample))
            begin, end = struct.unpack("<2I", file.read(8))
            file.seek(begin)
            unknown = sum(size is None for size in shard.sizes)
            found = iter(struct.unpack(f"<{unknown}I", file.read(4 * unknown)))
            place, spans = begin + 4 * unknown, {}
            for column, fixed in zip(shard.columns, shard.sizes, strict=True):
                size = next(found) if fixed is None else fixed
                spans[column] = (place, size)
                place += size
            if place != end:
                raise ValueError("its columns do not fill it")
            values = {}
            for name in names:
                encoding = shard.encodings[shard.columns.index(name)]
                if encoding not in _DECODERS:
                    raise ValueError(f"the column `{name}` is encoded as {encoding!r}, which is not read")
                file.seek(spans[name][0])
                values[name] = _DECODERS[encoding](file.read(spans[name][1]))
            return values
        except (ValueError, struct.error, OSError, RecursionError) as error:
            raise ValueError(f"{where} cannot be read ({error}).") from error
