"""Entities on both sides of a split."""

import pytest

from comem_hf.training import MemoryDataset, check_no_shared_entities


def data(name: str, **entities) -> MemoryDataset:
    columns = [dict(zip(entities, values, strict=True)) for values in zip(*entities.values(), strict=True)]
    return MemoryDataset([{"question": "?", "answer": "Ada", **row} for row in columns or [{}]], name=name)


def test_entities_on_both_sides_are_refused_with_examples(caplog):
    train = data("train", entity=["Ada", "Bob", "Cleo"], entity_id=[1, 2, 3])
    held_out = data("held-out", entity=["Dora", "Cleo", "Bob"], entity_id=[4, 5, 6])
    with pytest.raises(
        ValueError, match=r"2 of the 3 entities \(`entity`\) of held-out are in train, too: 'Bob', 'Cl"
    ):
        check_no_shared_entities(train, held_out)
    check_no_shared_entities(train, held_out, key="entity_id")
    check_no_shared_entities(train, None)
    with pytest.raises(ValueError, match="Not compared: no row of unnamed has `entity`"):
        check_no_shared_entities(train, data("unnamed"), key="entity")
    assert not caplog.records
    for other, keys in ((data("other", entity=["Eve"]), ["entity_id"]), (data("unnamed"), ["entity", "entity_id"])):
        caplog.clear()
        check_no_shared_entities(train, other)
        said = [
            f"What train and {other.name} are about is not compared: no row of {other.name} has `{key}`."
            for key in keys
        ]
        assert [record.getMessage() for record in caplog.records] == said
    caplog.clear()
    plain = data("plain")
    check_no_shared_entities(plain, data("others"))
    assert not caplog.records
    check_no_shared_entities(plain, plain)
    assert "plain is the data for training itself" in caplog.text
