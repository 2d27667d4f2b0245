"""`--where` of commands."""

import pytest

from comem_hf.commands.common.conditions import read_conditions


KINDS = {
    "year": {"number"},
    "sku": {"string"},
    "mixed": {"number", "string"},
    "new": {"boolean"},
    "tags": {"list"},
}


def read(*conditions):
    return read_conditions(list(conditions), KINDS.__getitem__)


@pytest.mark.parametrize(
    "conditions, expected",
    [
        ([], None),
        (["language=en"], {"language": {"$in": ["en"]}}),
        (["language=en", "language = de"], {"language": {"$in": ["en", "de"]}}),
        (["a=b=c"], {"a": {"$in": ["b=c"]}}),
        (["year=2000"], {"year": {"$in": [2000]}}),
        (["sku=105"], {"sku": {"$in": ["105"]}}),
        (["sku==1e3"], {"sku": {"$in": ["1e3"]}}),
        (["mixed=105"], {"mixed": {"$in": [105, "105"]}}),
        (['year="2000"'], {"year": {"$in": ["2000"]}}),
        (["year=02000"], {"year": {"$in": ["02000"]}}),
        (["year=NaN"], {"year": {"$in": ["NaN"]}}),
        (["new=true"], {"new": {"$in": [True]}}),
        (["sku=true"], {"sku": {"$in": ["true"]}}),
        (["year!=2000"], {"year": {"$nin": [2000]}}),
        (["mixed!=105"], {"mixed": {"$nin": [105, "105"]}}),
        (["year>=2000", "year<2010"], {"$and": [{"year": {"$gte": 2000}}, {"year": {"$lt": 2010}}]}),
        (["mixed > 3.5"], {"mixed": {"$gt": 3.5}}),
        (["date<=2020-01-31"], {"date": {"$lte": "2020-01-31"}}),
        (['{"year": {"$gte": 30}}'], {"year": {"$gte": 30}}),
        (['{"year": 30}', "a=b"], {"$and": [{"year": 30}, {"a": {"$in": ["b"]}}]}),
    ],
)
def test_conditions_become_filters_over_what_the_bank_stores(conditions, expected):
    assert read(*conditions) == expected


def test_numbers_that_are_stored_as_text_are_compared_as_text_with_a_word_of_warning(caplog):
    assert read("sku>=105") == {"sku": {"$gte": "105"}}
    assert "'sku' holds strings, so `>=` compares them letter by letter" in caplog.text


@pytest.mark.parametrize(
    "condition, message",
    [
        ("source", r"`--where` must be FIELD=VALUE \(or !=, >, >=, <, <=\) or a filter as JSON, got 'source'"),
        ("=3", "must be FIELD=VALUE .* got '=3'"),
        ("a!b", "must be FIELD=VALUE .* got 'a!b'"),
        ('{"a": 1', r"`--where` '{\"a\": 1' is no JSON: "),
        ('{"a": NaN}', "is no JSON: NaN is no JSON value"),
        (
            "year=null",
            r"no value equals null; items without the field are found by '{\"year\": {\"\$exists\": false}}'",
        ),
        ("year!=null", r"items with the field are found by '{\"year\": {\"\$exists\": true}}'"),
        ("new=True", "`--where` 'new=True': write new=true."),
        ("new!=FALSE", "`--where` 'new!=FALSE': write new!=false."),
        ("year=>3", "`--where` 'year=>3': write year>=3; a text that begins with '>' is written in double quotes."),
        ("year =< 3", "write year<=3;"),
        ("year>>3", "write year>3;"),
        ("year===3", "write year=3;"),
        (
            '{"year": {"$gtee": 3}}',
            r"^`--where` '{\"year\": {\"\$gtee\": 3}}': `where\['year'\]` has the unknown",
        ),
        ('{"year": null}', "no value equals null; items without the field"),
        ("tags=[1]", "lists and objects can be given in a filter as JSON only"),
        ("new>true", "compares numbers and texts by >, got True"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(condition, message):
    with pytest.raises(ValueError, match=message):
        read(condition)


def test_one_of_several_conditions_is_named_as_it_was_typed():
    with pytest.raises(ValueError, match=r"^`--where` '{\"b\": {\"\$x\": 1}}': `where\['b'\]` has the unknown"):
        read("a=b", '{"b": {"$x": 1}}')


def test_a_text_that_begins_with_a_sign_can_be_given_in_quotes():
    assert read('sku=">3"') == {"sku": {"$in": [">3"]}}
