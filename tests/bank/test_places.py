"""Banks of models whose memory enters their layers."""

import copy

import pytest
import torch

from comem_hf import CoMemForConditionalGeneration, MemoryBank
from tests.conftest import make_image, make_model


SLOTS = {"num_slots": 24, "projector_hidden": 8, "source": "memory", "scale": 1.0, "value_scale": 1.0}


@pytest.fixture(scope="module")
def slots(model) -> CoMemForConditionalGeneration:
    """The model whose encoder made the bank, with another place for its vectors."""
    changed = copy.deepcopy(model)
    changed.add_ffn_memory(**SLOTS)
    torch.nn.init.normal_(changed.ffn_memory.value_positions.weight)
    changed.add_vision_memory()
    torch.nn.init.normal_(changed.vision_memory.gate.delta_out.weight)
    return changed.eval()


def test_a_bank_goes_with_its_encoder_wherever_the_vectors_enter(slots, model, bank, items, tiny_processor, tmp_path):
    """The bank of a model, used after memory in its layers was added: the same vectors, the same hits."""
    before = MemoryBank.from_pretrained(bank.folder, model=model, processor=tiny_processor)
    after = MemoryBank.from_pretrained(bank.folder, model=slots, processor=tiny_processor)
    pictures = [make_image(seed, (70, 50)) for seed in range(3)]
    found = [[(hit.item.id, hit.score) for hit in row] for row in after.search(image=pictures, k=3)]
    assert found == [[(hit.item.id, hit.score) for hit in row] for row in before.search(image=pictures, k=3)]
    options = {"processor": tiny_processor, "batch_size": 2, "shard_size": 3}
    built = MemoryBank.build(items, model=slots, output_dir=tmp_path / "bank", **options)
    vectors = [each.memory_inputs([[item.id for item in items[:3]]])["memory_embeds"] for each in (before, built)]
    assert torch.equal(*vectors)


def test_a_bank_of_another_encoder_is_refused_and_so_is_one_for_a_trained_encoder(
    slots, other_model, bank, tiny_processor
):
    other = copy.deepcopy(other_model)
    other.add_ffn_memory(**SLOTS)
    trained = copy.deepcopy(slots)
    with torch.no_grad():
        trained.memory_encoder.resampler.queries.weight.add_(1)
    for model in (other, trained):
        with pytest.raises(ValueError, match="does not fit this model: it was made by the memory encoder"):
            MemoryBank.from_pretrained(bank.folder, model=model, processor=tiny_processor)


def test_a_model_without_an_encoder_neither_makes_nor_takes_a_bank(bank, items, tiny_processor, tmp_path):
    model = make_model(num_memory_tokens=0, vision_memory_config={})
    message = "No memory bank fits the model: it has no memory encoder, as its `num_memory_tokens` is 0"
    with pytest.raises(ValueError, match=message):
        MemoryBank.from_pretrained(bank.folder, model=model, processor=tiny_processor)
    with pytest.raises(ValueError, match=message):
        MemoryBank.build(items, model=model, processor=tiny_processor, output_dir=tmp_path / "bank")
    assert not (tmp_path / "bank").exists()
