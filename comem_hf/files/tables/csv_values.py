"""What the values of a CSV column are: numbers, truth values or text."""

import re
from collections.abc import Callable
from typing import Any


MISSING = frozenset({"", "nan", "null"})
MISSING_NUMBER = MISSING | {"na", "n/a", "none"}

# `1E5` is text: it is an article number more often.
_WHOLE = r"(?:0|[1-9]\d{0,17})"  # `007` is no number: its zeros would be lost
_POINT = re.compile(rf"-?(?:{_WHOLE}(?:\.\d+(?:e[-+]?\d{{1,2}})?|e-\d{{1,2}})?|[1-9]\d{{0,2}}(?:,\d{{3}})+(?:\.\d+)?)")
_COMMA = re.compile(rf"-?(?:{_WHOLE}(?:,\d+)?|[1-9]\d{{0,2}}(?:\.\d{{3}})+(?:,\d+)?)")
_ENOUGH = 10  # numbers, after which a value that is none is worth a word


class ColumnValues:
    """Looks at all values of a column, one after the other, and then says what they are.

    A column holds numbers if each of its values is one, by one of two ways of writing: `1,234.5` (point) or `1.234,5`
    (comma, only if commas do not separate the columns). Values that both ways read, but as different numbers, do not
    tell which it is: `1,234` alone in any file, and `1.234` alone where semicolons separate the columns, as they do in
    countries with decimal commas. Such a column is text. So is one with a number of more than 18 digits, or with
    zeros at its beginning.

    Args:
        delimiter (`str`): What separates the columns of the file.
    """

    def __init__(self, delimiter: str):
        self._delimiter = delimiter
        self._point = self._comma = self._truth = True
        self._has_point = self._has_comma = self._has_truth = False
        self._numbers = 0
        self._example = ""
        self.problem: str | None = None
        """Why the column is text although it looks like numbers, for a warning."""

    @property
    def is_open(self) -> bool:
        """Whether further values matter: whether the column may still be more than text."""
        return self._point or self._comma or self._truth

    def see(self, value: str) -> bool:
        """Look at the next value; return whether it is the one that ends a column of numbers."""
        word = value.strip().lower()
        if word in MISSING_NUMBER:
            return False
        self._has_truth = self._has_truth or word in ("true", "false")
        self._truth = self._truth and word in ("true", "false")
        if not (self._point or self._comma):
            return False
        by_point, by_comma = _POINT.fullmatch(word) is not None, _COMMA.fullmatch(word) is not None
        self._point, self._comma = self._point and by_point, self._comma and by_comma
        if not (self._point or self._comma):
            if self._numbers and (by_point or by_comma):
                self.problem = f"{value!r:.80} is written in another way than the numbers before it"
            elif self._numbers >= _ENOUGH:
                self.problem = f"{value!r:.80} is no number like the {self._numbers:,} before it"
            return self.problem is not None
        self._numbers += 1
        if "." in word or "," in word:
            self._has_point = self._has_point or "." in word
            self._has_comma = self._has_comma or "," in word
            self._example = value.strip()
        return False

    def reader(self) -> Callable[[str], Any]:
        """Return what makes a value of a field: a number, a truth value or a text; `None` if it is missing."""
        if self._numbers and (sign := self._decimal_sign()):
            return _read_point if sign == "." else _read_comma
        return _read_truth if self._truth and self._has_truth else read_text

    def _decimal_sign(self) -> str | None:
        if not self._has_comma and self._point and (self._delimiter != ";" or not self._has_point or not self._comma):
            return "."
        if self._point and self._comma:
            point, comma = _read_point(self._example), _read_comma(self._example)
            self.problem = f"{self._example!r} may be {point!r} or {comma!r}, and no other value tells which"
            return None
        if self._point:
            return "."
        return "," if self._comma and self._delimiter != "," else None


def read_text(value: str) -> str | None:
    """A field of a column of text."""
    return None if len(value) < 8 and value.strip().lower() in MISSING else value


def _read_truth(value: str) -> bool | None:
    word = value.strip().lower()
    return None if word in MISSING_NUMBER else word == "true"


def _read_point(value: str) -> int | float | None:
    word = value.strip().lower()
    return None if word in MISSING_NUMBER else _number(word.replace(",", ""))


def _read_comma(value: str) -> int | float | None:
    word = value.strip().lower()
    return None if word in MISSING_NUMBER else _number(word.replace(".", "").replace(",", "."))


def _number(word: str) -> int | float:
    return float(word) if "." in word or "e" in word else int(word)
