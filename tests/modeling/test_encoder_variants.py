"""Other ways from an item's hidden states to its vectors: a mix of layers, mean pooling, no adapter in the tower."""

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModel

from comem_hf import CoMemConfig, CoMemForConditionalGeneration
from comem_hf.modeling.layer_mix_comem import CoMemLayerMix
from comem_hf.modeling.mean_pooling_comem import CoMemMeanPooling
from tests.conftest import backbone_config, make_backbone, make_model
from tests.modeling.conftest import make_items
from tests.modeling.test_memory_encoder import enable_checkpointing, gradients


VARIANTS = {
    "all layers": {"resampler_config": {"hidden_layers": "all"}},
    "some layers, means": {"resampler_config": {"kind": "mean", "hidden_layers": [0, 2]}, "num_memory_tokens": 3},
    "early layers": {"resampler_config": {"hidden_layers": [0, 1]}},
    "early layers, separate": {"resampler_config": {"hidden_layers": [1, 0]}, "encoder": "separate"},
    "text alone": {"lora_config": {"r": 2, "target_modules": r"language_model\..*"}},
}


@pytest.fixture(params=VARIANTS)
def variant(request, family) -> CoMemForConditionalGeneration:
    return make_model(family, **VARIANTS[request.param])


def test_a_mix_adds_the_normalised_states_of_layers_by_softmax_weights():
    mix, states = CoMemLayerMix(3), [torch.randn(2, 4, 8) * size for size in (1, 30, 900)]
    torch.testing.assert_close(mix(states), sum(F.rms_norm(state, (8,)) for state in states) / 3)
    mix.logits.data.copy_(torch.tensor([0.0, 50.0, 0.0]))
    torch.testing.assert_close(mix(states), F.rms_norm(states[1], (8,)))


def test_a_mean_is_that_of_its_segment_whatever_the_padding():
    torch.manual_seed(0)
    pooling = CoMemMeanPooling(CoMemConfig(backbone_config=backbone_config(), num_memory_tokens=4))
    lengths = (2, 4, 7, 9)
    states, mask = torch.randn(4, 9, 64), torch.arange(9) >= 9 - torch.tensor(lengths)[:, None]
    vectors = pooling(states, mask.long())
    for row, length in enumerate(lengths):
        means = F.adaptive_avg_pool1d(states[row, 9 - length :].T, 4).T
        torch.testing.assert_close(vectors[row], pooling.norm(pooling.project_out(means)))
    pooling.start(size=0.3)
    assert abs(pooling(states, mask).pow(2).mean().sqrt() - 0.3) < 0.01


def test_a_variant_encodes_items_alone_as_together_and_survives_a_file(variant, tiny_processor, make_inputs, tmp_path):
    items = make_inputs((3,))["memory_inputs"]
    with torch.no_grad():
        together = variant.encode_memory(items)
        for vectors, item in zip(together, make_items(3), strict=True):
            alone = variant.encode_memory(tiny_processor.process_memories([[item]]))[0]
            assert (alone - vectors).norm() < 1e-5 * vectors.norm()
    variant.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(loaded.encode_memory(items), together)
    assert loaded.memory_fingerprint() == variant.memory_fingerprint()
    assert loaded.memory_fingerprint() != make_model(variant.config.backbone_config.model_type).memory_fingerprint()
    assert variant.config.resampler_config == loaded.config.resampler_config


def test_a_variant_learns_with_all_it_has_and_the_same_with_checkpointing(variant, make_inputs):
    variant.train()
    inputs = make_inputs((2, 1))
    expected = gradients(variant, inputs)
    pinned = {name for name in expected if "k_proj.bias" in name}
    assert expected.keys() == {name for name, p in variant.named_parameters() if p.requires_grad}
    assert all(grad.any() for name, grad in expected.items() if name not in pinned)
    enable_checkpointing(variant, use_reentrant=False)
    for name, grad in gradients(variant, inputs).items():
        torch.testing.assert_close(grad, expected[name], atol=1e-6, rtol=1e-4)
    if variant.config.mixed_layers:
        with pytest.raises(ValueError, match="`use_reentrant` must be False .* with a mix of hidden layers"):
            enable_checkpointing(variant, use_reentrant=True)


def test_each_variant_has_the_tensors_that_it_names_and_no_others():
    names = {
        name: set(CoMemForConditionalGeneration.from_backbone(make_backbone(), **config).memory_encoder_state_dict())
        for name, config in {"default": {}, **VARIANTS}.items()
    }
    resampler, mix = "memory_encoder.resampler.", "memory_encoder.resampler.layer_mix.logits"
    assert names["all layers"] == names["default"] | {mix}
    adapter = {name for name in names["default"] if ".lora_" in name}
    means = {f"{resampler}{name}.{part}" for name in ("out_proj", "norm") for part in ("weight", "bias")}
    assert names["some layers, means"] == adapter | means | {mix}
    assert names["default"] - names["text alone"] == {name for name in adapter if ".visual." in name} != set()


def test_an_encoder_of_early_layers_keeps_its_vectors_beside_a_reader_adapter(make_inputs, tmp_path):
    model = make_model(resampler_config={"hidden_layers": [0, 1]})
    items = make_inputs((2,))["memory_inputs"]
    with torch.no_grad():
        expected = model.encode_memory(items)
        model.add_reader_adapter(r=2)
        for name, parameter in model.reader_adapter.named_parameters():
            if name.endswith("/B"):
                parameter.normal_(std=0.1)
        model.save_pretrained(tmp_path)
        loaded = CoMemForConditionalGeneration.from_pretrained(tmp_path)
        torch.testing.assert_close(loaded.encode_memory(items), expected, atol=1e-5, rtol=1e-5)
