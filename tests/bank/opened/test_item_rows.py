"""Which row a hit or an id stands for."""

import pytest
import torch

from comem_hf import MemoryItem
from comem_hf.bank import MemoryHit
from tests.conftest import make_image


def test_ids_stand_for_hits(bank):
    hits = bank.search(image=make_image(50), k=2)
    by_id = bank.memory_inputs([[hit.item.id for hit in hits]])
    assert torch.equal(by_id["memory_embeds"], bank.memory_inputs([hits])["memory_embeds"])


def test_a_hit_made_by_hand_stands_for_the_item_of_its_id(bank, items):
    hit = MemoryHit(items[2], 0.5, 0)
    assert (hit.row, hit.bank) == (None, None)
    by_id = bank.memory_inputs([["item-2"]])
    assert torch.equal(bank.memory_inputs([[hit]])["memory_embeds"], by_id["memory_embeds"])
    with pytest.raises(ValueError, match="has no item 'nowhere'"):
        bank.memory_inputs([[MemoryHit(MemoryItem(text="a", id="nowhere"), 0.5, 0)]])
    with pytest.raises(ValueError, match="must have the id of an item, but its id is None"):
        bank.memory_inputs([[MemoryHit(MemoryItem(text="a"), 0.5, 0)]])


def test_an_unknown_id_is_refused_by_name(bank):
    with pytest.raises(ValueError, match="has no item 'nowhere'"):
        bank.memory_inputs([["nowhere"]])


def test_a_hit_of_another_bank_is_refused(bank, build, items, tmp_path):
    same_pictures = [MemoryItem(image=item.image, text="Other text.", id=item.id) for item in items]
    other = build(same_pictures, output_dir=tmp_path / "bank")
    with pytest.raises(ValueError, match="The hit on item 'item-1' comes from another bank"):
        bank.memory_inputs([other.search(image=items[1].image, k=1)])
