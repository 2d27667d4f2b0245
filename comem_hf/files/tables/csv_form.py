"""The form of a CSV file: encoding, delimiter and names of the columns."""

import codecs
import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from comem_hf.files.option_names import option

from .opened import DAMAGED, check_whole, open_bytes
from .text_encoding import encoding_of


DELIMITERS = {",": "','", ";": "';'", "\t": "a tab", "|": "'|'"}
FIELD_LIMIT = 10 * 2**20  # characters, far above Python's own limit
_DAMAGED = re.compile("[\0\ud800-\udfff]")
_SAMPLE = 1 << 16  # characters
_RECORDS = 50
_FIRST_LINE_OF_EXCEL = re.compile(r"sep=(.)[ \t]*(?:\r\n|\r|\n|$)")


@dataclass(frozen=True)
class CsvForm:
    """How a CSV file is written.

    Args:
        path (`Path`): The file.
        encoding (`str`): Its encoding.
        delimiter (`str`): The character between its columns.
        names (`tuple[str, ...]`): What its line of names says, without spaces around names; `""` for a column without
            a name, whose values are left out.
        skipped (`int`): Lines before that line: 1 if the file begins with `sep=;`, as for Excel.
    """

    path: Path
    encoding: str
    delimiter: str
    names: tuple[str, ...]
    skipped: int

    @property
    def encoding_name(self) -> str:
        """The encoding as people call it."""
        return codecs.lookup(self.encoding).name.upper().removesuffix("-SIG")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that have one."""
        return tuple(filter(None, self.names))

    def open(self) -> io.TextIOWrapper:
        """Open the file at its line of names; what is not of its encoding becomes lone surrogates."""
        file = io.TextIOWrapper(open_bytes(self.path), self.encoding, errors="surrogateescape", newline="")
        for _ in range(self.skipped):
            file.readline()
        return file

    @classmethod
    def of(cls, path: Path, encoding: str | None = None, delimiter: str | None = None) -> "CsvForm":
        """Find out how a file is written.

        The delimiter is the one of comma, semicolon, tab and `|` that divides the line of names, and by which most of
        the next 50 rows have as many fields as that line; of two such, the one that makes more columns. A first line
        `sep=;` says it. Without any, the file has one column.

        Args:
            path (`Path`): The file, compressed if its name ends with `.gz`.
            encoding (`str`, *optional*): See [`encoding_of`].
            delimiter (`str`, *optional*): The delimiter, if it is known.

        Raises:
            ValueError: If the file cannot be read, is empty, or its line of names is not as it should be.
        """
        check_whole(path)
        delimiter = "\t" if delimiter == "\\t" else delimiter  # as people write a tab on a command line
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
            raise ValueError(f"{option('delimiter')} must be one character, got {delimiter!r}.")
        encoding = encoding_of(path, encoding)
        try:
            with io.TextIOWrapper(open_bytes(path), encoding, errors="surrogateescape", newline="") as file:
                sample = file.read(_SAMPLE)
                is_whole = not file.read(1)
        except (LookupError, UnicodeError, *DAMAGED) as error:  # "hex" is a codec, but none of texts
            raise ValueError(f"Cannot read {str(path)!r} as {encoding}: {error}.") from error
        said = _FIRST_LINE_OF_EXCEL.match(sample)
        if said:
            sample = sample[said.end() :]
        found = delimiter or (said[1] if said else _delimiter_of(sample, is_whole, path))
        names = _names(path, sample, found, encoding)
        if delimiter is not None and len(names) == 1:
            other = _delimiter_of(sample, is_whole, path)
            if other in names[0]:
                raise ValueError(
                    f"{str(path)!r} has one column, {names[0]!r:.200}, if {option('delimiter')} is {delimiter!r}; its "
                    f"columns seem to be separated by {DELIMITERS[other]}."
                )
        return cls(path, encoding, found, names, 1 if said else 0)


def _delimiter_of(sample: str, is_whole: bool, path: Path) -> str:
    best, best_score = "\t" if ".tsv" in path.suffixes else ",", (0.0, 0)
    for mark in sorted(DELIMITERS, key=lambda mark: mark != best):
        records = _records(sample, mark, is_whole)
        width = len(records[0]) if records else 0
        if width > 1:
            alike = sum(len(record) == width for record in records[1:])
            score = (alike / max(1, len(records) - 1), width)
            if score > best_score:
                best, best_score = mark, score
    return best


def _records(sample: str, delimiter: str, is_whole: bool) -> list[list[str]]:
    csv.field_size_limit(max(csv.field_size_limit(), FIELD_LIMIT))
    records = []
    try:
        for record in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter):
            if record:
                records.append(record)
            if len(records) > _RECORDS:
                return records
    except csv.Error:
        return records
    return records if is_whole else records[:-1]  # the last is cut


def _names(path: Path, sample: str, delimiter: str, encoding: str) -> tuple[str, ...]:
    name = str(path)
    try:
        first = next(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise ValueError(
            f"The first line of {name!r} must name the columns, but its quotation marks are wrong: {error}."
        ) from error
    names = [each.strip() for each in first]
    while names and not names[-1]:  # a line that ends with delimiters
        names.pop()
    if not names:
        raise ValueError(f"The first line of {name!r} is empty: it must name the columns.")
    if any(map(is_damaged, names)):
        raise ValueError(
            f"The names of the columns of {name!r} are no text in {encoding}: name the right encoding with "
            f"{option('encoding')}."
        )
    if repeated := [each for each in dict.fromkeys(names) if each and names.count(each) > 1]:
        raise ValueError(f"Two columns of {name!r} have the name {repeated[0]!r}: rename or remove one of them.")
    return tuple(names)


def is_damaged(text: str) -> bool:
    """Whether there were bytes in a text that are not of its encoding."""
    return _DAMAGED.search(text) is not None
