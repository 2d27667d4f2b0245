"""Rows of Parquet files, and of data frames and tables in memory."""

from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from .table import Row, Table


_BATCH = 64  # rows, which may hold pictures
_FRAME_BATCH = 1000


def parquet_table(path: Path) -> Table:
    """Open a Parquet file.

    Raises:
        ValueError: If it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names, count = tuple(file.schema_arrow.names), file.metadata.num_rows
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"Cannot read {str(path)!r}: {_words(error)}") from error
    return Table(repr(str(path)), names, partial(_read_parquet, path), lambda: count)


def frame_table(frame: Any) -> Table | None:
    """Open a table in memory: a data frame of pandas, or what gives itself to Arrow, as those of polars do.

    Args:
        frame: The table; an object of any other kind is none.

    Returns:
        [`Table`]: Its rows; `None` if it is no table.

    Raises:
        ValueError: If a name of a column is no string, or is there twice.
    """
    kind = type(frame)
    if kind.__module__.partition(".")[0] == "pandas" and kind.__name__ == "DataFrame":
        names, read = list(frame.columns), partial(_read_pandas, frame)
    elif hasattr(frame, "__arrow_c_stream__") and hasattr(frame, "__len__") and hasattr(frame, "columns"):
        names = list(getattr(frame, "column_names", frame.columns))  # of pyarrow, or of polars
        read = partial(_read_arrow, frame)
    else:
        return None
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise ValueError(f"The names of the columns of a data frame must be strings, got {wrong[0]!r}.")
    if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValueError(f"Two columns of the data frame have the name {repeated[0]!r}: rename or remove one of them.")
    return Table("The data frame", tuple(names), read, lambda: len(frame))


def _read_parquet(path: Path, texts: Collection[str] = ()) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH):
                for row in batch.to_pylist():
                    yield f"{str(path)!r}, row {number}", row
                    number += 1
    except (OSError, pa.ArrowException) as error:  # nothing after it can be read
        raise ValueError(f"{str(path)!r}, row {number}: the file is damaged: {_words(error)}") from error


def _read_pandas(frame: Any, texts: Collection[str] = ()) -> Iterator[Row]:
    for start in range(0, len(frame), _FRAME_BATCH):
        rows = frame.iloc[start : start + _FRAME_BATCH].to_dict("records")
        for number, row in enumerate(rows, start=start):
            yield f"row {number} of the data frame", row


def _read_arrow(frame: Any, texts: Collection[str] = ()) -> Iterator[Row]:
    import pyarrow as pa

    number = 0
    for batch in pa.RecordBatchReader.from_stream(frame):
        for start in range(0, batch.num_rows, _FRAME_BATCH):
            for row in batch.slice(start, _FRAME_BATCH).to_pylist():
                yield f"row {number} of the data frame", row
                number += 1


def _words(error: Exception) -> str:
    return f"{' '.join(str(error).split()).rstrip('.')}."
