"""Which item decided: log-probabilities of an answer with all items and without each."""

import pytest
import torch

from comem_hf.modeling.cache_name_comem import CACHE_NAME
from comem_hf.modeling.explanation_comem import LEAST_INFLUENCE, as_stored, item_influences, shares_of
from tests.conftest import NUM_BYTES, TOKEN_IDS, make_model
from tests.modeling.test_memory_sites import make
from tests.modeling.test_reader import alone, make_reading_model


COUNTS = (2, 0, 3, 1)
SETTINGS = {"max_new_tokens": 5, "do_sample": False, "suppress_tokens": list(range(NUM_BYTES, 272))}
END = TOKEN_IDS["<|im_end|>"]
MODELS = {
    "given": lambda: make_model(),
    "reversed": lambda: make_model("qwen2_5_vl", memory_order="reversed"),
    "published decoding": lambda: make_model(memory_order="reversed", decode_position_offset=3),
    "encoder's pictures": lambda: make_model("qwen2_5_vl", query_vision="encoder", encoder="separate"),
    "items in layers": lambda: make("qwen2_vl", "ffn memory"),
    "pictures in layers": lambda: make("qwen2_5_vl", "input + ffn"),
    "memory in the tower": lambda: make("qwen2_vl", "input + vision"),
    "reader": lambda: make_reading_model(),
    "published reader": lambda: make_reading_model("published", "qwen2_5_vl", reader_prompt="after_vision"),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return MODELS[request.param]()


@torch.no_grad()
def log_prob(model, prompt: dict, items: torch.Tensor, answer: torch.Tensor) -> float:
    """Of an answer to a prompt alone with the items of a row: the prompt is read, and then token after token."""
    output = model(**prompt, memory_inputs=items, use_cache=True)
    total = 0.0
    for token in answer:
        total += output.logits[0, -1].log_softmax(dim=-1)[token].item()
        output = model(token[None, None], **{CACHE_NAME: output[CACHE_NAME]})
    return total


def reference(model, inputs, row: int, items: torch.Tensor, answer: torch.Tensor) -> list[float]:
    prompt = alone(inputs, row)
    whole = log_prob(model, prompt, items, answer)
    others = [torch.cat([items[:, :n], items[:, n + 1 :]], dim=1) for n in range(items.shape[1])]
    return [whole - log_prob(model, prompt, rest, answer) for rest in others]


def test_influences_are_differences_of_passes_with_and_without_an_item(model, make_inputs):
    inputs = make_inputs(COUNTS)
    sequences = model.generate(**inputs, **SETTINGS)
    found = item_influences(model, inputs, sequences)
    assert found.shape == (4, 3) and found.dtype == torch.float32
    stored = as_stored(model, inputs["memory_inputs"], 4)
    assert torch.equal(model.generate(**{**inputs, "memory_inputs": stored}, **SETTINGS), sequences)
    for row, count in enumerate(COUNTS):
        answer = sequences[row, inputs["input_ids"].shape[1] :]
        expected = reference(model, inputs, row, stored["memory_embeds"][row : row + 1, :count], answer)
        torch.testing.assert_close(found[row, :count], torch.tensor(expected), rtol=1e-5, atol=1e-5)
        assert not found[row, count:].any()
    assert found.abs().max() > 0.1


def test_batches_of_rows_and_of_prompts_and_the_form_of_the_memory_change_nothing(model, make_inputs):
    inputs = make_inputs(COUNTS)
    sequences = model.generate(**inputs, **SETTINGS)
    together = item_influences(model, inputs, sequences)
    close = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(item_influences(model, inputs, sequences, batch_size=1), together, **close)
    stored = as_stored(model, inputs["memory_inputs"], 4)
    torch.testing.assert_close(
        item_influences(model, {**inputs, "memory_inputs": stored}, sequences), together, **close
    )
    for row, count in enumerate(COUNTS):
        single = make_inputs(COUNTS, rows=[row])
        tokens = sequences[row : row + 1, -single["input_ids"].shape[1] - 5 :]
        torch.testing.assert_close(item_influences(model, single, tokens)[0], together[row, :count], **close)


def test_inputs_that_are_none_are_as_good_as_absent_ones(make_inputs):
    model, inputs = make_model(), make_inputs(COUNTS)
    names = ("attention_mask", "mm_token_type_ids", "second_per_grid_ts")
    absent = {name: value for name, value in inputs.items() if name not in names}
    given = {**absent, **dict.fromkeys(names)}
    sequences = model.generate(**given, **SETTINGS)
    assert torch.equal(item_influences(model, given, sequences), item_influences(model, absent, sequences))
    whole = {**inputs, "attention_mask": None}  # the processor's padding is found again
    expected = item_influences(model, inputs, sequences)
    assert expected.any() and torch.equal(item_influences(model, whole, sequences), expected)


def test_a_single_item_is_compared_with_the_backbone_alone(make_inputs):
    model, inputs = make_model(), make_inputs((1,))
    sequences = model.generate(**inputs, **SETTINGS)
    memory, length = inputs.pop("memory_inputs"), inputs["input_ids"].shape[1]
    inputs["mm_token_type_ids"] = torch.nn.functional.pad(inputs["mm_token_type_ids"], (0, 5))
    read = {**inputs, "input_ids": sequences, "attention_mask": torch.ones_like(sequences)}
    with torch.no_grad():
        both = [model(**read, memory_inputs=memory).logits, model.backbone(**read).logits]
    with_item, without = (
        out[0, length - 1 : -1].log_softmax(-1).gather(1, sequences[0, length:, None]).sum() for out in both
    )
    found = item_influences(model, make_inputs((1,)), sequences)
    torch.testing.assert_close(found, (with_item - without)[None, None], rtol=1e-5, atol=1e-5)


def test_answers_end_where_they_ended_and_several_answers_follow_one_another(make_inputs):
    model, inputs = make_model(), make_inputs((2, 3))
    length = inputs["input_ids"].shape[1]
    beams = model.generate(**inputs, **SETTINGS, num_beams=3, num_return_sequences=2)
    found = item_influences(model, inputs, beams)
    assert found.shape == (4, 3)
    for row, prompt in enumerate((0, 0, 1, 1)):
        single, own = make_inputs((2, 3), rows=[prompt]), beams[row : row + 1]
        own = own[:, length - single["input_ids"].shape[1] :]
        torch.testing.assert_close(
            item_influences(model, single, own)[0], found[row, : 2 + prompt], rtol=1e-5, atol=1e-5
        )
    ended = beams[[0, 2]].clone()
    ended[:, length + 2] = END
    cut = item_influences(model, inputs, ended[:, : length + 3])
    assert torch.equal(item_influences(model, inputs, ended), cut)  # what follows the end is padding
    assert not torch.equal(item_influences(model, inputs, ended, eos_token_id=[]), cut)
    stopped = ended.clone()
    stopped[:, length + 2 :] = TOKEN_IDS["<|endoftext|>"]  # as after a stop string
    assert torch.equal(item_influences(model, inputs, stopped), item_influences(model, inputs, ended[:, : length + 2]))
    assert not item_influences(model, inputs, ended[:, :length]).any()  # no answer at all


def test_log_probabilities_are_in_float32_in_half_precision(make_inputs):
    model, inputs = make_model().to(torch.bfloat16), make_inputs((3,))
    found = item_influences(model, inputs, model.generate(**inputs, **SETTINGS))
    assert found.dtype == torch.float32 and found.isfinite().all()
    assert not torch.equal(found, found.bfloat16().float())


def test_pictures_go_through_the_vision_tower_once_and_items_through_the_encoder_once(make_inputs, monkeypatch):
    model, inputs = make_model(), make_inputs((3, 2))
    sequences, seen, encoded = model.generate(**inputs, **SETTINGS), [], []
    tower, encoder = model.backbone.model.get_image_features, model.encode_memory
    monkeypatch.setattr(
        model.backbone.model,
        "get_image_features",
        lambda pixels, grid, **kwargs: seen.append(len(grid)) or tower(pixels, grid, **kwargs),
    )
    monkeypatch.setattr(model, "encode_memory", lambda memory: encoded.append(1) or encoder(memory))
    item_influences(model, inputs, sequences)
    assert (seen, encoded) == ([1, 1], [1])


def test_shares_are_the_positive_parts_in_proportion():
    influences = torch.tensor([[3.0, 1.0, -5.0], [-1.0, LEAST_INFLUENCE, 0.0], [0.0, 0.2, 0.0]])
    expected = torch.tensor([[0.75, 0.25, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    torch.testing.assert_close(shares_of(influences), expected)
    assert shares_of(torch.zeros(2, 0)).shape == (2, 0)


def test_what_cannot_be_explained_is_refused_in_a_sentence(make_inputs):
    model, inputs = make_model(), make_inputs((2, 1))
    sequences = model.generate(**inputs, **SETTINGS)
    without = {name: value for name, value in inputs.items() if name != "memory_inputs"}
    for given, message in (
        (without, "`input_ids` and `memory_inputs` among it.*got \\['attention_mask'"),
        ({**inputs, "position_ids": inputs["input_ids"]}, "no other inputs than .*'position_ids'"),
    ):
        with pytest.raises(ValueError, match=message):
            item_influences(model, given, sequences)
    for wrong in (sequences[:1], sequences[:0], sequences[:, -5:]):
        with pytest.raises(ValueError, match="`sequences` must be what `generate` returned for these 2 prompts"):
            item_influences(model, inputs, wrong)
