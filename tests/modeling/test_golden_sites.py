"""Memory at other places than the input computes what the code of the papers' authors does."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from comem_hf.modeling.ffn_memory_comem import CoMemFfnMemory, CoMemVisionAdapter, FfnMemory
from comem_hf.modeling.site_configuration_comem import FFN_MEMORY_DEFAULTS
from comem_hf.modeling.vision_memory_comem import CoMemVisionMemory
from tests.modeling.golden_sites import mema, memvp
from tests.modeling.golden_sites.text_reader import gradients, make_text_reader


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


# Mema: memory in the vision tower -----------------------------------------------------------------------------------

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


# CoMEM's text-only reader --------------------------------------------------------------------------------------------

TOLERANCE = {"rtol": 0, "atol": 1e-4}


@pytest.fixture(scope="module")
def outputs() -> dict[str, torch.Tensor]:
    return load_file(golden("text_reader") / "golden.safetensors")


@pytest.fixture(scope="module")
def text_reader():
    with safe_open(golden("text_reader") / "golden.safetensors", "pt") as file:
        sizes = json.loads(file.metadata()["sizes"])
    return make_text_reader(golden("text_reader"), sizes)


@pytest.fixture
def training(text_reader, outputs):
    """The model as it is trained, and a training sample."""
    text_reader.config.memory_order, text_reader.config.reader_prompt = "given", "after_vision"
    text_reader.zero_grad()
    names = ("input_ids", "attention_mask", "labels", "pixel_values", "image_grid_thw")
    return text_reader, {name: outputs[name] for name in names}


@pytest.fixture
def inference(text_reader, outputs):
    """The model as it answers, and a prompt."""
    text_reader.config.memory_order, text_reader.config.reader_prompt = "reversed", "whole"
    inputs = {name: outputs[name] for name in ("pixel_values", "image_grid_thw")}
    return text_reader, {"input_ids": outputs["prompt_ids"], **inputs}


@pytest.fixture
def items(outputs):
    names = ("input_ids", "attention_mask", "pixel_values", "image_grid_thw")
    return {name: outputs[f"memory_{name}"] for name in names}


@pytest.fixture
def rows_read(text_reader):
    """What the reader has been given, call by call."""
    seen = []
    hook = text_reader.reader.language_model.base_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"].detach()), with_kwargs=True
    )
    yield seen
    hook.remove()


def close(ours: torch.Tensor, theirs: torch.Tensor):
    torch.testing.assert_close(ours, theirs, **TOLERANCE)


@torch.no_grad()
def test_the_text_reader_gets_memory_encoded_prompt_and_what_follows_its_picture(training, outputs, items, rows_read):
    model, sample = training
    close(model.encode_memory(items), outputs["memory_embeds"])
    output = model(**sample, memory_inputs=items)
    close(rows_read[0], outputs["train_reader_inputs"])
    memory, length = outputs["memory_embeds"].shape[:2].numel(), sample["input_ids"].shape[1]
    close(rows_read[0][:, memory : memory + length], outputs["encoder_query_hidden"])
    close(output.logits, outputs["train_logits"])
    close(output.loss, outputs["train_loss"])


@torch.no_grad()
def test_the_text_reader_is_trained_without_items_too(training, outputs):
    model, sample = training
    output = model(**sample)
    close(output.logits, outputs["train_logits_without_items"])
    close(output.loss, outputs["train_loss_without_items"])


def test_gradients_of_the_text_reader_match_in_resampler_encoder_tower_and_reader(training, outputs, items):
    model, sample = training
    model(**sample, memory_inputs=items).loss.backward()
    names = [name.removeprefix("grad.") for name in outputs if name.startswith("grad.")]
    assert names
    for name in names:
        close(gradients(model, name), outputs[f"grad.{name}"])


@torch.no_grad()
def test_the_text_reader_gets_the_whole_prompt_when_it_answers(inference, outputs, items, rows_read):
    model, prompt = inference
    logits = model(**prompt, memory_inputs=items).logits
    close(rows_read[0], outputs["inference_reader_inputs"])
    close(logits, outputs["inference_prefill_logits"][:, -logits.shape[1] :])
    close(model(inputs_embeds=rows_read[0]).logits, outputs["inference_prefill_logits"])


def test_greedy_tokens_of_the_text_reader_match_step_by_step(inference, outputs, items):
    model, prompt = inference
    tokens = outputs["official_greedy_tokens"]
    output = model.generate(
        **prompt,
        memory_inputs=items,
        max_new_tokens=tokens.shape[1],
        do_sample=False,
        eos_token_id=None,
        return_dict_in_generate=True,
        output_logits=True,
    )
    assert output.sequences.tolist() == torch.cat([prompt["input_ids"], tokens], dim=1).tolist()
    close(torch.stack(output.logits, dim=1), outputs["official_step_logits"])


@torch.no_grad()
def test_the_plain_text_reader_is_a_language_model_of_its_own(text_reader, outputs):
    plain = AutoModelForCausalLM.from_pretrained(golden("text_reader") / "reader").eval()
    logits = plain(outputs["prompt_ids"]).logits
    close(logits, outputs["reader_logits_without_memory"])
    adapted = text_reader.reader.language_model(outputs["prompt_ids"]).logits
    assert (adapted - logits).abs().max() > 0.1  # the published reader is not this one
