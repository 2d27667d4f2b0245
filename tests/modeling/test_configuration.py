"""Configurations have the published sizes, survive a file and refuse nonsense by name."""

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoConfig

from comem_hf import CoMemConfig, CoMemForConditionalGeneration
from comem_hf.modeling.resampler_comem import CoMemResampler
from tests.conftest import backbone_config


QWEN2_VL_7B = {
    "text_config": {
        "vocab_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
    },
    "vision_config": {"depth": 32, "embed_dim": 1280, "hidden_size": 3584, "num_heads": 16, "mlp_ratio": 4},
}


def test_defaults_are_those_of_the_paper_and_the_release():
    config = CoMemConfig(backbone_config={"model_type": "qwen2_vl", **QWEN2_VL_7B})
    assert (config.num_memory_tokens, config.encoder, config.memory_order) == (8, "adapter", "given")
    assert (config.query_vision, config.decode_position_offset) == ("backbone", None)
    lora = config.lora_config
    assert (lora["r"], lora["lora_alpha"], lora["lora_dropout"]) == (16, 32, 0.05)
    sizes = config.resampler_config
    assert (sizes["num_hidden_layers"], sizes["share_layers"], sizes["ff_mult"]) == (8, True, 4)
    assert (sizes["num_attention_heads"], sizes["head_dim"]) == (16, 224)


def test_resampler_at_the_published_size_has_the_published_number_of_parameters():
    with torch.device("meta"):
        resampler = CoMemResampler(CoMemConfig(backbone_config={"model_type": "qwen2_vl", **QWEN2_VL_7B}))
    assert sum(parameter.numel() for parameter in resampler.parameters()) == 179_895_296


def test_a_7b_model_fits_on_the_meta_device_with_one_copy_of_the_backbone():
    config = CoMemConfig(backbone_config={"model_type": "qwen2_vl", **QWEN2_VL_7B})
    with torch.device("meta"):
        model = CoMemForConditionalGeneration(config)
    backbone = sum(parameter.numel() for parameter in model.backbone.parameters())
    trainable = model.num_parameters(only_trainable=True)
    assert backbone == 8_291_375_616
    assert model.num_parameters() == backbone + trainable
    assert 0.02 < trainable / backbone < 0.03


def test_layers_that_are_not_shared_have_their_own_weights():
    config = CoMemConfig(
        backbone_config=backbone_config(), resampler_config={"share_layers": False, "num_hidden_layers": 3}
    )
    resampler = CoMemResampler(config)
    assert len(resampler.layers) == resampler.num_passes == 3


def test_a_configuration_survives_a_file(family, tmp_path):
    config = CoMemConfig(
        backbone_config=backbone_config(family),
        num_memory_tokens=4,
        resampler_config={"num_attention_heads": 2},
        lora_config={"r": 8},
        memory_order="reversed",
        query_vision="encoder",
        decode_position_offset=4000,
    )
    config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert isinstance(loaded, CoMemConfig)
    assert isinstance(loaded.backbone_config, CONFIG_MAPPING[family])
    for name in ("num_memory_tokens", "resampler_config", "encoder", "lora_config", "memory_order", "query_vision"):
        assert getattr(loaded, name) == getattr(config, name), name
    assert (loaded.decode_position_offset, loaded.memory_token_id) == (4000, config.memory_token_id)
    assert loaded.backbone_config.to_dict()["text_config"] == config.backbone_config.to_dict()["text_config"]
    assert loaded.get_text_config().hidden_size == loaded.hidden_size == 64


def test_making_a_configuration_leaves_the_backbones_attention_alone():
    backbone = backbone_config()
    backbone._attn_implementation = "eager"
    CoMemConfig(backbone_config=backbone)
    assert backbone._attn_implementation == "eager"
    assert backbone.text_config._attn_implementation == "eager"


def test_memory_token_defaults_to_the_padding_token():
    assert CoMemConfig(backbone_config=backbone_config()).memory_token_id == 256
    without = backbone_config(pad_token_id=None, bos_token_id=3)
    assert CoMemConfig(backbone_config=without).memory_token_id == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_memory_tokens": 0}, "`num_memory_tokens` must be a positive integer where .* got 0"),
        ({"num_memory_tokens": -1}, "`num_memory_tokens` must be 0 or a positive integer, got -1"),
        ({"num_memory_tokens": True}, "`num_memory_tokens` must be 0 or a positive integer, got True"),
        ({"num_memory_tokens": "8"}, "`num_memory_tokens` must be 0 or a positive integer, got '8'"),
        ({"encoder": "lora"}, r"`encoder` must be one of \['adapter', 'separate'\], got 'lora'"),
        ({"memory_order": "random"}, "`memory_order` must be one of .* got 'random'"),
        ({"query_vision": "both"}, "`query_vision` must be one of .* got 'both'"),
        ({"decode_position_offset": -1}, "`decode_position_offset` must be None or a non-negative integer, got -1"),
        ({"resampler_config": {"heads": 4}}, r"`resampler_config` has unknown keys \['heads'\]; known are .*head_dim"),
        ({"resampler_config": {"head_dim": 0}}, r"`resampler_config\['head_dim'\]` must be a positive integer, got 0"),
        ({"resampler_config": {"ff_mult": None}}, r"`resampler_config\['ff_mult'\]` must be a positive integer"),
        ({"resampler_config": {"kind": "max"}}, r"`resampler_config\['kind'\]` must be one of .*, got 'max'"),
        ({"resampler_config": {"hidden_layers": [1, 3]}}, r"list of different layers from 0 .* to 2, got \[1, 3\]"),
        ({"resampler_config": {"hidden_layers": []}}, r"must be 'last', 'all' or a list of different layers .* \[\]"),
        ({"lora_config": {"rank": 4}}, r"`lora_config` has unknown keys \['rank'\]"),
        ({"lora_config": {"r": -1}}, r"`lora_config\['r'\]` must be a positive integer, got -1"),
        ({"lora_config": {"lora_dropout": 1.5}}, r"`lora_config\['lora_dropout'\]` must be in \[0, 1\), got 1.5"),
        ({"memory_token_id": 10_000}, "`memory_token_id` must be an id below the vocabulary size 272 .* got 10000"),
        ({"memory_token_id": 261}, "neither the image nor the video token"),
        (
            {"ffn_memory_config": {"slots": 3}},
            r"`ffn_memory_config` has unknown keys \['slots'\]; known are .*num_slots",
        ),
        ({"ffn_memory_config": {"num_slots": 0}}, r"`ffn_memory_config\['num_slots'\]` must be a positive integer"),
        ({"ffn_memory_config": {"dropout": 1}}, r"`ffn_memory_config\['dropout'\]` must be in \[0, 1\), got 1"),
        ({"ffn_memory_config": {"scale": "s"}}, r"`ffn_memory_config\['scale'\]` must be a number from 0 on, got 's'"),
        (
            {"ffn_memory_config": {"source": "memory", "num_slots": 7}},
            "must be at least `num_memory_tokens`, 8, .* got 7",
        ),
        (
            {"ffn_memory_config": {"source": "memory"}, "num_memory_tokens": 0},
            "is 'memory', the vectors of memory items, but `num_memory_tokens` is 0",
        ),
        ({"ffn_memory_config": {}, "query_vision": "encoder"}, "`query_vision` must be 'backbone' with `ffn_memory"),
        ({"vision_memory_config": {}, "query_vision": "encoder"}, "`query_vision` must be 'backbone' with `vision_m"),
        ({"vision_memory_config": {"pooling": "mean_max_class"}}, "vision tower has no class token"),
        ({"ffn_memory_config": False}, "`ffn_memory_config` must be a dictionary or None, got False"),
        ({"vision_memory_config": "x"}, "`vision_memory_config` must be a dictionary or None, got 'x'"),
        ({"vision_memory_config": {3: 4, "a": 1}}, r"`vision_memory_config` has unknown keys \[3, 'a'\]"),
        ({"reader_config": [1]}, r"must be the configuration of a causal language model, .* got \[1\]"),
        ({"reader_config": "qwen2"}, "must be the configuration of a causal language model, .* got 'qwen2'"),
        ({"reader_vocabulary": "x"}, "`reader_vocabulary` must be one of .* got 'x'"),
        ({"ffn_memory_config": {"vision_adapter_rank": -1}}, "must be 0 or a positive integer, got -1"),
        ({"vision_memory_config": {"pooling": "max"}}, r"`vision_memory_config\['pooling'\]` must be one of"),
        ({"reader_config": {"model_type": "clip"}}, "must be the configuration of a causal language model, .* 'clip'"),
        (
            {"reader_config": {"model_type": "qwen2", "hidden_size": 32}, "reader_vocabulary": "backbone"},
            "must have the width of the backbone's embedding table and head, 64, got 32",
        ),
        (
            {"reader_config": {"model_type": "llama", "vocab_size": 200}},
            "has a vocabulary of 200 tokens, but the backbone's tokenizer uses ids up to 262",
        ),
        (
            {"reader_config": {"model_type": "qwen2"}, "vision_memory_config": {}},
            "`vision_memory_config` changes how the backbone reads, and cannot be combined with `reader_config`",
        ),
        ({"backbone_config": {"model_type": "llama"}}, r"must be one of \['qwen2_vl', 'qwen2_5_vl'\], got 'llama'"),
    ],
)
def test_a_wrong_value_is_refused_by_field_and_value(values, message):
    with pytest.raises(ValueError, match=message):
        CoMemConfig(**{"backbone_config": backbone_config(), **values})


def test_some_keys_of_a_dictionary_can_be_given_at_loading(tmp_path):
    CoMemConfig(
        backbone_config=backbone_config(), ffn_memory_config={"num_slots": 40}, lora_config={"r": 3}
    ).save_pretrained(tmp_path)
    load = CoMemConfig.from_pretrained
    config = load(tmp_path, ffn_memory_config={"scale": 0.5}, lora_config={"lora_dropout": 0.0})
    assert (config.ffn_memory_config["scale"], config.ffn_memory_config["num_slots"]) == (0.5, 40)
    assert (config.lora_config["lora_dropout"], config.lora_config["r"]) == (0.0, 3)
    with pytest.raises(ValueError, match=r"`ffn_memory_config` has unknown keys \['scales'\]"):
        load(tmp_path, ffn_memory_config={"scales": 0.5})
