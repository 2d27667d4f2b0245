"""A user's own PEFT adapter is on the backbone alone, and works as on a plain model."""

import copy

import peft
import pytest
import torch
import transformers
from packaging.version import Version
from peft import IA3Config, LoraConfig, PeftModel, get_peft_model, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer

from comem_hf import CoMemForConditionalGeneration
from tests.conftest import make_backbone, make_model
from tests.modeling.conftest import logits, vectors


pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")  # PEFT's own use of it
TARGETS = {"names": ["q_proj", "v_proj", "up_proj", "qkv"], "all": "all-linear"}
TEXT = r"backbone.*language_model.*\.(q_proj|down_proj)"


@pytest.fixture(params=["adapter", "separate"])
def model(request, family):
    return make_model(family, encoder=request.param)


@pytest.fixture
def shared(family):
    return make_model(family)


def lora(targets=("q_proj", "v_proj"), **settings) -> LoraConfig:
    """An adapter that changes the model at once."""
    targets = targets if isinstance(targets, str) else list(targets)
    return LoraConfig(**{"r": 4, "target_modules": targets, "init_lora_weights": False, **settings})


def adapted_parts(model) -> set[str]:
    return {name.split(".")[0] for name, module in model.named_modules() if isinstance(module, BaseTunerLayer)}


@pytest.mark.parametrize("name", ["default", "mine"])
@pytest.mark.parametrize("targets", TARGETS)
def test_it_changes_answers_and_no_memory_vector(shared, make_inputs, targets, name):
    inputs = make_inputs((2, 1))
    before, answers = vectors(shared, inputs), logits(shared, inputs)
    plain = copy.deepcopy(shared.backbone)
    torch.manual_seed(0)
    peft_model = get_peft_model(shared, lora(TARGETS[targets]), adapter_name=name)
    assert adapted_parts(shared) == {"backbone"}
    assert torch.equal(vectors(peft_model, inputs), before)
    assert not torch.allclose(logits(peft_model, inputs), answers, atol=0.1)
    with peft_model.disable_adapter():
        assert torch.equal(logits(peft_model, inputs), answers)
    # Without memory it is the plain model with the same adapter.
    torch.manual_seed(0)
    expected = get_peft_model(plain, lora(TARGETS[targets]), adapter_name=name)
    alone = make_inputs((None, None))
    assert torch.equal(logits(peft_model, alone), logits(expected, alone))
    trained = {name for name, parameter in peft_model.named_parameters() if parameter.requires_grad}
    assert trained and all(".backbone." in name and ".lora_" in name for name in trained)


def test_it_is_trained_saved_and_loaded(shared, make_inputs, tmp_path):
    inputs = make_inputs((2, 1))
    before = vectors(shared, inputs)
    peft_model = get_peft_model(shared, lora(init_lora_weights=True)).train()
    optimizer = torch.optim.SGD([p for p in peft_model.parameters() if p.requires_grad], lr=1.0)
    losses = []
    for _ in range(3):
        loss = peft_model(**inputs, labels=inputs["input_ids"]).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    peft_model.eval().save_pretrained(tmp_path)
    fresh = make_model(shared.config.backbone_config.model_type)
    loaded = PeftModel.from_pretrained(fresh, tmp_path)
    assert torch.equal(logits(loaded, inputs), logits(peft_model, inputs))
    assert torch.equal(vectors(loaded, inputs), before)


@pytest.mark.skipif(
    Version(peft.__version__) < Version(getattr(transformers.integrations.peft, "MIN_PEFT_VERSION", "0")),
    reason="this version of transformers puts adapters on no model at all with this version of PEFT",
)
def test_transformers_own_methods_add_save_and_load_it(shared, make_inputs, tmp_path):
    inputs = make_inputs((2, 1))
    before = vectors(shared, inputs)
    shared.add_adapter(lora(), "mine")
    changed = logits(shared, inputs)
    assert torch.equal(vectors(shared, inputs), before)
    shared.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {"adapter_config.json", "adapter_model.safetensors"}
    fresh = make_model(shared.config.backbone_config.model_type)
    fresh.load_adapter(tmp_path)
    assert torch.equal(logits(fresh, inputs), changed)
    shared.disable_adapters()
    assert torch.equal(vectors(shared, inputs), before)


def test_adopted_it_is_merged_for_the_reader_and_taken_out_for_the_encoder(model, make_inputs, tmp_path):
    inputs = make_inputs((2, 1))
    before, fingerprint = vectors(model, inputs), model.memory_fingerprint()
    peft_model = get_peft_model(model, lora(TEXT, rank_pattern={"down_proj": 2}))
    assert model.memory_fingerprint() == fingerprint
    changed = logits(peft_model, inputs)
    model.adopt_reader_adapter(peft_model)
    assert not adapted_parts(model)
    torch.testing.assert_close(logits(model, inputs), changed, atol=1e-4, rtol=0)
    torch.testing.assert_close(vectors(model, inputs), before, atol=1e-4, rtol=0)
    model.save_pretrained(tmp_path)
    loaded = CoMemForConditionalGeneration.from_pretrained(tmp_path)
    assert torch.equal(logits(loaded, inputs), logits(model, inputs))
    plain = CoMemForConditionalGeneration.from_pretrained(tmp_path, reader="plain")
    assert {each.memory_fingerprint() for each in (model, loaded, plain)} == {fingerprint}
    loaded.memory_encoder.resampler.norm.weight.data.mul_(2)
    assert loaded.memory_fingerprint() != fingerprint
    expected = logits(make_backbone(model.config.backbone_config.model_type), make_inputs((None, None)))
    torch.testing.assert_close(logits(plain, make_inputs((None, None))), expected, atol=1e-4, rtol=0)


def test_on_an_encoder_with_weights_of_its_own_it_is_refused(family, make_inputs):
    model = make_model(family, encoder="separate")
    get_peft_model(model, lora())
    with pytest.raises(ValueError, match="is on the memory encoder, too, such as on 'language_model.*'backbone"):
        vectors(model, make_inputs((2, 1)))


def test_only_lora_on_the_text_model_is_adopted(shared):
    with pytest.raises(ValueError, match="no PEFT adapter on the backbone to adopt"):
        shared.adopt_reader_adapter()
    get_peft_model(shared, lora(["qkv"]))
    with pytest.raises(ValueError, match="'model.visual.blocks.0.attn.qkv' cannot become the reader adapter"):
        shared.adopt_reader_adapter()


def test_merged_into_shared_weights_it_is_refused_before_vectors_change(shared, make_inputs, tmp_path):
    inputs = make_inputs((2, 1))
    stored = {**inputs, "memory_inputs": vectors(shared, inputs).view(1, 3, 8, -1).expand(2, -1, -1, -1)}
    merged = get_peft_model(shared, lora()).merge_and_unload()
    assert merged is shared
    assert logits(merged, stored).isfinite().all()  # stored vectors are still right
    for use in (lambda: vectors(merged, inputs), lambda: merged.save_pretrained(tmp_path)):
        with pytest.raises(ValueError, match="changed in place, .* merge with `model.adopt_reader_adapter"):
            use()


@pytest.mark.parametrize("how", ["cast", "training", "in place", "state dict"])
def test_merging_is_noticed_after_a_cast_in_training_and_without_unloading(shared, make_inputs, how):
    if how == "cast":
        shared.to(torch.bfloat16)
    if how == "state dict":
        shared.load_state_dict(shared.state_dict())
    adapted = get_peft_model(shared, lora())
    adapted.merge_adapter() if how == "in place" else adapted.merge_and_unload()
    with pytest.raises(ValueError, match="changed in place"):
        shared.train(how == "training").encode_memory(make_inputs((2, 1))["memory_inputs"])


def test_what_is_no_merging_is_not_taken_for_it(family, make_inputs, tmp_path):
    inputs = make_inputs((2, 1))

    def cast(model):
        model.half().float()

    def swap(model):
        for parameter in model.backbone.parameters():
            parameter.data = parameter.data * 1.5

    def train(model):
        model.backbone.requires_grad_(True)
        model(**inputs, labels=inputs["input_ids"]).loss.backward()
        torch.optim.AdamW(model.parameters(), lr=0.1, fused=True).step()

    def assign(model):
        for _ in range(2):
            other = make_backbone(family, seed=4).state_dict()
            model.load_state_dict(
                {**model.state_dict(), **{f"backbone.{k}": v for k, v in other.items()}}, assign=True
            )

    def merge_and_undo(model):
        adapted = get_peft_model(model, lora())
        adapted.merge_adapter()
        adapted.unmerge_adapter()

    for change in (cast, swap, train, assign, merge_and_undo):
        model = make_model(family)
        change(model)
        vectors(model, inputs)
        model.save_pretrained(tmp_path, memory_only=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lora_bias": True}, "cannot become the reader adapter: .* without biases or variants"),
        ({"use_dora": True}, "cannot become the reader adapter: .* without biases or variants"),
        ({"modules_to_save": ["lm_head"]}, "on 'lm_head' cannot become the reader adapter"),
        ({"bias": "lora_only"}, "comes with trained weights of the backbone itself, such as .*bias"),
    ],
)
def test_an_adapter_that_would_lose_a_part_is_not_adopted(settings, message):
    model = make_model("qwen2_vl")
    get_peft_model(model, lora(TEXT.replace("down_proj", "v_proj"), **settings))
    with pytest.raises(ValueError, match=message):
        model.adopt_reader_adapter()


def test_an_adopted_reader_knows_its_backbone(shared, make_inputs, tmp_path):
    get_peft_model(shared, lora(TEXT))
    shared.adopt_reader_adapter()
    shared.save_pretrained(tmp_path, memory_only=True)
    backbone = make_backbone(shared.config.backbone_config.model_type, seed=5)
    with pytest.raises(ValueError, match="was made for a backbone with the checksum"):
        CoMemForConditionalGeneration.from_pretrained(tmp_path, backbone=backbone)
    assert copy.deepcopy(shared).memory_fingerprint() == shared.memory_fingerprint()


def test_layers_of_any_kind_of_adapter_go_into_no_checkpoint(tmp_path):
    model = make_model("qwen2_vl")
    get_peft_model(model, IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]))
    with pytest.raises(ValueError, match="cannot hold what PEFT has put on its backbone"):
        model.save_pretrained(tmp_path)


def test_a_backbone_with_an_adapter_is_refused(family):
    backbone = make_backbone(family)
    adapted = get_peft_model(backbone, lora())
    with pytest.raises(ValueError, match="must be a plain vision-language model, .*merge_and_unload"):
        CoMemForConditionalGeneration.from_backbone(adapted)
    with pytest.raises(ValueError, match="adapters on it, such as on 'model.language_model.layers.0"):
        CoMemForConditionalGeneration.from_backbone(backbone)


def test_adapters_on_the_backbone_go_into_no_checkpoint(shared, make_inputs, tmp_path):
    inputs = make_inputs((2, 1))
    backbone = make_backbone(shared.config.backbone_config.model_type)
    inject_adapter_in_model(lora(), shared.backbone, "mine")
    with pytest.raises(ValueError, match="cannot hold what PEFT has put on its backbone, such as"):
        shared.save_pretrained(tmp_path / "full")
    shared.save_pretrained(tmp_path / "memory", memory_only=True)
    loaded = CoMemForConditionalGeneration.from_pretrained(tmp_path / "memory", backbone=backbone)
    assert torch.equal(vectors(loaded, inputs), vectors(shared, inputs))
