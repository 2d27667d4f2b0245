"""Outputs of the published code of MemVP, Mema and CoMEM's text-only reader, computed by our modules."""

import os
from pathlib import Path

import pytest
import torch

from comem_hf.modeling.vision_memory_comem import CoMemVisionMemory
from tests.modeling.golden_sites import mema


FOLDER = Path(__file__).parents[1] / "golden" / "sites"


def golden(name: str) -> Path:
    """Folder of a method's golden files: `memvp`, `mema` or `text_reader`. Those of other sizes can be elsewhere."""
    return Path(os.environ.get("COMEM_GOLDEN_SITES", FOLDER)) / name


# --- Mema -----------------------------------------------------------------------------------------------------------

MEMA_CLOSE = {"rtol": 0, "atol": 1e-4}
MEMA_INPUTS = {
    "memory_unit": ("layer_A", "layer_b", "tokens_in", "q", "images_per_sample", "w."),
    "clip_tower": ("clip.", "w.", "mm_projector.", "pixel_values", "q"),
    "alignment": ("model.", "input_ids", "labels", "attention_mask", "pixel_values"),
}


def check_mema(computed: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor], inputs: tuple[str, ...]):
    """Every tensor that is not an input must be among those computed, and be close."""
    expected = {
        name: value
        for name, value in tensors.items()
        if name not in inputs and not name.startswith(tuple(prefix for prefix in inputs if prefix.endswith(".")))
    }
    assert expected and set(computed) == set(expected)
    for name, value in expected.items():
        assert computed[name].dtype == value.dtype, name
        torch.testing.assert_close(computed[name], value, **MEMA_CLOSE, msg=lambda text, name=name: f"{name}: {text}")


def mema_outputs(module, observed, memory, outputs) -> dict[str, torch.Tensor]:
    """What both the plain layers and the tower give."""
    return {**observed.values, "c_last": memory.finish(), "pooler_output": outputs[-1][:, 0]}


@torch.no_grad()
def test_mema_on_plain_layers_gives_the_published_memory_tokens_and_gates():
    tensors, metadata = mema.read(golden("mema") / "memory_unit.safetensors")
    for case in metadata["cases"]:
        of_case = mema.part(tensors, f"{case}.")
        module = mema.vision_memory(mema.part(of_case, "w."))
        tokens = of_case["tokens_in"]
        layers = [
            lambda x, matrix=matrix, bias=bias: x + torch.tanh(x @ matrix.T + bias)
            for matrix, bias in zip(of_case["layer_A"], of_case["layer_b"], strict=True)
        ]
        memory = mema.begin(module, of_case["q"], of_case["images_per_sample"], tokens)
        with mema.Observed(module, len(tokens)) as observed:
            outputs = mema.run_layers(layers, memory, tokens)
        computed = {
            **mema_outputs(module, observed, memory, outputs),
            "t": module.text_projection(of_case["q"]),
            "tokens": torch.stack(outputs),
            "selected": mema.features(outputs),
        }
        check_mema(computed, of_case, MEMA_INPUTS["memory_unit"])


@torch.no_grad()
def test_mema_in_a_clip_tower_gives_the_published_features_and_memory():
    tensors, metadata = mema.read(golden("mema") / "clip_tower.safetensors")
    tower = mema.ClipTower(tensors, metadata["clip"])
    module, project = mema.vision_memory(mema.part(tensors, "w.")), mema.projector(mema.part(tensors, "mm_projector."))
    tokens, q = tower.embed(tensors["pixel_values"]), tensors["q"]
    memory = mema.begin(module, q, [1] * len(q), tokens)
    with mema.Observed(module, len(tokens)) as observed:
        outputs = mema.run_layers(tower.layers(), memory, tokens)
    computed = {
        **mema_outputs(module, observed, memory, outputs),
        "pooler_output": tower.model.post_layernorm(outputs[-1][:, 0]),
        "t": module.text_projection(q),
        "hidden_states": torch.stack(outputs),
        "features": mema.features(outputs),
        "features_without_memory": mema.features(mema.run_layers(tower.layers(), None, tokens)),
        "projected": project(mema.features(outputs)),
    }
    # The same pictures as those of fewer samples: the first sample has the pictures that are left over.
    samples = len(tensors["crops_aggregated"])
    counts = [len(tokens) - samples + 1] + [1] * (samples - 1)
    memory = mema.begin(module, q[:samples], counts, tokens)
    computed["crops_features"] = mema.features(mema.run_layers(tower.layers(), memory, tokens))
    computed["crops_c_last"] = last = memory.finish()
    sample_of_image = torch.arange(samples).repeat_interleave(torch.tensor(counts))
    computed["crops_aggregated"], _ = mema.mean_of_images(project(last), sample_of_image, samples)
    check_mema(computed, tensors, MEMA_INPUTS["clip_tower"])


def test_mema_in_a_tiny_llava_gives_the_published_losses_and_gradients():
    tensors, metadata = mema.read(golden("mema") / "alignment.safetensors")
    clip, of_clip = mema.read(golden("mema") / "clip_tower.safetensors")
    llava = mema.Llava(mema.ClipTower(clip, of_clip["clip"]), tensors, metadata)
    inputs = {name: tensors[name] for name in ("input_ids", "attention_mask", "pixel_values")}
    computed = llava(**inputs, labels=tensors["labels"])
    for kind in ("align", "total"):
        gradients = llava.gradients(computed[f"{kind}_loss"])
        assert sorted(gradients) == sorted(metadata["trainable"])
        computed.update({f"grad_{kind}.{name}": value for name, value in gradients.items()})
    with torch.no_grad():
        without_labels = llava(**inputs)
    computed["logits_without_labels"] = without_labels["logits"]
    computed["question_mean_without_labels"] = without_labels["question_mean"]
    padding = tensors["padded_mask"] == 0
    for name in ("logits", "logits_without_labels"):  # what stands at padding means nothing
        computed[name] = computed[name].masked_fill(padding[..., None], 0)
        tensors[name] = tensors[name].masked_fill(padding[..., None], 0)
    check_mema(computed, tensors, MEMA_INPUTS["alignment"])


@torch.no_grad()
def test_mema_computes_the_numbers_of_a_unit_and_gate_worked_out_by_running_the_published_code():
    config = {"reduction_ratio": 2, "pooling": "mean_max_class"}
    module = CoMemVisionMemory(config, vision_size=4, text_size=4)
    unit, gate = module.unit, module.gate
    for layer, factor in ((unit.reduce, 0.05), (unit.candidate, 0.3), (unit.write, -0.2), (unit.keep, 0.4)):
        count = layer.weight.numel()
        layer.weight.copy_(factor * torch.arange(1, count + 1).reshape(layer.weight.shape) / count)
        layer.bias.fill_(0.01)
    unit.keep_offset.bias.fill_(1)
    seen, asked = torch.tensor([[1, -1, 0.5, 2]]), torch.tensor([[0.2, 0.4, -0.1, 0]])
    first = unit(torch.zeros(1, 4), seen, asked)
    second = unit(first, seen * 0.5, asked)
    expected = torch.tensor([[0.011102, 0.018203, 0.025227, 0.032172], [0.017506, 0.027952, 0.038339, 0.048665]])
    torch.testing.assert_close(torch.cat([first, second]), expected, rtol=0, atol=1e-6)

    gate.delta_in.weight.copy_(torch.eye(4))
    gate.delta_out.weight.copy_(0.5 * torch.eye(4))
    gate.delta_out.bias.fill_(0.1)
    gate.alpha.weight.copy_(torch.tensor([[0.1, 0.2, 0.3, 0.4]]))
    gate.alpha.bias.fill_(-2.2)
    tokens = torch.tensor([[1, 0, -1, 2], [0.5, 0.5, 0.5, 0.5]])
    expected = torch.tensor([[1.025986, 0.002874, -0.995744, 2.066720], [0.505373, 0.504132, 0.534998, 0.586444]])
    result = module.feed_back(tokens, second, torch.tensor([0, 0]))
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("text_size", "count"), [(4096, 11_021_569), (5120, 12_070_145)])
def test_mema_has_as_many_parameters_as_published(text_size, count):
    config = {"reduction_ratio": 4, "pooling": "mean_max_class"}
    with torch.device("meta"):
        module = CoMemVisionMemory(config, vision_size=1024, text_size=text_size)
    assert sum(parameter.numel() for parameter in module.parameters()) == count
