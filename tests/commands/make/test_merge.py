"""`comem merge` on the command line."""

import pytest
from peft import PeftConfig
from transformers import AutoConfig


def test_merge_writes_a_plain_model_or_an_adapter(comem, model_folder, tmp_path):
    code, output, _ = comem("merge", model_folder, tmp_path / "merged")
    assert (code, output) == (0, f"Wrote the merged memory encoder to {tmp_path / 'merged'}.\n")
    assert AutoConfig.from_pretrained(tmp_path / "merged").model_type == "qwen2_vl"
    code, output, _ = comem("merge", model_folder, tmp_path / "adapter", "--adapter-only")
    assert (code, output) == (0, f"Wrote the adapter to {tmp_path / 'adapter'}.\n")
    assert PeftConfig.from_pretrained(tmp_path / "adapter").peft_type == "LORA"


def test_merge_replaces_a_folder_only_when_told(comem, model_folder, tmp_path):
    assert comem("merge", model_folder, tmp_path / "merged")[0] == 0
    code, _, error = comem("merge", model_folder, tmp_path / "merged")
    assert code == 2
    assert "is not empty; pass `--overwrite` to" in error
    assert comem("merge", model_folder, tmp_path / "merged", "--overwrite")[0] == 0


def test_merge_of_another_model_is_refused_in_one_line(comem, tmp_path):
    from tests.conftest import make_backbone

    make_backbone().save_pretrained(tmp_path / "backbone")
    code, _, error = comem("merge", tmp_path / "backbone", tmp_path / "merged")
    assert code == 2
    assert "holds a model of type 'qwen2_vl', not 'comem'" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "merged").exists()


def test_merge_takes_another_backbone_for_a_memory_only_model(comem, tmp_path):
    from tests.conftest import make_model

    model = make_model()
    model.backbone.save_pretrained(tmp_path / "backbone")
    model.config.backbone_name_or_path = str(tmp_path / "gone")
    model.save_pretrained(tmp_path / "memory", memory_only=True)
    code, _, error = comem("merge", tmp_path / "memory", tmp_path / "merged")
    assert code == 2
    assert "cannot be loaded" in error
    assert comem("merge", tmp_path / "memory", tmp_path / "merged", "--backbone", tmp_path / "backbone")[0] == 0


@pytest.mark.parametrize("option", [[], ["--adapter-only"]])
def test_a_model_without_a_memory_encoder_has_nothing_to_export(option, comem, tower_folder, tmp_path):
    code, _, error = comem("merge", tower_folder, tmp_path / "out", *option)
    assert (code, error) == (2, "Error: The model has no memory encoder to export, as its `num_memory_tokens` is 0.\n")
    assert not (tmp_path / "out").exists()
