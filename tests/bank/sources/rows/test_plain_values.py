"""Values of rows as JSON can hold them."""

import datetime
import enum
import json
import uuid
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import torch

from comem_hf.bank.sources.rows.plain_values import id_as_text, is_missing, plain


def test_what_stands_for_nothing_becomes_none_at_any_depth():
    values = [float("nan"), float("inf"), np.float32("nan"), np.datetime64("NaT"), pd.NaT, pd.NA, None]
    assert plain({"a": values, "b": ({"c": float("nan")},)}) == {"a": [None] * len(values), "b": [{"c": None}]}
    assert all(map(is_missing, (float("nan"), np.float64("nan"), pd.NaT, pd.NA, None)))
    assert not any(map(is_missing, (0, "", "nan", [], float("inf"))))


def test_numbers_of_numpy_and_dates_become_plain():
    day = datetime.datetime(2024, 5, 6)
    assert plain([np.int64(3), np.bool_(True), np.array([1.5, np.nan]), day, np.datetime64("2024-05-06")]) == [
        3,
        True,
        [1.5, None],
        "2024-05-06T00:00:00",
        "2024-05-06",
    ]


class Colour(enum.Enum):
    RED = 1


def test_any_value_of_metadata_becomes_what_json_can_hold():
    key = uuid.UUID(int=5)
    values = {
        "price": Decimal("3.50"),
        "count": Decimal("3.0"),
        "huge": Decimal("1E+5000"),
        "no number": Decimal("NaN"),
        "tags": {"b", "a"},
        "mixed": {10, 9, "x"},
        "numbers": frozenset({10, 9}),
        "key": key,
        "path": Path("a/b.png"),
        "colour": Colour.RED,
        "complex": np.complex64(1j),
        "long": np.longdouble(1.5),
        "text": np.str_("x"),
        "zero": np.array(2),
        "dates": np.array(["2024-05-06"], dtype="datetime64[ns]"),
        "record": np.array([(1, 2.5)], dtype="i4,f4"),
        "column": pd.Series([1, 2]),
        "tensor": torch.tensor([[1], [2]]),
        "range": range(2),
        "read only": MappingProxyType({"x": {1}}),
        "duration": datetime.timedelta(hours=1),
    }
    found = plain(values)
    assert (
        json.loads(json.dumps(found, allow_nan=False))
        == found
        == {
            "price": 3.5,
            "count": 3,
            "huge": "1E+5000",
            "no number": None,
            "tags": ["a", "b"],
            "mixed": [10, 9, "x"],
            "numbers": [9, 10],
            "key": str(key),
            "path": "a/b.png",
            "colour": "Colour.RED",
            "complex": "1j",
            "long": 1.5,
            "text": "x",
            "zero": 2,
            "dates": ["2024-05-06T00:00:00.000000000"],
            "record": [[1, 2.5]],
            "column": [1, 2],
            "tensor": [[1], [2]],
            "range": [0, 1],
            "read only": {"x": [1]},
            "duration": "1:00:00",
        }
    )
    assert type(found["count"]) is int


def test_bytes_are_left_out_at_any_depth():
    raw = (b"\xff", bytearray(b"x"), memoryview(b"x"), np.bytes_(b"x"))
    assert plain({"a": raw[0], "b": {"c": raw[1], "d": [1, *raw]}, "e": raw}) == {"b": {"d": [1]}, "e": []}
    assert plain(b"x") is None


def test_keys_that_json_cannot_sort_become_text():
    key = uuid.UUID(int=5)
    found = plain({1: "a", "b": "c", None: 3, key: 4, np.int64(7): 5})
    assert found == {"1": "a", "b": "c", "null": 3, str(key): 4, "7": 5}


def test_an_object_whose_text_is_its_address_stays_and_is_refused_by_the_build():
    thing = object()
    assert plain({"x": thing}) == {"x": thing}


def test_numbers_as_ids_become_text():
    assert [id_as_text(each) for each in (7, np.int64(7), Decimal(7), 7.5, "007", float("nan"))] == [
        "7",
        "7",
        "7",
        "7.5",
        "007",
        None,
    ]
    assert id_as_text(True) is True and id_as_text([1]) == [1]
