"""Values of rows as JSON can hold them."""

import datetime

import numpy as np
import pandas as pd

from comem_hf.bank.sources.rows.plain_values import is_missing, plain


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
    assert plain({"x": {1}}) == {"x": {1}}  # the build refuses it with its number
