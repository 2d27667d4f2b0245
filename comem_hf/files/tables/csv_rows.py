"""Rows of CSV files, with numbers as numbers."""

import csv
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from transformers.utils import logging

from .csv_form import DELIMITERS, FIELD_LIMIT, CsvForm, is_damaged
from .csv_values import ColumnValues, read_text
from .opened import DAMAGED, count_lines
from .table import Row, Table


logger = logging.get_logger(__name__)


def csv_table(path: Path, encoding: str | None = None, delimiter: str | None = None) -> Table:
    """Open a CSV file, whose first line names its columns; it may be compressed, with the ending `.gz`.

    A column holds numbers or truth values if all its values are such (see [`ColumnValues`]), and text if not. Empty
    fields, `nan` and `null` are `None`. The file is read twice, and no more than a row of it is in memory: to find out
    what the columns hold, and for its rows. Quotation marks are as in RFC 4180: a line that breaks its rules is an
    error of that line.

    Args:
        path (`Path`): The file.
        encoding, delimiter (`str`, *optional*): See [`CsvForm.of`], which finds them out.

    Raises:
        ValueError: As for [`CsvForm.of`].
    """
    form = CsvForm.of(path, encoding, delimiter)
    return Table(
        repr(str(path)), form.columns, partial(_read, form), lambda: max(0, count_lines(path) - 1 - form.skipped)
    )


def _read(form: CsvForm, texts: Collection[str]) -> Iterator[Row]:
    readers = _readers(form, texts)
    columns = [(at, name, readers.get(name, read_text)) for at, name in enumerate(form.names) if name]
    for where, fields in _records(form):
        if isinstance(fields, ValueError):
            yield where, fields
        else:
            yield where, {name: read(fields[at]) for at, name, read in columns}


def _readers(form: CsvForm, texts: Collection[str]) -> dict:
    values = {name: ColumnValues(form.delimiter) for name in form.columns if name not in texts}
    watched = [(at, name, values[name]) for at, name in enumerate(form.names) if name in values]
    for where, fields in _records(form) if watched else ():
        if isinstance(fields, ValueError):
            continue
        has_ended = False
        for at, name, column in watched:
            if column.see(fields[at]):
                logger.warning(f"{where}: the column {name!r} holds text, since {column.problem}.")
            has_ended = has_ended or not column.is_open
        if has_ended:
            watched = [each for each in watched if each[2].is_open]
            if not watched:
                break
    readers = {name: column.reader() for name, column in values.items()}
    for _, name, column in watched:
        if column.problem:
            logger.warning(f"{str(form.path)!r}: the column {name!r} holds text, since {column.problem}.")
    return readers


def _records(form: CsvForm) -> Iterator[tuple[str, list[str] | ValueError]]:
    """Place and fields of each row, as many as the file has names."""
    csv.field_size_limit(max(csv.field_size_limit(), FIELD_LIMIT))
    path, width = repr(str(form.path)), len(form.names)
    with form.open() as file:
        reader = csv.reader(file, delimiter=form.delimiter, strict=True)
        next(reader, None)  # the names
        while True:
            begin = reader.line_num + 1 + form.skipped
            where = f"{path}, line {begin}"
            try:
                fields = next(reader, None)
                if fields is None:
                    return
                if not fields:  # an empty line
                    continue
                if len(fields) != width and not _is_padded(fields, width):
                    raise ValueError(_ragged(form, fields))
                if is_damaged("".join(fields)):
                    at = next(at for at, field in enumerate(fields) if is_damaged(field))
                    name = form.names[at] if at < width else ""
                    raise ValueError(f"`{name}` is not {form.encoding_name}.")
            except csv.Error as error:
                end = reader.line_num + form.skipped
                lost = f" Lines {begin} to {end} are left out." if end > begin else ""
                yield where, ValueError(_words(error, form.delimiter) + lost)
            except UnicodeError as error:  # UTF-16 that is damaged; other encodings go on
                raise ValueError(f"{where}: the file is not {form.encoding_name}: {error}.") from error
            except ValueError as error:
                yield where, error
            except DAMAGED as error:
                raise ValueError(f"{where}: the file is damaged: {error}.") from error
            else:
                yield where, fields


def _is_padded(fields: list[str], width: int) -> bool:
    return len(fields) > width and not any(field.strip() for field in fields[width:])


def _ragged(form: CsvForm, fields: list[str]) -> str:
    names, count = form.names, len(fields)
    if count < len(names):
        return f"it has {count} fields, but the file has {len(names)} columns: `{names[count]}` is missing."
    return (
        f"it has {count} fields, but the file has {len(names)} columns: {fields[len(names)]!r:.80} stands after "
        f"`{names[-1]}`. A field with {DELIMITERS.get(form.delimiter, repr(form.delimiter))} in it must stand in "
        "quotation marks."
    )


def _words(error: csv.Error, delimiter: str) -> str:
    words = str(error)
    if "expected after" in words:
        return (
            f"after a closing quotation mark stands no {DELIMITERS.get(delimiter, repr(delimiter))}; a quotation "
            "mark inside a field must be doubled."
        )
    if "unexpected end of data" in words:
        return "a quotation mark opens a field here, and none closes it up to the end of the file."
    return f"{words}."
