"""Memory at other places than the input computes what the code of the papers' authors does."""

import os
from pathlib import Path

import pytest
import torch

from comem_hf.modeling.ffn_memory_comem import CoMemFfnMemory, CoMemVisionAdapter, FfnMemory
from comem_hf.modeling.site_configuration_comem import FFN_MEMORY_DEFAULTS
from tests.modeling.golden_sites import memvp


def golden(name: str) -> Path:
    """The folder of a method's golden outputs; the variable tries others, of other sizes."""
    sites = os.environ.get("COMEM_GOLDEN_SITES") or Path(__file__).parents[1] / "golden" / "sites"
    return Path(sites) / name


# MemVP: memory in the feed-forward layers ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def memvp_model() -> memvp.MemVP:
    return memvp.MemVP(golden("memvp") / "model.safetensors")


def outputs_of(tensors: memvp.Tensors, *inputs: str) -> memvp.Tensors:
    """All tensors but the inputs and the block's weights."""
    return {name: tensor for name, tensor in tensors.items() if name not in inputs and not name.startswith("block.")}


def test_memvp_each_value_of_a_llama_block_matches():
    tensors, metadata = memvp.load_golden(golden("memvp") / "ffn_block.safetensors")
    assert metadata["cases"]
    for name, sizes in metadata["cases"].items():
        case = memvp.part(tensors, f"{name}.")
        llama = memvp.make_block(case, sizes["heads"])
        seen = memvp.Recorder(llama).seen
        memory = FfnMemory(case["Z"] + case["P_k"], case["Z"] + case["P_v"], sizes["s"], dropout=0.0)
        llama.model(inputs_embeds=case["x"])
        ours = {"out_none": seen["out.0"]}
        llama.model(inputs_embeds=case["x"], ffn_memory=memory)
        ours |= {part: seen[f"{part}.0"] for part in ("h", "u", "ffn", "out")}
        ours["memory"] = FfnMemory(memory.keys, memory.values, scale=1.0, dropout=0.0)(ours["u"], training=False)
        memvp.assert_all_close(ours, outputs_of(case, "x", "Z", "P_k", "P_v"))


def test_memvp_memory_logits_loss_and_gradients_of_the_whole_model_match(memvp_model):
    tensors, metadata = memvp.load_golden(golden("memvp") / "golden.safetensors")
    inputs = ("images", "indicators", "input_ids", "labels")
    images, indicators, input_ids, labels = (tensors[name] for name in inputs)
    features = memvp_model.tower(images)
    ours = {"features": features, "projected": memvp_model.memory.projector(features)}

    memvp_model.zero_grad()
    for ending, seen in (("", indicators), ("_no_image", torch.zeros_like(indicators)), ("_no_memory", None)):
        memory = None
        if seen is not None:
            memory = memvp_model.ffn_memory(images, seen)
            ours[f"Z{ending}"] = memvp_model.slots(features, seen)
            ours[f"K{ending}"], ours[f"V{ending}"] = memory.keys, memory.values
        outputs = memvp_model(input_ids, labels, memory)
        ours |= {f"{name}{ending}": outputs[name] for name in ("logits", "loss")}
        if ending == "":
            unscaled = FfnMemory(memory.keys, memory.values, scale=1.0, dropout=0.0)
            for name in [name for name in outputs if name.startswith("u.")]:
                ours[name] = outputs[name]
                ours[name.replace("u.", "memory_term.")] = unscaled(outputs[name], training=False)
            ours["final_hidden"] = outputs["final_hidden"]
            outputs["loss"].backward()

    trained = memvp_model.trained()
    without = [name for name, parameter in trained.items() if parameter.grad is None]
    ours |= {
        f"grad.{name}": parameter.grad.view_as(tensors[f"grad.{name}"])
        for name, parameter in trained.items()
        if name not in without
    }
    memvp.assert_all_close(ours, outputs_of(tensors, *inputs))
    unused = "adapter_modality_embedding.weight"  # which the authors train, but never read
    assert {*trained, unused} == set(metadata["trainable"])
    assert {*without, unused} == set(metadata["trainable_without_gradient"])


def test_memvp_greedy_decoding_of_left_padded_prompts_matches_at_each_step(memvp_model):
    tensors, metadata = memvp.load_golden(golden("memvp") / "generate.safetensors")
    memory = memvp_model.ffn_memory(tensors["images"], tensors["indicators"])
    steps = tensors["step_logits"].shape[1]
    logits, tokens = memvp.decode(
        memvp_model.llama, tensors["prompt_ids"], tensors["prompt_length"], memory, steps, metadata["eos"]
    )
    memvp.assert_all_close({"step_logits": logits}, {"step_logits": tensors["step_logits"]})
    assert torch.equal(tokens, tensors["new_tokens"])


def test_memvp_adapters_of_the_vision_tower_match(memvp_model):
    tensors, metadata = memvp.load_golden(golden("memvp") / "clip_adapter.safetensors")
    block = memvp.make_clip_block(memvp.part(tensors, "block."), metadata["heads"], metadata["scale"])
    ours = block(tensors["x"]) | {"features": memvp_model.tower(tensors["images"])}
    memvp.assert_all_close(ours, outputs_of(tensors, "x", "images"))


def test_memvp_example_of_four_dimensions_and_three_slots():
    states = torch.tensor([[1, 2, -1, 0.5], [0, 1, 0, -1]])
    slots = torch.tensor([[0.1, 0.2, 0.3, 0.4], [-0.4, 0.3, -0.2, 0.1], [0, 0, 0, 0]])
    memory = CoMemFfnMemory(
        FFN_MEMORY_DEFAULTS | {"num_slots": 3, "projector_hidden": 2, "scale": 1.0, "value_scale": 1.0}, 4, 4
    )
    memory.projector = torch.nn.Identity()  # the example starts behind it
    with torch.no_grad():
        memory.key_positions.weight.copy_(torch.tensor([[0.5, 0, 0, 0.1], [0, 0.5, 0.2, 0], [1, -1, 0, 0]]))
        memory.value_positions.weight.copy_(torch.tensor([[0, 0.1, 0, 0], [0.2, 0, 0, 0], [0, 0, 0.3, -0.3]]))
        added = memory(slots[None, :2], torch.ones(1, 2, dtype=torch.bool))(states[None], training=False)
    expected = torch.tensor([[-0.1258, 0.4970, -0.0695, 0.4519], [-0.1063, 0.1020, -0.2125, 0.0764]])
    torch.testing.assert_close(added[0], expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("hidden_size", "num_slots", "published"), [(4096, 320, 3_879_040), (5120, 400, 5_487_744)])
def test_memvp_counts_of_trained_parameters_are_the_published_ones(hidden_size, num_slots, published):
    config = FFN_MEMORY_DEFAULTS | {"num_slots": num_slots}
    with torch.device("meta"):
        parts = [CoMemFfnMemory(config, 1024, hidden_size), *(CoMemVisionAdapter(config, 1024) for _ in range(24))]
    ours = sum(parameter.numel() for part in parts for parameter in part.parameters())
    unused = 2 * hidden_size  # the authors train a table of two rows that nothing reads; we have none
    assert ours + unused == published
