"""Every way of decoding with memory agrees with reading the finished text from scratch."""

import copy

import pytest
import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteriaList
from transformers.generation.stopping_criteria import MaxLengthCriteria
from transformers.generation.streamers import BaseStreamer

from tests.conftest import TOKEN_IDS, make_model


NEW = 6
# Not to be decoded: read from scratch they would ask for a picture.
VISION_TOKENS = [TOKEN_IDS["<|image_pad|>"], TOKEN_IDS["<|video_pad|>"]]


@pytest.fixture
def model(tiny_model):
    """The session's model, its per-call settings put back after each test."""
    yield tiny_model
    tiny_model.config.decode_position_offset = None


@torch.no_grad()
def teacher_forced_logits(model, inputs, sequences: torch.Tensor, copies: int = 1) -> torch.Tensor:
    """Logits of the new tokens when the whole text is read at once, without a cache.

    Returns:
        `torch.Tensor` of shape `(sequences, new tokens, vocabulary)`.
    """
    length = inputs["input_ids"].shape[1]
    rows = []
    for index, sequence in enumerate(sequences):
        row = index // copies
        mask = torch.cat([inputs["attention_mask"][row], torch.ones(len(sequence) - length, dtype=torch.long)])
        memory = model.encode_memory(inputs["memory_inputs"])
        starts = inputs["memory_inputs"]["item_counts"].cumsum(0) - inputs["memory_inputs"]["item_counts"]
        count = inputs["memory_inputs"]["item_counts"][row]
        patches = inputs["image_grid_thw"].prod(dim=1).cumsum(0) if "image_grid_thw" in inputs else None
        image = {}
        if patches is not None:
            first = int(patches[row - 1]) if row else 0
            image["pixel_values"] = inputs["pixel_values"][first : patches[row]]
            image["image_grid_thw"] = inputs["image_grid_thw"][row : row + 1]
        logits = model(
            input_ids=sequence[None],
            attention_mask=mask[None],
            memory_inputs=memory[starts[row] : starts[row] + count][None],
            **image,
        ).logits
        rows.append(logits[0, length - 1 : -1])
    return torch.stack(rows)


@pytest.mark.parametrize("with_image", [True, False])
@pytest.mark.parametrize("cache", ["dynamic", "static"])
@pytest.mark.parametrize(("do_sample", "num_return_sequences"), [(False, 1), (True, 1), (True, 2)])
def test_decoding_agrees_with_teacher_forcing(model, make_inputs, with_image, cache, do_sample, num_return_sequences):
    inputs = make_inputs((2, 1), with_image=with_image)
    torch.manual_seed(3)
    output = model.generate(
        **inputs,
        max_new_tokens=NEW,
        min_new_tokens=NEW,
        do_sample=do_sample,
        num_return_sequences=num_return_sequences,
        suppress_tokens=VISION_TOKENS,
        cache_implementation=cache,
        disable_compile=True,
        return_dict_in_generate=True,
        output_logits=True,
    )
    assert output.sequences.shape == (2 * num_return_sequences, inputs["input_ids"].shape[1] + NEW)
    expected = teacher_forced_logits(model, inputs, output.sequences, num_return_sequences)
    torch.testing.assert_close(torch.stack(output.logits, dim=1), expected, atol=1e-4, rtol=0)
    if not do_sample:
        allowed = expected.clone()
        allowed[..., [model.generation_config.eos_token_id, *VISION_TOKENS]] = -torch.inf
        assert torch.equal(output.sequences[:, -NEW:], allowed.argmax(dim=-1))


@pytest.mark.parametrize("with_image", [True, False])
def test_beam_search_scores_agree_with_teacher_forcing(model, make_inputs, with_image):
    inputs = make_inputs((2, 1), with_image=with_image)
    output = model.generate(
        **inputs,
        max_new_tokens=NEW,
        min_new_tokens=NEW,
        do_sample=False,
        num_beams=3,
        num_return_sequences=3,
        suppress_tokens=VISION_TOKENS,
        return_dict_in_generate=True,
        output_scores=True,
    )
    new_tokens = output.sequences[:, -NEW:]
    logits = teacher_forced_logits(model, inputs, output.sequences, copies=3)
    chosen = logits.log_softmax(dim=-1).gather(-1, new_tokens[..., None]).squeeze(-1)
    torch.testing.assert_close(output.sequences_scores, chosen.mean(dim=1), atol=1e-4, rtol=0)
    assert len({tuple(tokens) for tokens in new_tokens[:3].tolist()}) == 3, "beams should differ"


def test_memory_is_encoded_once_per_call(model, make_inputs, monkeypatch):
    calls = []
    forward = model.memory_encoder.forward
    monkeypatch.setattr(model.memory_encoder, "forward", lambda items: calls.append(1) or forward(items))
    model.generate(**make_inputs((2, 1)), max_new_tokens=NEW, num_beams=3, do_sample=False)
    assert len(calls) == 1


def test_generating_then_reading_another_batch_gives_what_reading_alone_gives(family, make_inputs):
    used, fresh = make_model(family), make_model(family)
    used.generate(**make_inputs((2, 1)), max_new_tokens=NEW, num_beams=3, do_sample=False)
    used.generate(**make_inputs((None, None)), max_new_tokens=NEW, do_sample=False)
    for counts in ((3,), (1, 0, 2), (None,)):
        inputs = make_inputs(counts)
        with torch.no_grad():
            assert torch.equal(used(**inputs).logits, fresh(**inputs).logits)


def test_memory_changes_the_answer(model, make_inputs):
    with_memory = model.generate(**make_inputs((3,)), max_new_tokens=NEW, do_sample=False)
    without = model.generate(**make_inputs((None,)), max_new_tokens=NEW, do_sample=False)
    assert not torch.equal(with_memory, without)


def test_max_length_and_min_length_count_prompt_and_new_tokens_only(model, make_inputs):
    inputs = make_inputs((3,))
    length = inputs["input_ids"].shape[1]
    for settings in (
        {"max_length": length + 4, "min_length": length + 4, "do_sample": False},
        {"generation_config": GenerationConfig(max_length=length + 4, min_length=length + 4)},
    ):
        assert model.generate(**inputs, **settings).shape[1] == length + 4


class Recorder(BaseStreamer):
    """Keeps what a streamer is shown."""

    def __init__(self):
        self.shown = []
        self.ended = False

    def put(self, value: torch.Tensor):
        self.shown.extend(value.flatten().tolist())

    def end(self):
        self.ended = True


def test_a_streamer_sees_prompt_and_new_tokens_only(model, make_inputs):
    streamer = Recorder()
    output = model.generate(**make_inputs((3,)), max_new_tokens=NEW, do_sample=False, streamer=streamer)
    assert streamer.shown == output[0].tolist()
    assert streamer.ended


class PromptRecorder(LogitsProcessor):
    """Keeps the ids a logits processor is shown."""

    def __init__(self):
        self.seen = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.seen.append(input_ids.clone())
        return scores


def test_logits_processors_see_prompt_and_new_tokens_only(model, make_inputs):
    inputs, recorder = make_inputs((3,)), PromptRecorder()
    model.generate(**inputs, max_new_tokens=2, do_sample=False, logits_processor=LogitsProcessorList([recorder]))
    assert torch.equal(recorder.seen[0], inputs["input_ids"])


def test_an_offset_equal_to_the_memory_changes_nothing_and_another_one_does(model, make_inputs):
    inputs = make_inputs((2, 2))
    settings = {"max_new_tokens": NEW, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}
    expected = torch.stack(model.generate(**inputs, **settings).logits)
    model.config.decode_position_offset = 2 * model.config.num_memory_tokens
    torch.testing.assert_close(torch.stack(model.generate(**inputs, **settings).logits), expected)
    model.config.decode_position_offset = 500
    shifted = torch.stack(model.generate(**inputs, **settings).logits)
    torch.testing.assert_close(shifted[0], expected[0])
    assert not torch.allclose(shifted[1], expected[1], atol=1e-3)


def test_generation_needs_input_ids_beside_memory(model, make_inputs):
    with pytest.raises(ValueError, match="`input_ids` is needed"):
        model.generate(memory_inputs=make_inputs((1,))["memory_inputs"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prompt_lookup_num_tokens": 2}, "Assisted decoding and prompt lookup cannot be combined"),
        ({"prefill_chunk_size": 4}, "`prefill_chunk_size` cannot be combined with `memory_inputs`, got 4"),
    ],
)
def test_ways_of_decoding_that_would_lose_the_memory_are_refused(model, make_inputs, settings, message):
    with pytest.raises(ValueError, match=message):
        model.generate(**make_inputs((1,)), max_new_tokens=2, do_sample=False, **settings)


def test_generate_takes_the_models_own_generation_config(family, make_inputs):
    model = make_model(family)
    model.generation_config = copy.deepcopy(model.generation_config)
    model.generation_config.max_new_tokens = 3
    model.generation_config.eos_token_id = None
    for counts in ((2,), (None,)):
        inputs = make_inputs(counts)
        assert model.generate(**inputs).shape[1] == inputs["input_ids"].shape[1] + 3


@pytest.mark.parametrize("counts", [(2,), (None,)])
def test_arguments_by_place_are_those_of_transformers(model, make_inputs, counts):
    class Only(LogitsProcessor):
        def __call__(self, input_ids, scores):
            allowed = torch.full_like(scores, -torch.inf)
            allowed[:, 70] = 0
            return allowed

    inputs = make_inputs(counts)
    input_ids, settings = inputs.pop("input_ids"), GenerationConfig(max_new_tokens=5, do_sample=False)
    stops = StoppingCriteriaList([MaxLengthCriteria(input_ids.shape[1] + 3)])
    output = model.generate(input_ids, settings, LogitsProcessorList([Only()]), stops, **inputs)
    assert output[0, input_ids.shape[1] :].tolist() == [70] * 3
