"""A sample gets what it gets alone, whatever it shares its batch with and in whichever form its memory comes."""

import pytest
import torch

from comem_hf import CoMemForConditionalGeneration, MemoryItem
from comem_hf.modeling import MemoryInputs
from comem_hf.modeling.resampler_comem import SHARPNESS
from tests.conftest import make_backbone, make_image
from tests.modeling.conftest import make_items


COUNTS = (0, 1, 3)


@pytest.fixture
def model(tiny_model):
    """The session's model, its per-call settings put back after each test."""
    yield tiny_model
    tiny_model.config.memory_order, tiny_model.config.query_vision = "given", "backbone"


def rows_alone(make_inputs):
    for row in range(len(COUNTS)):
        yield row, make_inputs(COUNTS, rows=[row])


@torch.no_grad()
@pytest.mark.parametrize("memory_order", ["given", "reversed"])
@pytest.mark.parametrize("query_vision", ["backbone", "encoder"])
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_batch_with_uneven_memories_matches_single_samples(
    model, make_inputs, memory_order, query_vision, padding_side
):
    model.config.memory_order, model.config.query_vision = memory_order, query_vision
    inputs = make_inputs(COUNTS, padding_side=padding_side)
    assert (inputs["attention_mask"] == 0).any(), "the prompts should be padded"
    logits = model(**inputs).logits
    assert logits.shape[:2] == inputs["input_ids"].shape
    for row, alone in rows_alone(make_inputs):
        in_batch = logits[row][inputs["attention_mask"][row].bool()]
        torch.testing.assert_close(in_batch, model(**alone).logits[0], atol=1e-4, rtol=0)


def test_greedy_answers_of_an_uneven_batch_match_single_samples(model, make_inputs):
    settings = {"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False}
    answers = model.generate(**make_inputs(COUNTS), **settings)[:, -8:]
    for row, alone in rows_alone(make_inputs):
        assert model.generate(**alone, **settings)[0, -8:].tolist() == answers[row].tolist()


@torch.no_grad()
@pytest.mark.parametrize("memory_order", ["given", "reversed"])
def test_raw_items_and_stored_vectors_give_the_same(model, make_inputs, memory_order):
    model.config.memory_order = memory_order
    inputs = make_inputs((2, 2))
    expected = model(**inputs).logits
    vectors = model.encode_memory(inputs["memory_inputs"])
    assert vectors.shape == (4, model.config.num_memory_tokens, model.config.hidden_size)
    stored = vectors.unflatten(0, (2, 2))
    mask = torch.ones(2, 2, dtype=torch.bool)
    for form in (stored, {"memory_embeds": stored}, {"memory_embeds": stored, "item_mask": mask}):
        torch.testing.assert_close(model(**{**inputs, "memory_inputs": form}).logits, expected, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("memory_order", ["given", "reversed"])
def test_the_first_vectors_are_a_memory_too_and_each_prompt_may_have_its_own_number(model, make_inputs, memory_order):
    model.config.memory_order = memory_order
    inputs, lengths = make_inputs((2, 1), rows=[0, 0]), (1, 3)
    vectors = model.encode_memory(inputs["memory_inputs"], num_memory_tokens=3)
    assert torch.equal(vectors, model.encode_memory(inputs["memory_inputs"])[:, :3])
    together = {**inputs, "memory_inputs": {**inputs["memory_inputs"], "num_memory_tokens": torch.tensor(lengths)}}
    logits = model(**together).logits
    answers = model.generate(**together, max_new_tokens=3, min_new_tokens=3, do_sample=False)
    for row, (length, items) in enumerate(zip(lengths, (vectors[:2], vectors[2:]), strict=True)):
        alone = make_inputs((len(items),), rows=[0])
        stored = items[None, :, :length]
        for memory in (stored, {"memory_embeds": items[None], "num_memory_tokens": length}):
            expected = model(**{**alone, "memory_inputs": memory})
            torch.testing.assert_close(logits[row], expected.logits[0], atol=1e-4, rtol=0)
        alone["memory_inputs"] = stored
        answer = model.generate(**alone, max_new_tokens=3, min_new_tokens=3, do_sample=False)
        assert torch.equal(answers[row], answer[0])
    for wrong in (0, 9, True):
        with pytest.raises(ValueError, match=f"`num_memory_tokens` must be a number from 1 to 8, .* got {wrong}"):
            model.encode_memory(inputs["memory_inputs"], num_memory_tokens=wrong)


@torch.no_grad()
@pytest.mark.parametrize("filling", [1e3, torch.nan, torch.inf])
def test_masked_items_leave_no_trace(model, make_inputs, filling):
    inputs = make_inputs((2, 1))
    expected = model(**inputs).logits
    vectors = model.encode_memory(inputs["memory_inputs"])
    stored = torch.stack([vectors[:2], torch.stack([vectors[2], torch.full_like(vectors[2], filling)])])
    memory = {"memory_embeds": stored, "item_mask": torch.tensor([[True, True], [True, False]])}
    torch.testing.assert_close(model(**{**inputs, "memory_inputs": memory}).logits, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_an_item_gets_the_same_vectors_in_any_company(model, tiny_processor, make_inputs):
    items = make_inputs((3,))["memory_inputs"]
    assert (items["attention_mask"] == 0).any(), "the items should be padded"
    together = model.encode_memory(items)
    for vectors, item in zip(together, make_items(3), strict=True):
        alone = model.encode_memory(tiny_processor.process_memories([[item]]))[0]
        assert (alone - vectors).norm() < 1e-5 * vectors.norm()


@torch.no_grad()
def test_a_new_encoder_tells_items_and_places_apart(family, make_inputs):
    model = CoMemForConditionalGeneration.from_backbone(make_backbone(family))
    vectors = model.encode_memory(make_inputs((3,))["memory_inputs"])
    size = vectors.pow(2).mean().sqrt()
    between_items = (vectors - vectors.mean(0)).pow(2).mean().sqrt() / size
    between_places = (vectors - vectors.mean(1, keepdim=True)).pow(2).mean().sqrt() / size
    assert between_items > 0.2
    assert between_places > 0.2


@torch.no_grad()
def test_a_new_resampler_reads_sharply(family):
    resampler = CoMemForConditionalGeneration.from_backbone(make_backbone(family)).memory_encoder.resampler
    assert abs(resampler.queries.weight.std() - 1) < 0.1
    attention = resampler.layers[0].attention
    states = torch.nn.functional.layer_norm(torch.randn(1, 500, resampler.queries.embedding_dim), [64])
    keys, _ = attention.read(states)
    logits = attention._split_heads(attention.to_query(states)) @ keys.mT / attention.head_dim**0.5
    assert abs(logits.std() - SHARPNESS) < 0.25 * SHARPNESS


@torch.no_grad()
def test_the_order_of_items_is_read_at_every_call(model, make_inputs):
    inputs = make_inputs((3,))
    given = model(**inputs).logits
    model.config.memory_order = "reversed"
    turned = model(**inputs).logits
    assert not torch.allclose(given, turned, atol=1e-3)
    stored = model.encode_memory(inputs["memory_inputs"])[None].flip(1)
    torch.testing.assert_close(model(**{**inputs, "memory_inputs": stored}).logits, given, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "good"), [("memory_order", "given"), ("query_vision", "backbone")])
def test_a_wrong_setting_on_a_loaded_model_is_refused_where_it_is_read(model, make_inputs, name, good):
    setattr(model.config, name, "backwards")
    with pytest.raises(ValueError, match=f"`{name}` must be one of .*'{good}'.* got 'backwards'"):
        model(**make_inputs((1,)))
    with pytest.raises(ValueError, match=f"`{name}` must be one of .*'{good}'.* got 'backwards'"):
        model.generate(**make_inputs((1,)), max_new_tokens=2)


@torch.no_grad()
def test_item_counts_and_token_types_may_be_left_out(model, make_inputs):
    inputs = make_inputs((2,))
    expected = model(**inputs).logits
    memory = {k: v for k, v in inputs["memory_inputs"].items() if k not in ("item_counts", "mm_token_type_ids")}
    inputs = {k: v for k, v in inputs.items() if k not in ("mm_token_type_ids", "attention_mask", "memory_inputs")}
    torch.testing.assert_close(model(**inputs, memory_inputs=memory).logits, expected, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("keep", [1, 4, 1000, torch.tensor([0, 2, -1])])
def test_logits_to_keep_counts_over_the_prompt(model, make_inputs, keep):
    inputs = make_inputs((2,))
    everything = model(**inputs).logits
    expected = everything[:, keep if isinstance(keep, torch.Tensor) else slice(-keep, None)]
    torch.testing.assert_close(model(**inputs, logits_to_keep=keep).logits, expected)


@torch.no_grad()
@pytest.mark.parametrize("counts", [(2, 1), (None, None)])
def test_a_mask_keeps_other_positions_of_each_row(model, make_inputs, counts):
    inputs = make_inputs(counts)
    mask = torch.zeros_like(inputs["input_ids"], dtype=torch.bool)
    mask[0, -1] = mask[1, 2:5] = True
    labels = inputs["input_ids"].masked_fill(~mask.roll(1, dims=1), -100)
    labels[:, 0] = -100
    everything, chosen = model(**inputs, labels=labels), model(**inputs, labels=labels, logits_to_keep=mask)
    torch.testing.assert_close(chosen.logits, everything.logits[mask])
    torch.testing.assert_close(chosen.loss, everything.loss, atol=1e-6, rtol=0)
    assert model(**inputs, logits_to_keep=~mask & mask).logits.shape == (0, everything.logits.shape[-1])


def test_items_that_several_prompts_share_are_encoded_once(model, make_inputs, tiny_processor):
    inputs, items = make_inputs((2, 2)), make_items(2)
    again = MemoryItem(image=items[0].image.copy(), text=items[0].text)  # the same picture, read a second time
    other = MemoryItem(image=make_image(7, items[0].image.size), text=items[0].text)
    memories = [[items[0], items[1]], [other, again]]
    each, once = (tiny_processor.process_memories(memories, once=once) for once in (False, True))
    assert each["input_ids"].shape[0] == 4 and "item_index" not in each
    assert once["input_ids"].shape[0] == 3 and once["item_index"].tolist() == [0, 1, 2, 0]
    assert "item_index" not in tiny_processor.process_memories([items, [other]], once=True)
    torch.testing.assert_close(model.encode_memory(once), model.encode_memory(each), atol=1e-5, rtol=0)
    gradients = []
    for memory in (each, once):
        model.zero_grad()
        inputs["memory_inputs"] = memory
        model(**inputs, labels=inputs["input_ids"]).loss.backward()
        gradients.append(model.memory_encoder.resampler.queries.weight.grad.clone())
    model.zero_grad()
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-4)
    for wrong, message in (([0, 1, 3, 0], "name the 3 memory items"), ([0.0], "be a list of integers")):
        inputs["memory_inputs"] = {**once, "item_index": torch.tensor(wrong)}
        with pytest.raises(ValueError, match=f"`item_index` must {message}"):
            model(**inputs)


def test_memory_follows_a_batch_to_another_dtype(make_inputs):
    inputs = make_inputs((2,)).to(torch.bfloat16)
    assert inputs["memory_inputs"]["pixel_values"].dtype == torch.bfloat16
    assert inputs["memory_inputs"]["input_ids"].dtype == torch.long
    assert isinstance(inputs["memory_inputs"], MemoryInputs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda memory: {**memory, "item_index": [0, 1]},
            r"add up to the 2 memory items in `item_index`, got \[2, 1\]",
        ),
        (lambda memory: {**memory, "item_counts": torch.tensor([1, 5])}, r"add up to the 3 memory items .* \[1, 5\]"),
        (lambda memory: {**memory, "item_counts": torch.tensor([3])}, "must be 2 counts, one per prompt"),
        (lambda memory: {**memory, "item_counts": [2.0, 1.0]}, r"`item_counts` must be integers, got \[2.0, 1.0\]"),
        (lambda memory: {**memory, "item_counts": torch.tensor([4, -1])}, "`item_counts` must be"),
        (lambda memory: {k: v for k, v in memory.items() if k != "item_counts"}, "`item_counts` is needed to share 3"),
        (lambda memory: {"pixel_values": memory["pixel_values"]}, "must hold `input_ids` .* or `memory_embeds`"),
        (lambda memory: torch.zeros(2, 1, 8, 32), "hidden 64.*made by another memory encoder"),
        (lambda memory: torch.zeros(2, 1, 9, 64), "memory tokens 8.*made by another memory encoder"),
        (lambda memory: torch.zeros(3, 1, 8, 64), r"batch 2.*got \(3, 1, 8, 64\)"),
        (lambda memory: torch.zeros(2, 8, 64), r"got \(2, 8, 64\)"),
        (lambda memory: torch.full((2, 1, 8, 64), torch.nan), "`memory_embeds` must be finite"),
        (lambda memory: torch.full((2, 1, 8, 64), torch.inf), "`memory_embeds` must be finite"),
        (lambda memory: {"memory_embeds": [[[0.0]]]}, "`memory_embeds` must be a tensor, got list"),
        (lambda memory: {k: v for k, v in memory.items() if k != "attention_mask"}, "must hold `attention_mask` too"),
        (
            lambda memory: {k: v for k, v in memory.items() if k != "image_grid_thw"},
            "`pixel_values` and `image_grid_thw` of items belong together",
        ),
        (lambda memory: {**memory, "num_memory_tokens": 9}, "`num_memory_tokens` .* from 1 to 8, .* got 9"),
        (lambda memory: {**memory, "num_memory_tokens": [2, 0]}, r"2 of them, one per prompt, got \[2, 0\]"),
        (lambda memory: "bank", "must be the processor's or a bank's mapping, .* got str"),
        (
            lambda memory: {"memory_embeds": torch.zeros(2, 1, 8, 64), "item_mask": torch.ones(2, 3)},
            r"`item_mask` must have shape \(2, 1\), got \(2, 3\)",
        ),
    ],
)
def test_memory_that_does_not_fit_is_refused(model, make_inputs, change, message):
    inputs = make_inputs((2, 1))
    inputs["memory_inputs"] = change(dict(inputs["memory_inputs"]))
    with pytest.raises(ValueError, match=message):
        model(**inputs)
    with pytest.raises(ValueError, match=message):
        model.generate(**inputs, max_new_tokens=2)


def test_positions_beside_memory_are_refused(model, make_inputs):
    with pytest.raises(ValueError, match="`position_ids` cannot be combined with memory"):
        model(**make_inputs((1,)), position_ids=torch.zeros(1))


@pytest.mark.parametrize("name", ["position_ids", "inputs_embeds"])
def test_generating_with_memory_wants_ids_alone(model, make_inputs, name):
    with pytest.raises(ValueError, match=f"`{name}` cannot be combined with memory"):
        model.generate(**make_inputs((1,)), **{name: torch.zeros(1)}, max_new_tokens=2)


def test_memory_with_no_prompt_or_two_is_refused(model, make_inputs):
    inputs = make_inputs((1,))
    with pytest.raises(ValueError, match="Exactly one of `input_ids` and `inputs_embeds`"):
        model(memory_inputs=inputs["memory_inputs"])
    with pytest.raises(ValueError, match="Exactly one of `input_ids` and `inputs_embeds`"):
        model(**inputs, inputs_embeds=torch.zeros(1, 2, 64))


@torch.no_grad()
@pytest.mark.parametrize("with_image", [True, False])
def test_an_embedded_prompt_gives_the_same_logits(model, make_inputs, with_image):
    inputs = make_inputs(COUNTS, with_image=with_image)
    expected = model(**inputs, logits_to_keep=3).logits
    input_ids = inputs.pop("input_ids")
    del inputs["mm_token_type_ids"]
    inputs["inputs_embeds"] = model.get_input_embeddings()(input_ids)
    assert torch.equal(model(**inputs, logits_to_keep=3).logits, expected)


def test_what_is_no_item_cannot_be_encoded(model, make_inputs):
    with pytest.raises(ValueError, match="must be the processor's mapping of raw items, got Tensor"):
        model.encode_memory(torch.zeros(1, 1, 8, 64))
    with pytest.raises(ValueError, match=r"must hold `attention_mask` too, got \['input_ids'\]"):
        model.encode_memory({"input_ids": torch.zeros(1, 3, dtype=torch.long)})
