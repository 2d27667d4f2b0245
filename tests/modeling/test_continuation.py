"""A text whose memory is in a key-value cache goes on as if it had been read at once."""

import pytest
import torch


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

    cache = model(**inputs, use_cache=True).past_key_values
    model(**make_inputs((1,), rows=[0]))  # another picture in between, with memory and without
    model(**make_inputs((None,), rows=[0]))
    logits = []
    for end in range(step, 6, step):
        mask = torch.cat([inputs["attention_mask"], ones[:, :end]], dim=1) if with_mask else None
        chunk = new[:, end - step : end]
        logits.append(model(input_ids=chunk, attention_mask=mask, past_key_values=cache, use_cache=True).logits)
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
        output = model(input_ids=token[None, None], past_key_values=output.past_key_values, use_cache=True)
    torch.testing.assert_close(torch.stack(logits), torch.stack(expected.logits), atol=1e-4, rtol=0)


@torch.no_grad()
def test_going_on_with_what_does_not_fit_is_refused(model, make_inputs):
    inputs = make_inputs((1,))
    cache, new = model(**inputs, use_cache=True).past_key_values, torch.tensor([[70]])
    for mask, tokens in ((torch.ones(1, 3, dtype=torch.long), new), (None, new.expand(2, 1))):
        with pytest.raises(ValueError, match="hold memory for 1 prompts: to go on, `attention_mask` must have shape"):
            model(input_ids=tokens, attention_mask=mask, past_key_values=cache)
    with pytest.raises(ValueError, match="Pictures after memory in `past_key_values` need `position_ids`"):
        model(input_ids=new, past_key_values=cache, pixel_values=inputs["pixel_values"])
    with pytest.raises(ValueError, match="`generate` cannot continue `past_key_values` with memory in them"):
        model.generate(torch.cat([inputs["input_ids"], new], dim=1), past_key_values=cache, max_new_tokens=2)
