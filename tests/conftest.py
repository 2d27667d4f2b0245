"""Tiny random models, a tokenizer made in memory and pictures from a seed: no network, no files."""

import os


os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import PIL.Image
import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForImageTextToText, PreTrainedTokenizerFast, Qwen2_5_VLConfig, Qwen2VLConfig
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor
from tests.deprecations import DeprecationLog
from tests.local_hub.server import HubServer


collect_ignore = ["peer"]  # for `make peer-tests`, under settings of its own
FAMILIES = ("qwen2_vl", "qwen2_5_vl")
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
NUM_BYTES = 256
TOKEN_IDS = {token: NUM_BYTES + index for index, token in enumerate(SPECIAL_TOKENS)}
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_image(seed: int = 0, size: tuple[int, int] = (56, 56)) -> PIL.Image.Image:
    """A picture of random colour blocks, `size` = (width, height)."""
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return PIL.Image.fromarray(blocks).resize(size, PIL.Image.Resampling.NEAREST)


def backbone_config(family: str = "qwen2_vl", **text) -> Qwen2VLConfig | Qwen2_5_VLConfig:
    """Two layers, 64 dimensions, the vocabulary of the tiny tokenizer."""
    text_config = {
        "vocab_size": 272,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
        "bos_token_id": TOKEN_IDS["<|endoftext|>"],
        "eos_token_id": TOKEN_IDS["<|im_end|>"],
        "pad_token_id": TOKEN_IDS["<|endoftext|>"],
        **text,
    }
    ids = {
        "image_token_id": TOKEN_IDS["<|image_pad|>"],
        "video_token_id": TOKEN_IDS["<|video_pad|>"],
        "vision_start_token_id": TOKEN_IDS["<|vision_start|>"],
        "vision_end_token_id": TOKEN_IDS["<|vision_end|>"],
    }
    if family == "qwen2_vl":
        vision = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "mlp_ratio": 2, "num_heads": 4}
        return Qwen2VLConfig(text_config=text_config, vision_config=vision, **ids)
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 4,
        "out_hidden_size": 64,
        "fullatt_block_indexes": [1],
        "window_size": 56,
    }
    return Qwen2_5_VLConfig(text_config=text_config, vision_config=vision, **ids)


def make_backbone(family: str = "qwen2_vl", seed: int = 0, **text):
    """A random backbone, frozen in evaluation mode, whose answers depend on its input."""
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(backbone_config(family, **text))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)  # the default 0.02 makes everything nearly linear at this size
    return model.eval()


def make_model(family: str = "qwen2_vl", seed: int = 0, **config) -> CoMemForConditionalGeneration:
    """A model on a random backbone, with an adapter and a resampler that are not zero."""
    config.setdefault("lora_config", {"r": 4, "lora_alpha": 8, "lora_dropout": 0.05})
    model = CoMemForConditionalGeneration.from_backbone(make_backbone(family, seed), **config)
    torch.manual_seed(seed + 1)
    with torch.no_grad():
        for name, parameter in model.memory_encoder_parameters().items():
            if name.endswith("/B"):
                parameter.normal_(std=0.1)
        if model.memory_encoder.resampler is not None:
            model.memory_encoder.resampler.norm.weight.fill_(0.5)
    return model.eval()


def shares_weights(model: CoMemForConditionalGeneration) -> bool:
    """Whether all weights of the encoder are the backbone's, not equal ones; true of one with its own weights."""
    if not model.memory_encoder.shares_weights:
        return True
    ours = dict(model.memory_encoder.model.named_parameters())
    theirs = {name: parameter for name, parameter in model.backbone.model.named_parameters()}
    return {name.replace(".base_layer.", "."): id(tensor) for name, tensor in ours.items()} == {
        name: id(tensor) for name, tensor in theirs.items()
    }


@pytest.fixture(autouse=True)
def no_deprecated_use():
    """Fails a test that makes a library log of deprecation; setup.cfg sees to the warnings."""
    with DeprecationLog() as log:
        yield
    assert not log.messages, "\n".join(log.messages)


@pytest.fixture(scope="session", params=FAMILIES)
def family(request) -> str:
    return request.param


@pytest.fixture(scope="session")
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    # Ids 0 .. 255 are bytes in the byte-level alphabet, the special tokens follow.
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={symbol: index for index, symbol in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL_TOKENS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=[token for token in SPECIAL_TOKENS if token not in ("<|im_end|>", "<|endoftext|>")],
        padding_side="left",
    )


@pytest.fixture(scope="session")
def tiny_processor(tiny_tokenizer) -> CoMemProcessor:
    image_processor = Qwen2VLImageProcessorPil(size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112})
    return CoMemProcessor(
        image_processor,
        tiny_tokenizer,
        chat_template=CHAT_TEMPLATE,
        memory_min_pixels=28 * 28,
        memory_max_pixels=56 * 56,
    )


@pytest.fixture(scope="session")
def tiny_backbone(family):
    return make_backbone(family)


@pytest.fixture(scope="session")
def tiny_model(family) -> CoMemForConditionalGeneration:
    return make_model(family)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub of which Ann is the user of this process, with an empty cache."""
    for name, value in (("HF_HUB_OFFLINE", False), ("HF_HUB_DISABLE_XET", True)):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", "ann's")
    with HubServer({"ann's": "ann", "bob's": "bob"}) as server:
        monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", server.endpoint)  # of functions of the module
        monkeypatch.setattr("transformers.utils.hub._hf_api", None, raising=False)  # made when it is first used
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.endpoint)
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield server
