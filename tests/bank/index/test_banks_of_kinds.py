"""Banks with each kind of index: built, changed, copied, merged, pushed, and given another index."""

import json
import shutil

import pytest

from comem_hf import MemoryBank
from comem_hf.bank.format.config import BankConfig
from tests.bank.conftest import change_config, contents
from tests.conftest import make_image


KINDS = ("shards:2", "lancedb")


@pytest.fixture(params=KINDS)
def of_kind(request, bank, model, tiny_processor, tmp_path) -> MemoryBank:
    """A bank of seven items with an index of some kind, which was made without encoding."""
    bank.save_pretrained(tmp_path / "bank")
    changed = MemoryBank.change_index(tmp_path / "bank", request.param)
    return changed.attach(model, tiny_processor)


def found(bank, **options) -> list[tuple[str, float]]:
    hits = bank.search(image=[make_image(50), make_image(3)], k=5, **options)
    return [(hit.item.id, round(hit.score, 5)) for row in hits for hit in row]


def test_a_bank_of_another_index_finds_filters_grows_shrinks_and_is_verified(of_kind, bank, mine, new_items):
    assert (of_kind.config.index["kind"], of_kind.config.generation, of_kind.config.format_version) == (
        of_kind.config.index["factory"].split(":")[0],
        1,
        2,
    )
    assert found(of_kind) == found(bank)
    assert found(of_kind, where={"n": {"$gte": 4}}) == found(bank, where={"n": {"$gte": 4}})
    before = MemoryBank.from_pretrained(of_kind.folder).attach(of_kind._model, of_kind._processor)
    for each in (of_kind, mine):
        each.remove(["item-3"])
        assert each.add(new_items, batch_size=2) == []
    assert found(of_kind) == found(mine) and len(found(of_kind, where={"n": 3})) == 0
    assert found(before) == found(bank)  # the state that it has open
    assert found(before.reload()) == found(mine)
    assert of_kind.verify()["items"] == 11
    with pytest.raises(ValueError, match="No item would be left"):
        of_kind.remove(of_kind.ids)


def test_copies_and_merged_and_pushed_banks_are_files_and_find_the_same(of_kind, mine, new_items, hub, tmp_path):
    of_kind.push_to_hub("ann/whole")
    for each in (of_kind, mine):
        each.add(new_items)
        each.remove(["item-3", "new-20"])
    of_kind.save_pretrained(tmp_path / "saved")
    of_kind.push_to_hub("ann/bank")
    opened = [
        MemoryBank.from_pretrained(tmp_path / "saved"),
        MemoryBank.from_pretrained("ann/bank"),
        MemoryBank.merge([of_kind], tmp_path / "merged"),
        MemoryBank.merge([of_kind], tmp_path / "again", index_factory=of_kind.config.index["factory"]),
    ]
    for each in opened:
        each.attach(of_kind._model, of_kind._processor)
        assert found(each) == found(mine) and each.verify()["removed"] == 0
    kinds = [each.config.index.get("kind") for each in opened]
    kind = of_kind.config.index["kind"]
    assert kinds == (["shards", "shards", None, kind] if kind == "shards" else [None, None, None, kind])
    assert MemoryBank.from_pretrained("ann/whole").verify()["items"] == 7


def test_a_bank_is_built_with_each_kind_and_goes_back_to_the_same_files(of_kind, build, items, bank, tmp_path):
    built = build(items, output_dir=tmp_path / "built", index_factory=of_kind.config.index["factory"])
    assert found(built) == found(bank)
    back = MemoryBank.change_index(built.folder, "Flat").attach(built._model, built._processor)
    assert found(back) == found(bank) and back.config.format_version == 1
    before = back.config.files
    back.remove(["item-0"])  # this removes what states before the last one needed
    names = {"bank_config.json", ".writer.lock", *before, *back.config.files}
    assert {path.name for path in built.folder.iterdir() if path.is_file()} == names
    assert not list(built.folder.glob("index.lance/*.lance"))
    assert found(of_kind) == found(bank)


def test_a_bank_whose_index_is_lost_says_so_and_gets_it_again(of_kind, bank):
    folder, config = of_kind.folder, of_kind.config
    if config.index["kind"] == "shards":
        (folder / config.index["files"][1]).unlink()
        with pytest.raises(ValueError, match="is incomplete: index-00001-part-00001.faiss is missing"):
            MemoryBank.from_pretrained(folder)
        return
    shutil.rmtree(folder / "index.lance")
    with pytest.raises(ValueError, match=r"has no table 'rows-00001'. `MemoryBank.change_index\("):
        MemoryBank.from_pretrained(folder)
    again = MemoryBank.change_index(folder, "lancedb").attach(of_kind._model, of_kind._processor)
    assert found(again) == found(bank) and again.config.generation == 2


def test_a_change_of_the_index_that_fails_leaves_the_bank(copy, monkeypatch):
    before = contents(copy)
    for factory, message in (("IVF512,Flat", "cannot be trained on 7 vectors"), ("Rubbish", "makes no index")):
        with pytest.raises(ValueError, match=message):
            MemoryBank.change_index(copy, factory)
    with pytest.raises(ValueError, match="`index_factory` holds a secret"):
        MemoryBank.change_index(copy, "lancedb:s3://key:secret@bucket")
    MemoryBank.from_pretrained(copy).verify()
    assert {name: content for name, content in contents(copy).items() if name in before} == before
    assert contents(copy).keys() == before.keys()


@pytest.mark.parametrize(
    "index, message",
    [
        ({"kind": "other"}, "must be of the kind 'shards' or 'lancedb', or without a 'kind', got 'other'"),
        ({"kind": "shards", "files": ["../index.faiss"], "rows_per_part": 2}, "`index` must list its 'files'"),
        ({"kind": "shards", "files": ["index-00000-part-00000.faiss"]}, "a positive integer as 'rows_per_part'"),
        ({"kind": "lancedb", "uri": "index.lance", "table": "../rows"}, "must name the 'uri' and the 'table'"),
    ],
)
def test_an_index_that_no_bank_has_is_refused(copy, index, message):
    change_config(copy, index={**BankConfig.load(copy).index, **index})
    with pytest.raises(ValueError, match=message):
        BankConfig.load(copy)


def test_a_bank_of_one_faiss_file_stays_in_the_first_format(bank):
    config = json.loads((bank.folder / "bank_config.json").read_text())
    assert config["format_version"] == 1 and set(config["index"]) == {"file", "factory", "nprobe", "recall"}
