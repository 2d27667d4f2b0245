"""What a `where may say, and what is refused by name."""

import numpy as np
import pytest

from comem_hf.bank.filtering.conditions import Condition, Group, parse_where


def test_values_lists_and_operators_become_conditions():
    assert parse_where({"a": 1, "b": ["x", "y"], "c.d": {"$gte": 3, "$lt": 4}}) == Group(
        "$and",
        (
            Condition("a", "$eq", 1),
            Condition("b", "$in", ["x", "y"]),
            Group("$and", (Condition("c.d", "$gte", 3), Condition("c.d", "$lt", 4))),
        ),
    )


def test_sets_tuples_and_numbers_of_numpy_become_json():
    parsed = parse_where({"a": {"b", "a"}, "c": (np.int64(3), np.float32(0.5)), "d": {"$in": np.array([1, 2])}})
    a, c, d = parsed.conditions()
    assert (a.operand, c.operand, d.operand) == (["a", "b"], [3, 0.5], [1, 2])


@pytest.mark.parametrize(
    "where, message",
    [
        ({}, r"`where` must map names of metadata fields to values, got \{\}"),
        ("price", "`where` must map names of metadata fields to values, got 'price'"),
        (
            {"price": {"$gtee": 30}},
            r"`where\['price'\]` has the unknown operator '\$gtee'; did you mean '\$gte'\? There",
        ),
        ({"price": {"$regex": "a"}}, r"unknown operator '\$regex'. There are: \$eq, \$ne, \$gt, .*, \$contains"),
        ({"$nor": [{"a": 1}]}, r"`where` has the unknown operator '\$nor'; did you mean '\$or'"),
        ({"$gte": 30}, r"`where` has the operator '\$gte' in the wrong place: it needs a field"),
        (
            {"price": {"$or": [{"$lt": 3}]}},
            r"\['price'\]` has the operator '\$or' in the wrong place: it combines whole",
        ),
        ({"$or": {"a": 1}}, r"`where\['\$or'\]` must be a list of filters, got \{'a': 1\}"),
        ({"$and": []}, r"`where\['\$and'\]` must be a list of filters, got \[\]"),
        ({"$or": [{"a": 1}, {}]}, r"`where\['\$or'\]\[1\]` must map names of metadata fields to values, got \{\}"),
        ({"$not": {"a": {"$x": 1}}}, r"`where\['\$not'\]\['a'\]` has the unknown operator '\$x'"),
        (
            {"price": {"$gte": 30, "x": 1}},
            r"\['price'\]` must be a value, or operators such as .*; an object to compare",
        ),
        ({"price": {}}, r"`where\['price'\]` must be a value, or operators"),
        ({"price": {"$in": 3}}, r"\['price'\]`: `\$in` needs a list of values, got 3"),
        ({"price": {"$gt": None}}, r"\['price'\]`: `\$gt` compares with a number or a string, got None"),
        ({"price": {"$lte": True}}, r"`\$lte` compares with a number or a string, got True"),
        ({"price": {"$exists": 1}}, r"`\$exists` needs true or false, got 1"),
        ({"tags": {"$contains": ["a"]}}, r"`\$contains` looks for a string, a number, true or false in a list"),
        (
            {"price": {"$not": 3.0, "$lt": float("inf")}},
            r"\['price'\]` must be a JSON value or a list of them, got inf",
        ),
        ({"price": None}, r"^`where\['price'\]`: no value equals null; .* without the field .* {'\$exists': False}.$"),
        ({"price": {"$eq": None}}, "no value equals null; items without the field"),
        ({"price": [None]}, "no value equals null; items without the field"),
        ({"price": {"$in": [3, None]}}, "no value equals null; items without the field"),
        ({"price": {"$not": None}}, "no value equals null; items without the field"),
        ({"price": {"$ne": None}}, r"no value equals null; items with the field are found by {'\$exists': True}"),
        ({"price": {"$nin": [None]}}, "no value equals null; items with the field"),
        ({"price": {1: 2}}, r"\['price'\]` must be a JSON value or a list of them, got \{1: 2\}"),
    ],
)
def test_what_is_no_filter_is_refused_by_name(where, message):
    with pytest.raises(ValueError, match=message):
        parse_where(where)


def test_an_empty_list_of_values_is_warned_of(caplog):
    assert parse_where({"price": {"$in": []}}).parts[0].parts[0].operand == []
    assert "`where['price']`: the list of values is empty, so no item fits." in caplog.text
    caplog.clear()
    parse_where({"price": {"$nin": []}, "tags": {"$eq": []}})
    assert not caplog.text
