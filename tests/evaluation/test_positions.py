"""The positions that a question takes."""

from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from comem_hf import MemoryItem
from comem_hf.answering import count_positions, question_inputs, refuse_too_long
from comem_hf.modeling.query_pictures_comem import position_limit
from tests.conftest import make_image, make_model


SLOTS = {"num_slots": 64, "projector_hidden": 8, "vision_adapter_rank": 2}
MODELS = {
    "input": {},
    "slots of items": {"ffn_memory_config": {**SLOTS, "source": "memory"}},
    "input and slots of pictures": {"ffn_memory_config": SLOTS},
    "input and tower": {"vision_memory_config": {}},
    "slots of pictures alone": {"num_memory_tokens": 0, "ffn_memory_config": SLOTS},
    "text-only reader": {"reader_prompt": "whole"},
    "text-only reader after the picture": {"reader_prompt": "after_vision"},
}
READER = {
    "vocab_size": 272,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


def make_place(place: str):
    reader = {"reader": LlamaForCausalLM(LlamaConfig(**READER))} if "reader" in place else {}
    return make_model(**MODELS[place], **reader)


def inputs_for(model, processor):
    """A question about a picture with two items, and one without either."""
    memory = None
    if model.config.num_memory_tokens:
        memory = processor.process_memories([[MemoryItem(image=make_image(1), text="A."), MemoryItem(text="B.")], []])
        vectors = model.encode_memory(memory)
        memory = {
            "memory_embeds": torch.stack([vectors, torch.zeros_like(vectors)]),
            "item_mask": torch.tensor([[True, True], [False, False]]),
        }
    pictures = [make_image(2, (112, 84)), None]
    return question_inputs(processor, ["What is it?", "Why?"], pictures, memory_inputs=memory)


@torch.no_grad()
@pytest.mark.parametrize("place", MODELS)
def test_positions_are_those_that_the_answering_model_reads(place, tiny_processor):
    model = make_place(place)
    inputs = inputs_for(model, tiny_processor)
    read = []

    def look(backbone, args, kwargs):
        mask = kwargs["attention_mask"]
        read.append(int(mask.sum()))

    answering = model.backbone if model.reader is None else model.reader.language_model
    with answering.register_forward_pre_hook(look, with_kwargs=True):
        model(**inputs)
    assert [count_positions(inputs, model.config)] == read


def test_a_model_has_the_positions_of_its_text_model_or_does_not_say(monkeypatch):
    config = make_model().config
    config.get_text_config().max_position_embeddings = 77
    assert position_limit(config) == 77
    monkeypatch.setattr(config, "get_text_config", SimpleNamespace)  # of a text model without a limit
    assert position_limit(config) is None


def test_only_what_is_in_the_sequence_can_be_too_long(tiny_processor):
    for place, is_refused in (("input", True), ("input and slots of pictures", False)):
        model = make_model(**MODELS[place])
        inputs = question_inputs(tiny_processor, ["Why?"], [make_image(2, (112, 112))])
        model.config.get_text_config().max_position_embeddings = inputs["input_ids"].shape[1] - 1
        if is_refused:
            with pytest.raises(ValueError, match="take [0-9]+ positions, but the model has"):
                refuse_too_long(model, inputs)
        else:
            refuse_too_long(model, inputs)
