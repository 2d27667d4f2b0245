"""Pictures that are decoded ahead: in order, few at a time, with their errors."""

import threading
import weakref

import pytest
from torch.nn import functional

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank.encoding.embedder import BackboneEmbedder
from comem_hf.bank.encoding.skipped import read_skipped
from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.pictures import decoding, spool
from comem_hf.bank.pictures.decoding import DecodingAhead, load_record
from comem_hf.modeling import picture_shrinking_comem
from tests.conftest import make_image


RECORDS = [ItemRecord.from_item(MemoryItem(image=make_image(seed), id=str(seed))) for seed in range(20)]


class Load:
    """Decodes, and counts the items that are alive."""

    def __init__(self):
        self.lock, self.alive, self.most, self.loaded = threading.Lock(), 0, 0, []

    def __call__(self, record: ItemRecord) -> MemoryItem:
        item = load_record(record)
        with self.lock:
            self.loaded.append(record.id)
            self.alive += 1
            self.most = max(self.most, self.alive)
        weakref.finalize(item, self.forget)
        return item

    def forget(self) -> None:
        with self.lock:
            self.alive -= 1


@pytest.mark.parametrize("limit, most", [(10_000, 8), (250, 6), (0, 4)])
def test_few_pictures_are_alive_at_once_and_all_come_in_order(monkeypatch, limit, most):
    monkeypatch.setattr(decoding, "MOST_AHEAD", limit)
    load = Load()
    with DecodingAhead(RECORDS, [100] * 20, load, threads=3) as ahead:
        found = []
        for start in range(0, 20, 4):
            found += [item.result().id for item in ahead.take(range(start, start + 4))]
    assert found == [record.id for record in RECORDS]
    assert sorted(load.loaded, key=int) == found, "each is decoded once"
    assert 4 <= load.most <= most + 3  # a thread may still hold its last one


def test_a_batch_that_is_taken_again_in_parts_is_not_decoded_again():
    load = Load()
    with DecodingAhead(RECORDS[:6], [100] * 6, load) as ahead:
        whole = [item.result() for item in ahead.take(range(0, 6))]
        assert [item.result() for item in ahead.take(range(0, 2))] == whole[:2]
        assert [item.result() for item in ahead.take(range(2, 4))] == whole[2:4]
    assert len(load.loaded) == 6


@pytest.fixture
def photographs(tmp_path):
    """Files of photographs, in small: larger than what is called large, and than what a spool holds in memory."""
    paths = [tmp_path / f"{seed}.jpg" for seed in range(7)]
    for seed, path in enumerate(paths):
        make_image(seed, (4, 3)).resize((400, 300)).save(path)
    paths[3].write_bytes(paths[3].read_bytes()[:-1500])
    return paths


class Counting(BackboneEmbedder):
    """Notes the sizes of the pictures that it gets."""

    def embed_items(self, items, memory_inputs):
        self.sizes = [*getattr(self, "sizes", []), *(item.image.size for item in items)]
        return super().embed_items(items, memory_inputs)


def test_photographs_are_decoded_once_and_small_and_stored_as_they_are(
    photographs, model, tiny_processor, monkeypatch, tmp_path
):
    opened = []
    load_image = decoding.load_image
    monkeypatch.setattr(
        decoding, "load_image", lambda image, *a, **b: opened.append(image) or load_image(image, *a, **b)
    )

    def build(name, items):
        embedder = Counting(model, tiny_processor)
        options = {"model": model, "processor": tiny_processor, "embedder": embedder, "batch_size": 2}
        bank = MemoryBank.build(items, output_dir=tmp_path / name, shard_size=4, **options)
        return bank, embedder.sizes

    items = [MemoryItem(image=path, text=f"Fact {path.stem}.", id=path.stem) for path in photographs]
    whole, sizes = build("whole", items)
    assert set(sizes) == {(400, 300)} and len(opened) == len(items)
    monkeypatch.setattr(picture_shrinking_comem, "LARGE", 100 * 75)
    monkeypatch.setattr(spool, "IN_MEMORY", 1000)
    shrunk, sizes = build("shrunk", items)
    assert set(sizes) == {(200, 150)} and len(opened) == 2 * len(items)
    for bank in (whole, shrunk):
        assert bank.ids == ["0", "1", "2", "4", "5", "6"]
        [skipped] = read_skipped(bank.folder)
        assert skipped["reason"].startswith(f"'{photographs[3]}': its image is not a readable picture")
        assert all(bank[stem].image.fp.getvalue() == (tmp_path / f"{stem}.jpg").read_bytes() for stem in bank.ids)
        bank.verify()
    vectors = [bank.memory_inputs([bank.ids])["memory_embeds"][0] for bank in (whole, shrunk)]
    likeness = functional.cosine_similarity(*vectors, dim=-1)
    assert likeness.min() > 0.99 and likeness.mean() > 0.999
    added = shrunk.add([MemoryItem(image=photographs[0], id="again")])
    assert added == [] and not [path for path in tmp_path.rglob("tmp*")]
