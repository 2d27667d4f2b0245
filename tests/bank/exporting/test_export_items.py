"""What a bank exports is read again by a source, and is the same."""

import json
from dataclasses import replace

import datasets
import pytest
import torch

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank.sources import open_source
from tests.conftest import make_image


@pytest.fixture(scope="module")
def odd(build, items, tmp_path_factory) -> MemoryBank:
    """A bank with fields and names that a source could take for something else."""
    folder = tmp_path_factory.mktemp("odd")
    make_image(1).save(folder / "ü 1.JPG", format="JPEG")
    fields = {"id": 5, "text": "no", "image": "a.png", "caption": None, "metadata": {"a": [1, "b"]}, "Titel": "Ä\n"}
    changed = [
        replace(items[0], metadata=fields),
        MemoryItem(image=folder / "ü 1.JPG", id="../../a b/ü", metadata={"caption": "no", "file_name": "x/ü 1.JPG"}),
        MemoryItem(image=make_image(2).convert("L"), text=" Two \nlines", id="007"),
        replace(items[3], metadata={"price": 1e300, "big": 2**70, "on": True}),
    ]
    return build(changed, output_dir=folder / "bank")


def stored(bank) -> list:
    return [
        (each.id, each.text, each.image, json.loads(each.metadata))
        for each in bank._state.items.read_records(bank._state.rows.live_rows().tolist())
    ]


@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_an_export_builds_the_same_bank(odd, build, tmp_path, name):
    assert MemoryBank.from_pretrained(odd.folder).export(tmp_path / name) == 4
    bank = build(open_source(tmp_path / name), output_dir=tmp_path / "bank")
    assert stored(bank) == stored(odd)
    both = [each.memory_inputs([each.ids])["memory_embeds"] for each in (bank, odd)]
    torch.testing.assert_close(*both)
    if name == "out":
        pictures = sorted(path.name for path in (tmp_path / "out" / "pictures").iterdir())
        assert pictures == ["000000.png", "000001.jpg", "000002.png", "000003.png"]
    with pytest.raises(ValueError, match="exists already|is not empty"):
        odd.export(tmp_path / name)
    assert odd.export(tmp_path / f"part-{name}", {"price": {"$gt": 0}}) == 1
    assert [item.id for item in open_source(tmp_path / f"part-{name}")] == ["item-3"]


def test_the_files_of_a_bank_are_a_source_themselves(odd, tmp_path):
    """As the Hub's data sets library reads them, too."""
    file = str(odd.folder / "items-00000.parquet")
    expected = [record[3] for record in stored(odd)][:3]
    assert [item.metadata for item in open_source(file)] == expected
    dataset = datasets.Dataset.from_parquet(file, cache_dir=str(tmp_path))
    assert [item.metadata for item in open_source(dataset)] == expected
