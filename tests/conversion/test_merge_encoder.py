"""The memory encoder goes out as a model that transformers, or PEFT on the backbone, loads without this package."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoTokenizer, GenerationConfig

# Under its short name the class asks for torchvision in early versions of transformers 5.
from transformers.models.auto.image_processing_auto import AutoImageProcessor

from comem_hf import CoMemForConditionalGeneration
from comem_hf.conversion import export_adapter, merge_encoder
from tests.conftest import CHAT_TEMPLATE, make_backbone, make_image, make_model
from tests.conversion.conftest import hidden_states


# Loading into a plain backbone is PEFT's code, not ours, and so are its deprecations.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


@pytest.mark.parametrize("kind", ["loaded", "full", "memory-only"])
def test_a_merged_encoder_is_a_plain_model_with_the_same_hidden_states(model, items, tmp_path, kind):
    expected = hidden_states(model.memory_encoder.model, items)
    before = model.memory_fingerprint()
    source = model
    if kind != "loaded":
        model.backbone.save_pretrained(tmp_path / "backbone")
        model.config.backbone_name_or_path = str(tmp_path / "backbone")
        model.save_pretrained(tmp_path / "model", memory_only=kind == "memory-only")
        model.config.backbone_name_or_path = None
        source = tmp_path / "model"
    assert merge_encoder(source, tmp_path / "merged", max_shard_size="100KB") == tmp_path / "merged"

    merged, info = AutoModelForImageTextToText.from_pretrained(tmp_path / "merged", output_loading_info=True)
    assert not any(info.values())
    assert type(merged) is type(model.backbone)
    assert torch.allclose(hidden_states(merged.model, items), expected, atol=1e-5)
    assert not torch.allclose(hidden_states(make_backbone(model.backbone.config.model_type).model, items), expected)
    assert torch.equal(merged.lm_head.weight, model.backbone.lm_head.weight)
    assert model.memory_fingerprint() == before
    assert len(list((tmp_path / "merged").glob("model-*.safetensors"))) > 1
    assert str(tmp_path) not in (tmp_path / "merged" / "config.json").read_text()


@pytest.mark.parametrize("memory_only", [False, True])
def test_a_merged_encoder_generates_by_the_models_settings(tmp_path, memory_only):
    model = make_model()
    model.backbone.save_pretrained(tmp_path / "backbone")
    model.config.backbone_name_or_path = str(tmp_path / "backbone")
    model.generation_config = GenerationConfig(repetition_penalty=1.05, eos_token_id=[5, 6], pad_token_id=5)
    model.save_pretrained(tmp_path / "model", memory_only=memory_only)
    merge_encoder(tmp_path / "model", tmp_path / "merged")
    settings = json.loads((tmp_path / "merged" / "generation_config.json").read_text())
    assert (settings["repetition_penalty"], settings["eos_token_id"], settings["pad_token_id"]) == (1.05, [5, 6], 5)


def test_a_merged_encoder_has_the_names_that_the_backbone_is_published_under(model, tmp_path):
    merge_encoder(model, tmp_path / "merged")
    model.backbone.save_pretrained(tmp_path / "backbone")
    merged, plain = (load_file(tmp_path / name / "model.safetensors") for name in ("merged", "backbone"))
    assert merged.keys() == plain.keys()


@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_tied_embeddings_stay_tied_unless_the_encoder_has_others(items, tmp_path, encoder):
    backbone = make_backbone(tie_word_embeddings=True)
    backbone.config.tie_word_embeddings = True
    backbone.tie_weights()
    model = CoMemForConditionalGeneration.from_backbone(backbone, encoder=encoder).eval()
    merge_encoder(model, tmp_path / "same")
    merged = AutoModelForImageTextToText.from_pretrained(tmp_path / "same")
    assert merged.lm_head.weight is merged.get_input_embeddings().weight
    if encoder == "adapter":
        return
    with torch.no_grad():
        model.memory_encoder.model.get_input_embeddings().weight.mul_(2)
    merge_encoder(model, tmp_path / "other")
    merged = AutoModelForImageTextToText.from_pretrained(tmp_path / "other")
    assert torch.equal(merged.lm_head.weight, backbone.lm_head.weight)
    assert torch.allclose(hidden_states(merged.model, items), hidden_states(model.memory_encoder.model, items))


def test_tokenizer_and_image_processor_come_along_as_the_backbones_own(tiny_processor, tmp_path):
    make_model().save_pretrained(tmp_path / "model")
    tiny_processor.save_pretrained(tmp_path / "model")
    merge_encoder(tmp_path / "model", tmp_path / "merged")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert tokenizer("What?").input_ids == tiny_processor.tokenizer("What?").input_ids
    assert tokenizer.chat_template == CHAT_TEMPLATE
    image_processor = AutoImageProcessor.from_pretrained(tmp_path / "merged", backend="pil")
    pixels = image_processor(make_image(), return_tensors="pt").pixel_values
    assert torch.equal(pixels, tiny_processor.image_processor(make_image(), return_tensors="pt").pixel_values)
    for file in (tmp_path / "merged").glob("*.json"):
        assert "CoMem" not in file.read_text(), file


def test_the_source_is_never_overwritten(tmp_path):
    make_model().save_pretrained(tmp_path / "model")
    for write in (merge_encoder, export_adapter):
        for output in (tmp_path / "model", tmp_path / "model" / "merged"):
            with pytest.raises(ValueError, match="must not be, contain or lie in the input folder"):
                write(tmp_path / "model", output, overwrite=True)


@pytest.mark.parametrize("write", [merge_encoder, export_adapter])
def test_a_memory_only_model_whose_backbone_is_gone_takes_another_folder(tmp_path, write):
    model = make_model()
    model.backbone.save_pretrained(tmp_path / "backbone")
    model.config.backbone_name_or_path = str(tmp_path / "gone")
    model.save_pretrained(tmp_path / "memory", memory_only=True)
    with pytest.raises(OSError, match="pass a local folder or a loaded model as `backbone=`"):
        write(tmp_path / "memory", tmp_path / "output")
    write(tmp_path / "memory", tmp_path / "output", backbone=tmp_path / "backbone")
    assert (tmp_path / "output").is_dir()


def test_a_backbone_with_broken_weights_is_not_merged_into(tmp_path):
    model = make_model()
    with torch.no_grad():
        model.backbone.lm_head.weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match="`lm_head.weight` in the model holds values that are not finite"):
        merge_encoder(model, tmp_path / "merged")
    assert not any(tmp_path.iterdir())
