"""A text whose memory is in a key-value cache goes on as if it had been read at once."""

from contextlib import nullcontext

import pytest
import torch
from transformers import DynamicCache

from comem_hf.modeling.cache_name_comem import CACHE_NAME


def old_name_warns(name: str):
    """As the backbone does: transformers deprecates the old name where it has the new one."""
    deprecated = name == "past_key_values" != CACHE_NAME
    return pytest.warns(FutureWarning, match=f"`{name}` is deprecated") if deprecated else nullcontext()


@pytest.fixture
def model(tiny_model):
    """The session's model, its per-call settings put back after each test."""
    yield tiny_model
    tiny_model.config.decode_position_offset = None


@torch.no_grad()
@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("step", [1, 5])
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_going_on_from_a_cache_gives_what_reading_at_once_gives(model, make_inputs, with_mask, step, padding_side):
    inputs = make_inputs((2, 1), padding_side=padding_side)
    new = torch.tensor([[70, 71, 72, 73, 74], [80, 81, 82, 83, 84]])
    ones = torch.ones_like(new)
    whole = {
        **inputs,
        "input_ids": torch.cat([inputs["input_ids"], new], dim=1),
        "attention_mask": torch.cat([inputs["attention_mask"], ones], dim=1),
        "mm_token_type_ids": torch.cat([inputs["mm_token_type_ids"], 0 * ones], dim=1),
    }
    expected = model(**whole).logits[:, -5:]

    cache = model(**inputs, use_cache=True)[CACHE_NAME]
    model(**make_inputs((1,), rows=[0]))  # another picture in between, with memory and without
    model(**make_inputs((None,), rows=[0]))
    logits = []
    for end in range(step, 6, step):
        mask = torch.cat([inputs["attention_mask"], ones[:, :end]], dim=1) if with_mask else None
        chunk = new[:, end - step : end]
        logits.append(model(input_ids=chunk, attention_mask=mask, cache=cache, use_cache=True).logits)
    torch.testing.assert_close(torch.cat(logits, dim=1), expected, atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("offset", [None, 500])
def test_a_loop_of_ones_own_gives_what_generate_gives(model, make_inputs, offset):
    model.config.decode_position_offset = offset
    inputs = make_inputs((2,))
    settings = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False, "return_dict_in_generate": True}
    expected = model.generate(**inputs, **settings, output_logits=True)
    output, logits = model(**inputs, use_cache=True), []
    for token in expected.sequences[0, -5:]:
        logits.append(output.logits[:, -1])
        output = model(input_ids=token[None, None], cache=output[CACHE_NAME], use_cache=True)
    torch.testing.assert_close(torch.stack(logits), torch.stack(expected.logits), atol=1e-4, rtol=0)


@torch.no_grad()
def test_going_on_with_what_does_not_fit_is_refused(model, make_inputs):
    inputs = make_inputs((1,))
    cache, new = model(**inputs, use_cache=True)[CACHE_NAME], torch.tensor([[70]])
    for mask, tokens in ((torch.ones(1, 3, dtype=torch.long), new), (None, new.expand(2, 1))):
        with pytest.raises(ValueError, match="holds memory for 1 prompts: to go on, `attention_mask` must have shape"):
            model(input_ids=tokens, attention_mask=mask, cache=cache)
    with pytest.raises(ValueError, match=f"Pictures after memory in `{CACHE_NAME}` need `position_ids`"):
        model(input_ids=new, cache=cache, pixel_values=inputs["pixel_values"])
    with pytest.raises(ValueError, match=f"`generate` cannot continue `{CACHE_NAME}` with memory in it"):
        model.generate(torch.cat([inputs["input_ids"], new], dim=1), **{CACHE_NAME: cache}, max_new_tokens=2)


@torch.no_grad()
def test_a_cache_is_taken_by_its_old_and_its_new_name_with_any_version_of_transformers(model, make_inputs):
    inputs, new = make_inputs((1,)), torch.tensor([[70, 71]])
    logits = []
    for name in ("cache", "past_key_values"):
        cache = model(**inputs, use_cache=True)[CACHE_NAME]
        with old_name_warns(name):
            logits.append(model(input_ids=new, use_cache=True, **{name: cache}).logits)
    cache = model(**inputs, use_cache=True)[CACHE_NAME]
    logits.append(model(new, None, None, cache).logits)  # by its place, as the backbone takes it
    assert torch.equal(logits[0], logits[1])
    assert torch.equal(logits[0], logits[2])
    with pytest.raises(ValueError, match="two names of one argument"):
        model(input_ids=new, cache=cache, past_key_values=DynamicCache())


@torch.no_grad()
@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_memory_in_front_of_a_text_that_is_in_a_cache_is_refused(model, make_inputs, name):
    for counts in ((1,), (None,)):  # a cache that holds memory, and one that does not
        cache = model(**make_inputs(counts), use_cache=True)[CACHE_NAME]
        inputs = make_inputs((1,))
        for call in (model, model.generate):
            message = f"`{CACHE_NAME}` already holds {cache.get_seq_length()} positions"
            with old_name_warns(name), pytest.raises(ValueError, match=message):
                call(**inputs, **{name: cache})


@pytest.mark.parametrize("counts", [(2,), (None,)])
@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_generate_fills_a_cache_given_by_either_name(model, make_inputs, counts, name):
    inputs, cache = make_inputs(counts), DynamicCache(config=model.config.get_text_config())
    with old_name_warns(name):
        model.generate(**inputs, **{name: cache}, max_new_tokens=2, min_new_tokens=2, do_sample=False)
    memory = 8 * (counts[0] or 0)
    assert cache.get_seq_length() == memory + inputs["input_ids"].shape[1] + 1
