"""Searching among items whose metadata has given values."""

import re
from dataclasses import replace

import pytest

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.format.items import StoredItems, write_items
from tests.bank.conftest import replace_file
from tests.conftest import make_image


LANGUAGES = ("en", "de", "fr")


@pytest.fixture(scope="module")
def mixed(build, tmp_path_factory) -> MemoryBank:
    """Eight items: languages in turn, two sources, one item without metadata."""
    items = [
        MemoryItem(
            image=make_image(number),
            id=str(number),
            metadata={
                "language": LANGUAGES[number % 3],
                "source": {"name": "a" if number < 4 else "b", "city": "Köln"},
                "year": 2000 + number // 6,
            },
        )
        for number in range(7)
    ]
    items.append(MemoryItem(image=make_image(7), id="7"))
    return build(items, output_dir=tmp_path_factory.mktemp("banks") / "mixed")


@pytest.mark.parametrize(
    "where, expected",
    [
        ({"language": "en"}, "036"),
        ({"language": ["en", "fr"]}, "02356"),
        ({"language": {"en"}, "source": {"name": "b", "city": "Köln"}}, "6"),
        ({"year": 2000, "language": ("de",)}, "14"),
        ({"year": 2000}, "012345"),
        ({"year": 2000.0}, "012345"),
        ({"year": "2000"}, ""),
        ({"year": True}, ""),
        ({"language": []}, ""),
        ({"year": 200}, ""),
        ({"source": {"name": "a"}}, ""),
        ({"source.name": "a"}, "0123"),
        ({"year": {"$gt": 2000}}, "6"),
        ({"year": {"$not": {"$gt": 2000}}}, "0123457"),
        ({"$or": [{"language": "fr"}, {"year": {"$exists": False}}]}, "257"),
        ({"language": {"$contains": "e"}}, "01346"),
    ],
)
def test_only_items_with_the_given_values_are_found_and_all_of_them(mixed, where, expected):
    hits = mixed.search(image=make_image(0), k=20, where=where)
    assert sorted(hit.item.id for hit in hits) == list(expected)
    assert [hit.rank for hit in hits] == list(range(len(expected)))


def test_a_filter_keeps_order_and_scores(mixed):
    everything = mixed.search(image=make_image(20), k=8)
    expected = [(hit.item.id, hit.score) for hit in everything if hit.item.metadata.get("language") == "en"]
    found = mixed.search(image=make_image(20), k=2, where={"language": "en"})
    assert [(hit.item.id, hit.score) for hit in found] == expected[:2]


def test_a_filter_holds_for_every_query_of_a_list(mixed):
    found = mixed.search(image=[make_image(1), make_image(2)], k=1, where={"language": "en"})
    assert len(found) == 2 and all(hits[0].item.metadata["language"] == "en" for hits in found)
    assert mixed.search(image=[make_image(1), make_image(2)], where={"language": "xx"}) == [[], []]


def test_metadata_is_read_once_for_all_fields_of_a_filter_and_not_again(mixed, model, tiny_processor, monkeypatch):
    bank = MemoryBank.from_pretrained(mixed.folder, model=model, processor=tiny_processor)
    read, names = bank._state.items.read_column, []
    monkeypatch.setattr(bank._state.items, "read_column", lambda name: names.append(name) or read(name))
    for where in ({"language": ["en", "de"], "year": 2000}, {"year": [2000], "language": ("de", "en")}):
        assert len(bank.search(image=make_image(0), k=9, where=where)) == 4
    assert len(bank.search(image=make_image(0), k=9, where={"year": {"$lt": 2001}})) == 6
    assert names == ["metadata"]
    bank.search(image=make_image(0), where={"source.name": "a"})
    assert names == ["metadata", "metadata"]


def test_filters_that_differ_in_the_type_of_a_value_are_remembered_apart(mixed):
    found = [
        len(mixed.search(image=make_image(0), k=9, where={"year": year})) for year in (2001, True, 2001.0, "2001")
    ]
    assert found == [1, 0, 1, 0]


@pytest.mark.parametrize(
    "where, message",
    [
        ({"colour": "red"}, "No item has the metadata field 'colour'. Items have: language, source, source.city, "),
        ({"langauge": {"$ne": "en"}}, "No item has the metadata field 'langauge'; did you mean 'language'?"),
        ({"name": "a"}, "No item has the metadata field 'name'"),
        ({"source.nam": {"$exists": False}}, "the metadata field 'source.nam'; did you mean 'source.name'?"),
        ({"year": {"gte": 2001}}, r"the metadata field 'year.gte'; did you mean the operator '\$gte'"),
        (
            {"year.$gte": 2001},
            r"the metadata field 'year.\$gte'; did you mean the operator '\$gte': {'year': {",
        ),
        ({"$or": [{"year": 2000}, {"yer": 2001}]}, "the metadata field 'yer'; did you mean 'year'?"),
    ],
)
def test_a_field_that_no_item_has_is_refused_with_those_that_items_have(mixed, where, message):
    with pytest.raises(ValueError, match=message):
        mixed.search(image=make_image(0), where=where)


def test_a_field_that_only_removed_items_had_is_no_field(build, tmp_path):
    items = [MemoryItem(image=make_image(n), id=str(n), metadata={"a": n} if n else {"secret": n}) for n in range(3)]
    bank = build(items, output_dir=tmp_path / "bank")
    assert [hit.item.id for hit in bank.search(image=make_image(0), where={"secret": 0})] == ["0"]
    bank.remove(["0"])
    with pytest.raises(ValueError, match="No item has the metadata field 'secret'. Items have: a.$"):
        bank.search(image=make_image(0), where={"secret": 0})


def test_a_bank_without_metadata_says_so(build, tmp_path):
    bank = build([MemoryItem(image=make_image(0), id="0")], output_dir=tmp_path / "bank")
    with pytest.raises(ValueError, match="the metadata field 'price': no item has any metadata"):
        bank.search(image=make_image(0), where={"price": 3})


def test_a_value_that_a_field_never_compares_with_is_warned_about(mixed, caplog):
    mixed.search(image=make_image(0), where={"year": {"$gte": "1999"}})
    assert "The filter compares the field 'year' with '1999', but it holds numbers here" in caplog.text


def test_kinds_of_a_field_are_told(mixed):
    assert mixed.metadata_kinds("year") == {"number"} and mixed.metadata_kinds("source") == {"object"}
    with pytest.raises(ValueError, match="No item has the metadata field 'yeer'; did you mean 'year'"):
        mixed.metadata_kinds("yeer")


@pytest.mark.parametrize(
    "where, message",
    [
        ({}, "`where` must map names of metadata fields to values, got {}"),
        ("language", "`where` must map names of metadata fields to values, got 'language'"),
        ({1: "en"}, "`where` must map names of metadata fields to values, got {1: 'en'}"),
        ({"year": float("nan")}, r"`where\['year'\]` must be a JSON value or a list of them, got nan"),
        ({"language": b"en"}, r"`where\['language'\]` must be a JSON value or a list of them, got b'en'"),
    ],
)
def test_a_filter_of_no_use_is_refused(mixed, where, message):
    with pytest.raises(ValueError, match=message):
        mixed.search(image=make_image(0), where=where)


@pytest.mark.parametrize("text", ["[1]", "{} {}", "nothing", '{"a": 1}, {"b": 2}'])
def test_metadata_that_is_no_json_object_is_named(copy, text):
    records = StoredItems(copy, BankConfig.load(copy)).read_records([3, 4, 5])
    records[1] = replace(records[1], metadata=text)
    replace_file(copy, "items-00001.parquet", lambda path: write_items(path, records))
    with pytest.raises(ValueError, match=re.escape(f"The metadata of row 4 is no JSON object: {text!r}")):
        MemoryBank.from_pretrained(copy).metadata_kinds("n")
