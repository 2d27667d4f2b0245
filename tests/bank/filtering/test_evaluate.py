"""Which values fit which conditions."""

import numpy as np
import pytest

from comem_hf.bank.filtering.conditions import parse_where
from comem_hf.bank.filtering.evaluate import columns_of, evaluate
from comem_hf.bank.filtering.field_values import FieldValues, structure_text
from comem_hf.bank.filtering.fields import names_in, value_at


LARGE = 2**53 + 1
ROWS = [
    {"v": 10},
    {"v": 10.0},
    {"v": 10.5},
    {"v": "10"},
    {"v": True},
    {"v": None},
    {},
    {"v": ["red", 10.0, None]},
    {"v": {"w": 10, "x": [1.0]}},
    {"v": "redder"},
    {"v": LARGE},
    {"v": 10**30},
    {"v": []},
    {"v.w": 7},
]


def rows_that_fit(where, rows=ROWS) -> list[int]:
    parsed, columns = parse_where(where), {}
    for condition in parsed.conditions():
        for field, as_text in columns_of(condition):
            values = [value_at(row, field) for row in rows]
            columns[field, as_text] = FieldValues.of([structure_text(v) for v in values] if as_text else values)
    return np.flatnonzero(evaluate(parsed, columns, len(rows))).tolist()


@pytest.mark.parametrize(
    "where, expected",
    [
        ({"v": 10}, [0, 1]),
        ({"v": 10.0}, [0, 1]),
        ({"v": "10"}, [3]),
        ({"v": True}, [4]),
        ({"v": 1}, []),
        ({"v": {"$eq": ["red", 10, None]}}, [7]),
        ({"v": {"w": 10.0, "x": [1]}}, [8]),
        ({"v": {"$ne": 10}}, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]),
        ({"v": {"$ne": {"w": 10, "x": [1]}}}, [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13]),
        ({"v": {"$in": [10, "10", []]}}, [0, 1, 3, 12]),
        ({"v": {"$nin": [10, 10.5, "10", "redder", True, 10**30, LARGE]}}, [5, 6, 7, 8, 12, 13]),
        ({"v": {"$gt": 10}}, [2, 10, 11]),
        ({"v": {"$gte": 10}}, [0, 1, 2, 10, 11]),
        ({"v": {"$lt": 10.5}}, [0, 1]),
        ({"v": {"$lte": 10.25}}, [0, 1]),
        ({"v": {"$gt": 10.25, "$lt": 11}}, [2]),
        ({"v": {"$lt": "2"}}, [3]),
        ({"v": {"$gte": "red"}}, [9]),
        ({"v": {"$exists": True}}, [0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 12]),
        ({"v": {"$exists": False}}, [5, 6, 13]),
        ({"v": {"$contains": "red"}}, [7, 9]),
        ({"v": {"$contains": 10}}, [7]),
        ({"v": {"$contains": True}}, []),
        ({"v": {"$not": {"$gt": 10}}}, [0, 1, 3, 4, 5, 6, 7, 8, 9, 12, 13]),
        ({"v.w": {"$gte": 7}}, [8, 13]),
        ({"$and": [{"v": {"$gt": 10}}, {"v": {"$lt": 11}}]}, [2]),
        ({"$or": [{"v": 10}, {"v.w": 7}], "$not": {"v": 10.5}}, [0, 1, 13]),
        ({"v": LARGE}, [10]),
        ({"v": LARGE - 1}, []),
        ({"v": float(LARGE - 1)}, []),
        ({"v": {"$gt": LARGE - 1}}, [10, 11]),
        ({"v": {"$gte": LARGE + 1}}, [11]),
        ({"v": {"$gt": 2**70}}, [11]),
        ({"v": {"$lt": -(2**70)}}, []),
        ({"v": {"$gt": -(10**400)}}, [0, 1, 2, 10, 11]),
        ({"v": 10**30}, [11]),
    ],
)
def test_values_fit_as_the_language_says(where, expected):
    assert rows_that_fit(where) == expected


def test_floats_compare_exactly_with_integers_that_no_float_equals():
    rows = [{"v": float(2**53)}, {"v": float(2**53 + 2)}]
    assert rows_that_fit({"v": {"$gt": 2**53 + 1}}, rows) == [1]
    assert rows_that_fit({"v": {"$lte": 2**53 + 1}}, rows) == [0]
    assert rows_that_fit({"v": 2**53 + 1}, rows) == []


def test_operators_agree_with_python_on_random_values():
    random = np.random.default_rng(0)
    values = [*random.integers(-5, 5, 200).tolist(), *(random.integers(-10, 10, 200) / 2).tolist()]
    rows, names = [{"v": value} for value in values], {"$gt": "__gt__", "$gte": "__ge__", "$lt": "__lt__"}
    for operand in (-2, -1.5, 0, 0.25, 3.0):
        for operator, name in names.items():
            expected = [n for n, value in enumerate(values) if getattr(float(value), name)(operand)]
            assert rows_that_fit({"v": {operator: operand}}, rows) == expected


def test_a_field_with_dots_in_its_name_comes_before_a_nested_one():
    assert value_at({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert value_at({"a": {"b.c": {"d": 3}}}, "a.b.c.d") == 3
    assert value_at({"a.b": {"c": 4}, "a": {"b": 2}}, "a.b.c") == 4
    assert value_at({"a": 1}, "a.b") is None
    assert names_in([{"a": {"b": {"c": 1}}}, {"d.e": None}]) == {"a", "a.b", "a.b.c", "d.e"}
