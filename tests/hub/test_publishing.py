"""Pushed to a Hub by the package, pulled by processes that do not have it."""

from dataclasses import asdict

import pytest

from tests.hub.conftest import ANSWER, greedy_tokens, needs_whole_copy
from tests.local_hub.server import HubServer
from tests.processes.alone import run_alone


pytestmark = pytest.mark.slow


def push(saved) -> dict:
    import torch
    from transformers import AutoModelForImageTextToText

    from comem_hf import CoMemForConditionalGeneration, CoMemProcessor

    backbone = AutoModelForImageTextToText.from_pretrained(saved["backbone"])
    commits = {"backbone": backbone.push_to_hub("ann/backbone").oid}
    model = CoMemForConditionalGeneration.from_pretrained(saved["full"])
    processor = CoMemProcessor.from_pretrained(saved["full"])
    model.push_to_hub("ann/full")
    commits["full"] = processor.push_to_hub("ann/full").oid
    processor.push_to_hub("ann/secret", private=True)

    lora_config = model.config.lora_config
    memory = CoMemForConditionalGeneration.from_backbone("ann/backbone", lora_config=lora_config)
    memory.load_memory_encoder(model.memory_encoder_state_dict())
    commits["memory"] = memory.push_to_hub("ann/memory", memory_only=True).oid

    with torch.no_grad():  # what happens to a repository later
        model.memory_encoder.resampler.norm.weight.mul_(-1)
        backbone.lm_head.weight.neg_()
    model.save_pretrained("changed", push_to_hub=True, repo_id="ann/full")
    backbone.push_to_hub("ann/backbone")
    return commits


def pull(commits, picture) -> dict:
    from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

    pinned = {"revision": commits["full"], "trust_remote_code": True}
    model = AutoModel.from_pretrained("ann/full", **pinned)
    processor = AutoProcessor.from_pretrained("ann/full", **pinned)
    changed = AutoModelForImageTextToText.from_pretrained("ann/full", trust_remote_code=True)
    memory = AutoModelForImageTextToText.from_pretrained("ann/memory", trust_remote_code=True)
    errors = []
    for name, revision in (("ann/nothing", None), ("ann/full", "nowhere"), ("ann/secret", None)):
        for auto_class in (AutoConfig, AutoModel, AutoProcessor):
            try:
                auto_class.from_pretrained(name, revision=revision, trust_remote_code=True, token=False)
            except OSError as error:
                errors.append(str(error))
    model.save_pretrained("again")
    processor.save_pretrained("again")
    memory.push_to_hub("bob/memory", memory_only=True)
    return {
        "pinned": greedy_tokens(model, processor, picture),
        "memory": greedy_tokens(memory, processor, picture),
        "changed": greedy_tokens(changed, processor, picture),
        "backbone": [memory.config.backbone_name_or_path, memory.config.backbone_revision],
        "errors": errors,
    }


def pull_again(folder, picture) -> list:
    from transformers import AutoModel, AutoProcessor

    trust = {"trust_remote_code": True}
    processor = AutoProcessor.from_pretrained(folder, **trust)
    models = (AutoModel.from_pretrained(name, **trust) for name in (folder, "bob/memory"))
    return [greedy_tokens(model, processor, picture) for model in models]


def answer_of(folder, picture) -> list[int]:
    from transformers import AutoModel, AutoProcessor

    model, processor = (each.from_pretrained(folder, trust_remote_code=True) for each in (AutoModel, AutoProcessor))
    return greedy_tokens(model, processor, picture)


def push_with_the_name_of_a_folder(backbone) -> list[str]:
    from comem_hf import CoMemForConditionalGeneration

    model = CoMemForConditionalGeneration.from_backbone(backbone)
    errors = []
    for push in (
        lambda: model.push_to_hub("ann/unnamed", memory_only=True),
        lambda: model.save_pretrained("out", memory_only=True, push_to_hub=True, repo_id="ann/unnamed"),
    ):
        try:
            push()
        except ValueError as error:
            errors.append(str(error))
    return errors


@pytest.fixture(scope="module")
def hub():
    with HubServer({"ann's": "ann", "bob's": "bob"}) as server:
        yield server


@pytest.fixture(scope="module")
def commits(hub, saved, tmp_path_factory) -> dict[str, str]:
    """The commits that were the latest before something changed."""
    folder = tmp_path_factory.mktemp("ann")
    environment = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": "ann's"}
    return run_alone(push, asdict(saved), folder=folder, hidden=(), **environment).result


@pytest.fixture(scope="module")
def pulled(hub, commits, saved, tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("bob")
    environment = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": "bob's"}
    done = run_alone(pull, commits, saved.picture, folder=folder, uses=ANSWER, **environment)
    return {**done.result, "again": str(folder / "again")}


def test_a_pinned_revision_answers_as_it_did_before_a_later_push(pulled, saved):
    assert pulled["pinned"] == saved.answer
    assert pulled["changed"] != saved.answer


def test_a_memory_only_repository_never_names_a_folder_as_its_backbone(hub, saved, tmp_path):
    environment = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": "ann's"}
    done = run_alone(push_with_the_name_of_a_folder, saved.backbone, folder=tmp_path, hidden=(), **environment)
    assert [f"but the backbone is {saved.backbone!r}: set `config.back" in error for error in done.result] == [
        True
    ] * 2
    assert ("model", "ann/unnamed") not in hub.repositories


def test_a_memory_only_repository_brings_the_backbone_it_was_made_for(pulled, saved, commits):
    assert pulled["memory"] == saved.answer
    assert pulled["backbone"] == ["ann/backbone", commits["backbone"]]


@needs_whole_copy
def test_what_was_pulled_can_be_saved_and_pushed_and_loads_again(hub, pulled, saved, tmp_path):
    done = run_alone(
        pull_again, pulled["again"], saved.picture, folder=tmp_path, uses=ANSWER, HF_ENDPOINT=hub.endpoint
    )
    assert done.result == [saved.answer] * 2


def test_what_cannot_be_pulled_is_refused_in_the_words_of_transformers(pulled):
    unknown, revision, private = pulled["errors"][:3], pulled["errors"][3:6], pulled["errors"][6:]
    assert all("ann/nothing is not a local folder and is not a valid model identifier" in error for error in unknown)
    assert all("nowhere is not a valid git identifier" in error for error in revision)
    assert all("If this is a private repository, make sure to pass a token" in error for error in private)
    assert len(unknown) == len(revision) == len(private) == 3


@needs_whole_copy
def test_a_pulled_model_needs_no_peft(hub, saved, pulled, tmp_path):
    done = run_alone(
        answer_of,
        pulled["again"],
        saved.picture,
        folder=tmp_path,
        uses=ANSWER,
        hidden=("comem_hf", "peft"),
        HF_ENDPOINT=hub.endpoint,
    )
    assert done.result == saved.answer
