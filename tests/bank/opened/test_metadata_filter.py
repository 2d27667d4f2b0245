"""Searching among items whose metadata has given values."""

import pytest

from comem_hf import MemoryBank, MemoryItem
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
        ({"year": "2000"}, ""),
        ({"year": True}, ""),
        ({"year": None}, ""),
        ({"language": []}, ""),
        ({"year": 200}, ""),
        ({"name": "a"}, ""),
        ({"source": {"name": "a"}}, ""),
        ({"colour": "red"}, ""),
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


def test_metadata_is_read_once_per_filter(mixed, model, tiny_processor, monkeypatch):
    bank = MemoryBank.from_pretrained(mixed.folder, model=model, processor=tiny_processor)
    read, names = bank._state.items.read_column, []
    monkeypatch.setattr(bank._state.items, "read_column", lambda name: names.append(name) or read(name))
    for where in ({"language": ["en", "de"], "year": 2000}, {"year": [2000], "language": ("de", "en")}):
        assert len(bank.search(image=make_image(0), k=9, where=where)) == 4
    assert names == ["metadata"]


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
