"""A memory-only checkpoint finds its backbone; a full one keeps no trace of local folders."""

import pytest
import torch
from transformers import AutoModel, AutoModelForImageTextToText
from transformers.utils import logging

from comem_hf import CoMemForConditionalGeneration
from tests.conftest import make_backbone, make_model


REPOSITORY, COMMIT = "someone/tiny", "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path):
    """Arguments under which `REPOSITORY` is found in a cache, at `COMMIT`."""
    folder = tmp_path / "cache" / f"models--{REPOSITORY.replace('/', '--')}"
    make_backbone().save_pretrained(folder / "snapshots" / COMMIT)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    return {"cache_dir": str(tmp_path / "cache"), "local_files_only": True}


def test_a_memory_only_checkpoint_names_repository_and_commit(hub, tmp_path):
    model = CoMemForConditionalGeneration.from_backbone(REPOSITORY, backbone_kwargs=hub, lora_config={"r": 2})
    assert (model.config.backbone_name_or_path, model.config.backbone_revision) == (REPOSITORY, COMMIT)
    model.save_pretrained(tmp_path / "memory", memory_only=True)
    model.save_pretrained(tmp_path / "full")
    for name in ("memory", "full"):
        loaded = AutoModel.from_pretrained(tmp_path / name, **hub)
        assert (loaded.config.backbone_name_or_path, loaded.config.backbone_revision) == (REPOSITORY, COMMIT)
        assert loaded.memory_fingerprint() == model.memory_fingerprint()


def test_a_loaded_backbone_from_the_hub_is_pinned_to_the_commit_in_the_cache(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", hub["cache_dir"])
    backbone = AutoModelForImageTextToText.from_pretrained(REPOSITORY)
    model = CoMemForConditionalGeneration.from_backbone(backbone)
    assert (model.config.backbone_name_or_path, model.config.backbone_revision) == (REPOSITORY, COMMIT)
    model = CoMemForConditionalGeneration.from_backbone(backbone, backbone_revision="v1")
    assert model.config.backbone_revision == "v1"


def test_a_loaded_backbone_that_is_in_no_cache_is_not_pinned_and_that_is_said(hub, monkeypatch):
    heard = []
    monkeypatch.setattr(logging.get_logger("comem_hf.modeling.backbone_comem"), "warning", heard.append)
    backbone = AutoModelForImageTextToText.from_pretrained(REPOSITORY, **hub)
    model = CoMemForConditionalGeneration.from_backbone(backbone)
    assert (model.config.backbone_name_or_path, model.config.backbone_revision) == (REPOSITORY, None)
    warning = f"commit of {REPOSITORY} from which `backbone` was loaded is not known; give it as `backbone_rev"
    assert warning in heard[0]
    CoMemForConditionalGeneration.from_backbone(make_backbone())
    assert len(heard) == 1


@pytest.mark.parametrize("named", [None, "someone/else"])
def test_a_repository_that_is_given_as_backbone_is_recorded_with_its_commit(hub, tmp_path, named):
    model = make_model()
    model.config.backbone_name_or_path, model.config.backbone_revision = named, named and "v1"
    model.save_pretrained(tmp_path / "memory", memory_only=True)
    load = CoMemForConditionalGeneration.from_pretrained
    config = load(tmp_path / "memory", backbone=REPOSITORY, **hub).config
    assert (config.backbone_name_or_path, config.backbone_revision) == (REPOSITORY, COMMIT)
    for given in (model.backbone, tmp_path / "cache" / "models--someone--tiny" / "snapshots" / COMMIT):
        config = load(tmp_path / "memory", backbone=given).config
        assert (config.backbone_name_or_path, config.backbone_revision) == (named, named and "v1")


def test_a_memory_only_checkpoint_takes_the_arguments_that_a_full_one_takes(family, tmp_path):
    model, folder = make_model(family), tmp_path / "memory"
    model.backbone.save_pretrained(tmp_path / "backbone")
    model.save_pretrained(folder, memory_only=True)
    load = CoMemForConditionalGeneration.from_pretrained
    loaded, info = load(
        folder,
        backbone=tmp_path / "backbone",
        memory_order="reversed",
        decode_position_offset=4000,
        dtype=torch.bfloat16,
        output_loading_info=True,
    )
    assert (loaded.config.memory_order, loaded.config.decode_position_offset) == ("reversed", 4000)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}
    assert not any(info.values())
    with pytest.raises(ValueError, match="`memory_order` must be one of .* got 'backwards'"):
        load(folder, backbone=model.backbone, memory_order="backwards")
    with pytest.raises(ValueError, match=r"\['dtype'\] are for loading a backbone, but `backbone` is a loaded model"):
        load(folder, backbone=model.backbone, dtype=torch.bfloat16)


def test_a_memory_only_checkpoint_without_a_name_comes_with_a_warning(tmp_path, monkeypatch):
    warnings = []
    logger = logging.get_logger("comem_hf.modeling.checkpoint_comem")
    monkeypatch.setattr(logger, "warning", warnings.append)
    model = make_model()
    model.save_pretrained(tmp_path)
    assert not warnings
    model.save_pretrained(tmp_path, memory_only=True)
    assert "can be loaded with `backbone=` only; set `config.backbone_name_or_path`" in warnings[0]


def test_nothing_memory_only_is_pushed_that_names_no_repository_as_its_backbone(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", lambda *args, **kwargs: pytest.fail("pushed"))
    make_backbone().save_pretrained(tmp_path / "backbone")
    model = CoMemForConditionalGeneration.from_backbone(str(tmp_path / "backbone"), lora_config={"r": 2})
    pushes = (
        lambda: model.push_to_hub("ann/memory", memory_only=True),
        lambda: model.save_pretrained(tmp_path / "out", push_to_hub=True, repo_id="ann/memory", memory_only=True),
    )
    for name in (str(tmp_path / "backbone"), None):
        model.config.backbone_name_or_path = name
        for push in pushes:
            with pytest.raises(
                ValueError, match=f"the backbone is {name!r}: set `config.backbone_name_or_path`.* before"
            ):
                push()
    assert not (tmp_path / "out").exists()


def test_a_full_checkpoint_holds_no_local_path(family, tmp_path):
    make_backbone(family).save_pretrained(tmp_path / "backbone")
    model = CoMemForConditionalGeneration.from_backbone(str(tmp_path / "backbone"), lora_config={"r": 2})
    model.save_pretrained(tmp_path / "full")
    AutoModel.from_pretrained(tmp_path / "full").save_pretrained(tmp_path / "again")
    model.save_pretrained(tmp_path / "memory", memory_only=True)
    for name, times in (("full", 0), ("again", 0), ("memory", 1)):
        assert (tmp_path / name / "config.json").read_text().count(str(tmp_path)) == times
    assert model.config.backbone_name_or_path == str(tmp_path / "backbone")
