"""Padding with memory: found where no mask is given, reported where it is on the wrong side, as by the backbone."""

import logging

import pytest
import torch
import transformers

from tests.conftest import TOKEN_IDS, make_model


PAD, END = TOKEN_IDS["<|endoftext|>"], TOKEN_IDS["<|im_end|>"]
SETTINGS = {"max_new_tokens": 3, "min_new_tokens": 3, "do_sample": False}
SETTINGS |= {"return_dict_in_generate": True, "output_logits": True}
RIGHT_PADDING = "right-padding was detected"


@pytest.fixture
def log():
    """Messages that transformers and the model log as warnings."""
    messages = []
    handler = logging.Handler(level=logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    loggers = [logging.getLogger(name) for name in ("transformers", "comem_hf")]
    for logger in loggers:
        logger.addHandler(handler)
    yield messages
    for logger in loggers:
        logger.removeHandler(handler)


@pytest.fixture
def stops_at_padding(family):
    """A model whose padding token also ends answers, as in the published generation settings of Qwen2-VL."""
    model = make_model(family)
    model.generation_config.eos_token_id = [END, PAD]
    return model


@torch.no_grad()
@pytest.mark.parametrize("with_image", [True, False])
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_padding_is_found_where_no_mask_is_given(tiny_model, make_inputs, with_image, padding_side):
    masked = make_inputs((2, 0, 1), with_image=with_image, padding_side=padding_side)
    bare = {name: value for name, value in masked.items() if name != "attention_mask"}
    assert (masked["attention_mask"] == 0).any()
    assert torch.equal(tiny_model(**bare).logits, tiny_model(**masked).logits)
    if padding_side == "left":
        for call in (tiny_model.generate, tiny_model.backbone.generate):  # with memory, and as the backbone does it
            takes = {} if call == tiny_model.generate else {"memory_inputs"}
            actual, expected = (
                call(**{name: value for name, value in inputs.items() if name not in takes}, **SETTINGS)
                for inputs in (bare, masked)
            )
            assert torch.equal(actual.sequences, expected.sequences)
            torch.testing.assert_close(torch.stack(actual.logits), torch.stack(expected.logits))


@torch.no_grad()
def test_a_prompt_in_a_batch_without_a_mask_is_read_as_alone(tiny_model, make_inputs):
    batch = make_inputs((2, 1), with_image=False)
    del batch["attention_mask"]
    logits = tiny_model(**batch).logits
    for row in range(2):
        alone = make_inputs((2, 1), with_image=False, rows=[row])
        expected = tiny_model(**alone).logits[0]
        torch.testing.assert_close(logits[row, -len(expected) :], expected, atol=1e-4, rtol=0)


@torch.no_grad()
def test_padding_that_cannot_be_told_from_text_is_warned_of_as_by_the_backbone(stops_at_padding, make_inputs, log):
    inputs = make_inputs((1, 1), with_image=False)
    memory = inputs.pop("memory_inputs")
    ones = torch.ones_like(inputs.pop("attention_mask"))
    warned = []
    for call, settings in ((stops_at_padding.generate, SETTINGS), (stops_at_padding, {})):
        for with_memory in ({"memory_inputs": memory}, {}):
            transformers.utils.logging.warning_once.cache_clear()
            log.clear()
            call(**inputs, **with_memory, **settings)
            warned.append(any("cannot be inferred from input because pad token is same as" in text for text in log))
    assert warned == [True, True, True, False]  # the backbone's `forward` alone looks for no padding at all
    with_mask = stops_at_padding(**inputs, attention_mask=ones, memory_inputs=memory).logits
    assert torch.equal(stops_at_padding(**inputs, memory_inputs=memory).logits, with_mask)


@pytest.mark.parametrize("with_mask", [True, False])
@pytest.mark.parametrize("counts", [(2, 1), (None, None)])
def test_padding_on_the_right_is_warned_of_with_memory_as_without(tiny_model, make_inputs, log, counts, with_mask):
    for side in ("right", "left"):
        log.clear()
        inputs = make_inputs(counts, padding_side=side)
        if not with_mask:
            del inputs["attention_mask"]
        tiny_model.generate(**inputs, **SETTINGS)
        assert [RIGHT_PADDING in text for text in log] == ([True] if side == "right" else [])


@pytest.mark.parametrize("counts", [(2,), (None,)])
def test_one_prompt_alone_is_not_warned_of(tiny_model, make_inputs, log, counts):
    inputs = make_inputs(counts)
    inputs["attention_mask"][:, -1] = 0
    tiny_model.generate(**inputs, **SETTINGS)
    assert log == []
