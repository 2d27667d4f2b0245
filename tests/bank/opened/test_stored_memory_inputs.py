"""From hits to the model's `memory_inputs`."""

import pytest
import torch

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.format.file_names import memory_name
from comem_hf.bank.format.vectors import write_memory
from comem_hf.files.whole_file import file_entry
from comem_hf.modeling import MemoryImageTextToTextPipeline
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


def test_a_bank_of_fewer_vectors_is_the_beginning_of_the_whole_one_and_fits_the_same_model(
    build, bank, items, model, tiny_processor, tmp_path
):
    with pytest.raises(ValueError, match="`num_memory_tokens` must be a number from 1 to 8, .* got 9"):
        build(items, output_dir=tmp_path / "bank", num_memory_tokens=9)
    short = build(items[:6], output_dir=tmp_path / "bank", num_memory_tokens=3)
    assert short.add(items[6:]) == [] and short.verify()["model"]
    assert (short.config.num_memory_tokens, len(short)) == (3, 7)
    assert short.config.memory_fingerprint == bank.config.memory_fingerprint == model.memory_fingerprint()
    found, whole = (one.memory_inputs([bank.ids])["memory_embeds"] for one in (short, bank))
    assert found.shape == (1, 7, 3, 64)
    torch.testing.assert_close(found, whole[:, :, :3])
    two = bank.memory_inputs([bank.ids[:2], bank.ids[:1]], num_memory_tokens=2)
    assert torch.equal(two["memory_embeds"][0], whole[0, :2, :2])
    inputs = tiny_processor(text=[PROMPT], images=[make_image(1)], return_tensors="pt")
    answers = [
        model.generate(**inputs, memory_inputs=memory, max_new_tokens=4, do_sample=False)
        for memory in (short.memory_inputs([bank.ids[:2]]), bank.memory_inputs([bank.ids[:2]], num_memory_tokens=3))
    ]
    assert torch.equal(*answers)
    ask = MemoryImageTextToTextPipeline(model, tiny_processor, memory_bank=bank, top_k=2, max_new_tokens=4)
    question = {"images": make_image(1), "text": "What is it?"}
    by_two, of_two = ask(**question, num_memory_tokens=2, explain=True), ask(**question, num_memory_tokens=2)
    assert [answer["generated_text"] for answer in by_two] == [answer["generated_text"] for answer in of_two]
    for memory, most in ((short, 3), (bank, 8)):
        with pytest.raises(ValueError, match=f"`num_memory_tokens` must be a number from 1 to {most}"):
            memory.memory_inputs([bank.ids[:1]], num_memory_tokens=most + 1)


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
