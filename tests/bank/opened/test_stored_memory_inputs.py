"""From hits to the model's `memory_inputs`."""

import pytest
import torch

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank.format.config import BankConfig, memory_name
from comem_hf.bank.format.vectors import write_memory
from comem_hf.files.whole_file import file_entry
from tests.conftest import make_image, make_model


PROMPT = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>What is it?<|im_end|>\n<|im_start|>assistant\n"


def test_stored_vectors_and_raw_items_give_the_same_logits_and_answers(family, tiny_processor, tmp_path):
    model = make_model(family)
    items = [MemoryItem(image=make_image(seed), text=f"Fact {seed}.", id=str(seed)) for seed in range(4)]
    bank = MemoryBank.build(items, model=model, processor=tiny_processor, output_dir=tmp_path / "bank")
    query = make_image(2, (70, 50))
    hits = bank.search(image=query, k=3)
    inputs = tiny_processor(
        text=[PROMPT], images=[query], memories=[[hit.item for hit in hits]], return_tensors="pt", padding=True
    )
    raw = inputs.pop("memory_inputs")
    stored = bank.memory_inputs([hits])
    with torch.no_grad():
        expected, logits = (model(**inputs, memory_inputs=memory).logits for memory in (raw, stored))
        without = model(**inputs).logits
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    assert (without - expected).abs().max() > 1e-2
    answers = [
        model.generate(**inputs, memory_inputs=memory, max_new_tokens=8, do_sample=False) for memory in (raw, stored)
    ]
    assert torch.equal(*answers)


def test_uneven_numbers_of_hits_are_padded_and_masked(bank):
    hits = bank.search(image=make_image(50), k=3)
    memory = bank.memory_inputs([hits, [], hits[1:2]])
    assert memory["memory_embeds"].shape == (3, 3, 8, 64)
    assert memory["item_mask"].tolist() == [[True] * 3, [False] * 3, [True, False, False]]
    assert torch.equal(memory["memory_embeds"][0], bank.memory_inputs([hits])["memory_embeds"][0])
    assert torch.equal(memory["memory_embeds"][2, 0], memory["memory_embeds"][0, 1])
    assert not memory["memory_embeds"][~memory["item_mask"]].any()


def test_a_batch_without_any_hit_runs_as_without_memory(bank, model, tiny_processor):
    inputs = tiny_processor(text=[PROMPT], images=[make_image(1)], return_tensors="pt")
    memory = bank.memory_inputs([[]])
    assert memory["memory_embeds"].shape == (1, 0, 8, 64)
    with torch.no_grad():
        assert torch.equal(model(**inputs, memory_inputs=memory).logits, model(**inputs).logits)


def test_no_samples_at_all_are_refused(bank):
    with pytest.raises(ValueError, match="`hits` must have one list per sample, got none"):
        bank.memory_inputs([])


def test_a_flat_list_of_hits_is_refused(bank):
    with pytest.raises(ValueError, match=r"one list of hits per sample: `memory_inputs\(\[hits\]\)`"):
        bank.memory_inputs(bank.search(image=make_image(0)))


def test_stored_vectors_that_are_not_finite_are_refused_by_item(copy):
    bank = MemoryBank.from_pretrained(copy)
    vectors = bank.memory_inputs([bank.ids[3:6]])["memory_embeds"][0]
    vectors[1, 2, 3] = float("nan")
    write_memory(copy / memory_name(1), vectors, "float32")
    config = BankConfig.load(copy)
    config.files[memory_name(1)] = file_entry(copy / memory_name(1))
    config.save(copy)
    bank = MemoryBank.from_pretrained(copy)
    assert bank.memory_inputs([[bank.ids[3]]])["memory_embeds"].isfinite().all()
    with pytest.raises(ValueError, match=r"Bank item 'item-4' \(row 4\) has stored vectors that are not finite"):
        bank.memory_inputs([bank.ids])
