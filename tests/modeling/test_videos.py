"""Videos in prompts: time as the backbone's own processor and model count it, for both families."""

import copy

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, BatchFeature, Qwen2_5_VLProcessor, Qwen2VLProcessor
from transformers.utils import is_torchvision_available
from transformers.video_utils import VideoMetadata

from comem_hf import MemoryItem
from comem_hf.modeling.cache_name_comem import CACHE_NAME
from comem_hf.modeling.explanation_comem import as_stored, item_influences
from tests.conftest import make_image


TEXTS = ["<|vision_start|><|video_pad|><|vision_end|>What is it?", "And <|vision_start|><|video_pad|><|vision_end|>?"]
FRAMES, RATES = (8, 4), (0.5, 2.0)
# What Qwen2.5-VL's processor gave for these videos of 56 x 56 pixels with torchvision 0.28.0: patches in time, height
# and width, and seconds between two of the first; and what the models made of the first video: its temporal positions.
GRIDS = [[4, 4, 4], [2, 4, 4]]
SECONDS, SECONDS_WITHOUT_RATES = [4.0, 1.0], [2 / 24, 2 / 24]
TIMES = {"qwen2_vl": [1, 2, 3, 4], "qwen2_5_vl": [1, 17, 33, 49]}


class MeasuredVideoProcessor:
    """In place of transformers' own, which needs torchvision: random patches in the shapes that it gave."""

    merge_size, temporal_patch_size, patch_size = 2, 2, 14

    def __call__(self, videos, video_metadata=None, **kwargs) -> BatchFeature:
        rows = sum(time * height * width for time, height, width in GRIDS[: len(videos)])
        pixels = torch.randn(rows, 3 * 2 * 14 * 14, generator=torch.Generator().manual_seed(0))
        metadata = video_metadata or [
            VideoMetadata(total_num_frames=len(video), frames_indices=list(range(len(video)))) for video in videos
        ]
        data = {"pixel_values_videos": pixels, "video_grid_thw": torch.tensor(GRIDS[: len(videos)])}
        return BatchFeature({**data, **({"video_metadata": metadata} if kwargs.get("return_metadata") else {})})


def make_videos() -> list[np.ndarray]:
    return [
        np.stack([np.asarray(make_image(10 * video + frame)) for frame in range(count)])
        for video, count in enumerate(FRAMES)
    ]


def make_metadata() -> list[VideoMetadata]:
    return [
        VideoMetadata(total_num_frames=count, fps=rate, frames_indices=list(range(count)))
        for count, rate in zip(FRAMES, RATES, strict=True)
    ]


@pytest.fixture
def processor(tiny_processor):
    processor = copy.copy(tiny_processor)
    processor.video_processor = MeasuredVideoProcessor()
    return processor


@pytest.fixture
def make_video_inputs(processor):
    """Makes a batch of two prompts with a video each, with that many items or, for `None`, without memory."""

    def make(counts=None, **kwargs) -> BatchFeature:
        memories = counts and [[MemoryItem(text=f"Fact {index}.") for index in range(count)] for count in counts]
        settings = {"video_metadata": make_metadata(), "return_tensors": "pt", "padding": True, **kwargs}
        return processor(text=list(TEXTS), videos=make_videos(), memories=memories, **settings)

    return make


def plain_inputs(inputs, family: str) -> dict:
    """The inputs that the family's own processor would give: Qwen2-VL's knows nothing of seconds."""
    without = {"memory_inputs", *(["second_per_grid_ts"] if family == "qwen2_vl" else [])}
    return {name: value for name, value in inputs.items() if name not in without}


def plain_positions(backbone, inputs, family: str) -> torch.Tensor:
    names = ("input_ids", "mm_token_type_ids", "video_grid_thw", "attention_mask", "second_per_grid_ts")
    inputs = plain_inputs(inputs, family)
    return backbone.model.get_rope_index(**{name: inputs[name] for name in names if name in inputs})[0]


def test_the_seconds_between_temporal_positions_are_those_of_the_plain_processor(make_video_inputs, tiny_processor):
    inputs = make_video_inputs()
    assert inputs["video_grid_thw"].tolist() == GRIDS
    assert torch.equal(inputs["second_per_grid_ts"], torch.tensor(SECONDS))
    assert "second_per_grid_ts" in tiny_processor.model_input_names
    without_rates = make_video_inputs(video_metadata=None)
    torch.testing.assert_close(without_rates["second_per_grid_ts"], torch.tensor(SECONDS_WITHOUT_RATES))
    assert make_video_inputs(return_tensors=None)["second_per_grid_ts"] == SECONDS
    assert "video_metadata" not in inputs
    assert make_video_inputs(return_metadata=True)["video_metadata"][0].fps == RATES[0]


def test_prompts_without_videos_have_no_seconds(processor):
    assert "second_per_grid_ts" not in processor(text="What?", return_tensors="pt")


@torch.no_grad()
def test_positions_are_those_of_the_plain_model(tiny_model, make_video_inputs, family):
    inputs = make_video_inputs(counts=(2, 1))
    expected = plain_positions(tiny_model.backbone, inputs, family)
    is_video = inputs["mm_token_type_ids"][0] == 2
    assert expected[0, 0, is_video].reshape(4, 4)[:, 0].tolist() == TIMES[family]
    seen = {}
    hook = tiny_model.backbone.model.language_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.update(positions=kwargs["position_ids"]), with_kwargs=True
    )
    try:
        tiny_model(**{name: value for name, value in inputs.items() if name != "memory_inputs"})
        torch.testing.assert_close(seen["positions"][-3:], expected, rtol=0, atol=0)
        tiny_model(**inputs)
        with_memory = seen["positions"][-3:]
    finally:
        hook.remove()
    for row, count in enumerate((2, 1)):
        real = inputs["attention_mask"][row].bool()
        ours = with_memory[:, row, -len(real) :][:, real]
        torch.testing.assert_close(ours, expected[:, row, real] + 8 * count, rtol=0, atol=0)


@torch.no_grad()
def test_without_memory_a_video_is_read_as_by_the_plain_model(tiny_model, make_video_inputs, family):
    inputs = make_video_inputs()
    plain = plain_inputs(inputs, family)
    assert torch.equal(tiny_model(**inputs).logits, tiny_model.backbone(**plain).logits)
    settings = {"max_new_tokens": 3, "min_new_tokens": 3, "do_sample": False}
    assert torch.equal(tiny_model.generate(**inputs, **settings), tiny_model.backbone.generate(**plain, **settings))


@torch.no_grad()
def test_with_memory_generate_reads_a_video_as_forward_does(tiny_model, make_video_inputs, family):
    inputs = make_video_inputs(counts=(2, 0))
    settings = {"max_new_tokens": 1, "do_sample": False, "return_dict_in_generate": True, "output_logits": True}
    logits = tiny_model(**inputs).logits
    output = tiny_model.generate(**inputs, **settings)
    torch.testing.assert_close(output.logits[0], logits[:, -1], atol=1e-5, rtol=0)
    plain = tiny_model.backbone(**plain_inputs(inputs, family)).logits
    torch.testing.assert_close(logits[1, -5:], plain[1, -5:], atol=1e-4, rtol=0)  # the prompt without items
    slower = {**inputs, "second_per_grid_ts": 4 * inputs["second_per_grid_ts"]}
    assert torch.equal(tiny_model(**slower).logits, logits) == (family == "qwen2_vl")


@pytest.mark.skipif(not is_torchvision_available(), reason="torchvision is not installed")
@pytest.mark.parametrize("rates", [True, False])
def test_videos_are_processed_as_by_the_plain_processor(tiny_processor, family, rates, tmp_path):
    plain_class = {"qwen2_vl": Qwen2VLProcessor, "qwen2_5_vl": Qwen2_5_VLProcessor}[family]
    parts = (tiny_processor.image_processor, tiny_processor.tokenizer, tiny_processor.video_processor)
    settings = {"padding": True, "return_tensors": "pt"}
    settings |= {"video_metadata": make_metadata()} if rates else {}
    tiny_processor.save_pretrained(tmp_path)
    expected = plain_class(*parts)(text=list(TEXTS), videos=make_videos(), **settings)
    for processor in (tiny_processor, AutoProcessor.from_pretrained(tmp_path)):
        actual = plain_inputs(processor(text=list(TEXTS), videos=make_videos(), **settings), family)
        assert actual.keys() == expected.keys()
        assert all(torch.equal(actual[name], expected[name]) for name in expected)


def test_items_of_prompts_with_videos_are_explained_as_alone(tiny_model, make_video_inputs):
    inputs = make_video_inputs((2, 1))
    length, counts = inputs["input_ids"].shape[1], (2, 1)
    sequences = tiny_model.generate(**inputs, max_new_tokens=4, min_new_tokens=4, do_sample=False)
    found = item_influences(tiny_model, inputs, sequences)
    stored = as_stored(tiny_model, inputs["memory_inputs"], 2)["memory_embeds"]
    for row, count in enumerate(counts):
        log_probs = []
        for left_out in (None, *range(count)):
            mask = torch.arange(2) < torch.tensor(counts)[:, None]
            if left_out is not None:
                mask[row, left_out] = False
            total = torch.zeros(2)
            with torch.no_grad():  # token by token: Qwen2.5-VL decodes at other positions than it reads texts at
                memory = {"memory_embeds": stored, "item_mask": mask}
                output = tiny_model(**{**inputs, "memory_inputs": memory}, use_cache=True)
                for tokens in sequences[:, length:].T[..., None]:
                    total += output.logits[:, -1].log_softmax(-1).gather(1, tokens)[:, 0]
                    output = tiny_model(tokens, **{CACHE_NAME: output[CACHE_NAME]})
            log_probs.append(total[row])
        torch.testing.assert_close(found[row, :count], log_probs[0] - torch.stack(log_probs[1:]), rtol=1e-5, atol=1e-5)
