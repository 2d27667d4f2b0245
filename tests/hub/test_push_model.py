"""A model's folder goes to the Hub as it is: whole, in one commit, and nothing else."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor

from comem_hf.cards.generated import is_generated
from comem_hf.hub.checkpoint import Checkpoint
from comem_hf.hub.push_model import ModelPublisher
from tests.conftest import make_backbone, make_model
from tests.hub.conftest import ANSWER, greedy_tokens, needs_whole_copy
from tests.local_hub.repository import File
from tests.processes.alone import run_alone


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def saved_once(model, tiny_processor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    tiny_processor.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved_once, tmp_path):
    """A copy that a test may change."""
    copy = tmp_path / "model"
    copy.mkdir()
    for path in saved_once.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def files_of(hub, name="ann/model", revision="main") -> dict[str, bytes]:
    return {path: file.content for path, file in hub.repositories["model", name].files(revision).items()}


def uploads(hub) -> int:
    return sum(method == "PUT" for method, _ in hub.requests)


def test_everything_goes_in_one_commit_and_loads_where_the_package_is_not_used(hub, folder, model):
    for name in ("checkpoint-8/model.safetensors", "training_args.bin", ".env", "notes.txt", "LICENSE"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    commit = ModelPublisher(folder).push("model", license="mit", languages=["en"])
    assert len(hub.committed) == 1
    files = files_of(hub)
    assert commit.oid == hub.repositories["model", "ann/model"].branches["main"]
    assert files["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    expected = {path.name for path in folder.iterdir() if path.is_file()} | {"README.md"}
    assert files.keys() == expected - {"training_args.bin", ".env", "notes.txt"}
    card = files["README.md"].decode()
    assert is_generated(card) and 'AutoProcessor.from_pretrained("ann/model")' in card
    assert (ModelCard(card).data.license, ModelCard(card).data.language) == ("mit", ["en"])
    pulled = AutoModel.from_pretrained("ann/model", trust_remote_code=True)
    assert pulled.memory_fingerprint() == model.memory_fingerprint()
    AutoProcessor.from_pretrained("ann/model", trust_remote_code=True)


def test_a_second_push_sends_nothing_and_makes_no_commit(hub, folder):
    first = ModelPublisher(folder).push("ann/model", license="mit")
    sent = uploads(hub)
    assert ModelPublisher(folder).push("ann/model").oid == first.oid
    assert len(hub.committed) == 1 and uploads(hub) == sent


def test_old_code_and_the_paths_of_this_machine_do_not_go_along(hub, folder):
    (folder / "modeling_comem.py").write_text("old")
    values = json.loads((folder / "config.json").read_text())
    del values["auto_map"]
    values["backbone_name_or_path"] = values["_name_or_path"] = str(folder)
    (folder / "config.json").write_text(json.dumps(values))
    ModelPublisher(folder).push("ann/model")
    files = files_of(hub)
    assert "AutoModelForImageTextToText" in json.loads(files["config.json"])["auto_map"]
    assert str(folder) not in files["config.json"].decode()
    assert b"class CoMemForConditionalGeneration" in files["modeling_comem.py"]


def test_a_card_of_the_folders_own_goes_along_and_a_bad_one_is_refused_before_there_is_a_repository(hub, folder):
    (folder / "README.md").write_text("---\nlicense: apache\n---\n# Mine\n")
    with pytest.raises(ValueError, match="The metadata of the card README.md is not valid: `license` 'apache'"):
        ModelPublisher(folder).push("ann/model")
    (folder / "README.md").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="The card '.*README.md' is not text in UTF-8"):
        ModelPublisher(folder).push("ann/model")
    assert hub.repositories == {} and uploads(hub) == 0
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    ModelPublisher(folder).push("ann/model")
    assert files_of(hub)["README.md"] == b"---\nlicense: mit\n---\n# Mine\n"


def test_a_card_that_was_edited_on_the_hub_stays(hub, folder):
    ModelPublisher(folder).push("ann/model")
    hub.repositories["model", "ann/model"].commit("main", {"README.md": File(b"# Edited\n"), "a.txt": File(b"a")})
    (folder / "generation_config.json").write_text('{"max_new_tokens": 7}')
    ModelPublisher(folder).push("ann/model", license="mit")
    ((added, deleted),) = hub.committed[1:]
    assert "generation_config.json" in added and not deleted  # older clients send all small files again
    assert files_of(hub)["README.md"] == b"# Edited\n" and "a.txt" in files_of(hub)


def test_weights_under_other_names_are_deleted_in_the_same_commit(hub, model, folder, tmp_path):
    model.save_pretrained(tmp_path / "sharded", max_shard_size="100kB")
    ModelPublisher(tmp_path / "sharded").push("ann/model")
    shards = {name for name in files_of(hub) if "safetensors" in name}
    assert len(shards) > 2 and "model.safetensors" not in shards
    AutoModel.from_pretrained("ann/model", trust_remote_code=True)
    ModelPublisher(folder).push("ann/model")
    added, deleted = hub.committed[-1]
    assert deleted == shards and "model.safetensors" in added


def test_a_memory_only_checkpoint_names_its_backbone_or_is_refused(hub, model, tmp_path, monkeypatch):
    model.save_pretrained(tmp_path / "unnamed", memory_only=True)
    with pytest.raises(ValueError, match="with the Hub id of its backbone, but the backbone is None"):
        ModelPublisher(tmp_path / "unnamed")
    monkeypatch.setattr(model.config, "backbone_name_or_path", "ann/backbone")
    make_backbone().push_to_hub("ann/backbone")
    model.save_pretrained(tmp_path / "memory", memory_only=True)
    ModelPublisher(tmp_path / "memory").push("ann/memory")
    card = ModelCard(files_of(hub, "ann/memory")["README.md"].decode())
    assert (card.data.base_model, card.data.base_model_relation) == ("ann/backbone", "adapter")
    pulled = AutoModel.from_pretrained("ann/memory", trust_remote_code=True)
    assert pulled.memory_fingerprint() == model.memory_fingerprint()


def test_the_fingerprint_is_that_of_the_weights_without_loading_them(model, folder, family, tmp_path):
    for number, options in enumerate(({}, {"encoder": "separate"})):
        other = make_model(family, **options)
        other.save_pretrained(tmp_path / str(number))
        values = json.loads((tmp_path / str(number) / "config.json").read_text())
        assert values.pop("memory_fingerprint") == other.memory_fingerprint()
        (tmp_path / str(number) / "config.json").write_text(json.dumps(values))
        assert Checkpoint.open(tmp_path / str(number)).memory_fingerprint() == other.memory_fingerprint()


def results_of(fingerprint: str) -> dict:
    return {
        "command": "comem evaluate",
        "model": {"memory_fingerprint": fingerprint},
        "bank": {"items": 4},
        "data": {"file": "flags.jsonl", "sha256": "f" * 64},
        "questions": 12,
        "top_k": 3,
        "scores": [{"way": "no memory", "exact_match": 0.25, "positions": 10.0}],
    }


def test_results_and_bank_stay_on_the_card_as_long_as_the_weights_are_the_same(hub, folder, tmp_path, tiny_processor):
    publisher = ModelPublisher(folder)
    (tmp_path / "scores.json").write_text(json.dumps(results_of(publisher.memory_fingerprint)))
    publisher.push("ann/model", results=tmp_path / "scores.json", bank_id="ann/bank")
    publisher.push("ann/model")
    assert len(hub.committed) == 1
    AutoModel.from_pretrained(folder).push_to_hub("ann/model")
    assert "| a memory bank for it | [ann/bank](" in files_of(hub)["README.md"].decode()
    other = make_model(seed=5)
    other.save_pretrained(tmp_path / "other")
    tiny_processor.save_pretrained(tmp_path / "other")
    ModelPublisher(tmp_path / "other").push("ann/model")
    files = files_of(hub)
    assert "evaluation.json" not in files
    assert "ann/bank" not in files["README.md"].decode() and "model-index" not in files["README.md"].decode()
    hub.repositories["model", "ann/model"].commit("main", {"evaluation.json": File(b"mine")})
    ModelPublisher(tmp_path / "other").push("ann/model")
    assert files_of(hub)["evaluation.json"] == b"mine"


def test_benchmarks_are_pushed_and_stay_on_the_card_as_long_as_the_weights_are_the_same(
    hub, folder, tmp_path, tiny_processor
):
    publisher = ModelPublisher(folder)
    row = {"benchmark": "okvqa", "language": "en", "questions": 5, "sha256": "f" * 64, "scorer": "official"}
    row |= {"metric": "accuracy", "way": "memory", "top_k": 3, "score": 40, "low": 20, "high": 60, "positions": 9}
    found = {"command": "comem evaluate", "protocol": "release", "results": [row]}
    found["model"] = {"memory_fingerprint": publisher.memory_fingerprint}
    (folder / "benchmarks.json").write_text(json.dumps(found))
    publisher.push("ann/model")
    (folder / "benchmarks.json").unlink()
    ModelPublisher(folder).push("ann/model")
    assert json.loads(files_of(hub)["benchmarks.json"]) == found
    assert ModelCard(files_of(hub)["README.md"].decode()).data.eval_results[0].metric_value == 40
    make_model(seed=5).save_pretrained(tmp_path / "other")
    tiny_processor.save_pretrained(tmp_path / "other")
    ModelPublisher(tmp_path / "other").push("ann/model")
    assert "benchmarks.json" not in files_of(hub) and "model-index" not in files_of(hub)["README.md"].decode()


def test_revision_private_and_results_are_as_asked(hub, folder, tmp_path):
    publisher = ModelPublisher(folder)
    found = results_of(publisher.memory_fingerprint)
    (tmp_path / "scores.json").write_text(json.dumps(found))
    publisher.push("ann/model", private=True, revision="next", results=tmp_path / "scores.json", commit_message="One")
    assert hub.repositories["model", "ann/model"].is_private
    assert files_of(hub) == {}
    files = files_of(hub, revision="next")
    assert json.loads(files["evaluation.json"]) == found
    assert ModelCard(files["README.md"].decode()).data.eval_results[0].metric_value == 0.25
    publisher.push("ann/public")
    with pytest.raises(
        ValueError, match="`private` is given, but the model repository 'ann/public' already exists and is public"
    ):
        publisher.push("ann/public", private=True)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("config.json", '{"model_type": "bert"}', "is a 'bert' model, not a CoMEM model"),
        ("config.json", "{", "config.json of .* is not valid JSON"),
        ("model.safetensors", "", "model.safetensors in .* is truncated or corrupt"),
    ],
)
def test_what_is_no_whole_model_is_refused(hub, folder, name, content, message):
    (folder / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        ModelPublisher(folder)
    assert hub.requests == []


def test_tensors_that_are_missing_or_of_another_shape_are_named(folder, tmp_path):
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"num_memory_tokens": 4}))
    with pytest.raises(ValueError, match="has shape \\(8, 64\\), but this model needs \\(4, 64\\)"):
        ModelPublisher(folder)
    (folder / "config.json").write_text(json.dumps(values | {"memory_only": True, "backbone_name_or_path": "a/b"}))
    with pytest.raises(ValueError, match="has unknown tensors, .* such as backbone"):
        ModelPublisher(folder)


def test_who_may_not_write_is_told_to_log_in(hub, folder, monkeypatch):
    for token, name in (("bob's", "ann/model"), ("ann's", "bob/model")):
        with pytest.raises(OSError, match=f"You may not write to the model repository '{name}': log in"):
            ModelPublisher(folder).push(name, token=token)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(OSError, match="You may not write to the model repository 'ann/model': log in"):
        ModelPublisher(folder).push("ann/model", private=True)


KILLED = """
import sys
from pathlib import Path
from comem_hf.hub.push_model import ModelPublisher
ModelPublisher(Path(sys.argv[1])).push("ann/model")
"""


@pytest.mark.slow
def test_a_push_that_is_killed_leaves_no_half_and_can_be_repeated(hub, folder, tmp_path):
    environment = {"HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    environment["HF_HOME"] = str(tmp_path / "home")
    process = subprocess.Popen([sys.executable, "-c", KILLED, folder], env={**os.environ, **environment})

    class KillingStore(dict):
        def __setitem__(self, oid, content):
            process.kill()
            process.wait()
            super().__setitem__(oid, content)

    hub.lfs_objects = KillingStore()
    assert process.wait(60) == -signal.SIGKILL, "the push ended before it could be killed"
    hub.lfs_objects = dict(hub.lfs_objects)
    assert files_of(hub) == {}
    ModelPublisher(folder).push("ann/model")
    assert len(hub.committed) == 1 and "model.safetensors" in files_of(hub)


def load_and_answer(picture) -> list:
    from transformers import AutoModel, AutoProcessor

    trust = {"trust_remote_code": True}
    processor = AutoProcessor.from_pretrained("ann/full", **trust)
    models = (AutoModel.from_pretrained(name, **trust) for name in ("ann/full", "ann/memory"))
    return [greedy_tokens(model, processor, picture) for model in models]


@needs_whole_copy
@pytest.mark.slow
def test_what_was_pushed_answers_the_same_in_a_process_without_the_package(hub, saved, tmp_path):
    backbone = AutoModelForImageTextToText.from_pretrained(saved.backbone)
    revision = backbone.push_to_hub("ann/backbone").oid
    memory = tmp_path / "memory"
    shutil.copytree(saved.memory_only, memory)
    values = json.loads((memory / "config.json").read_text())
    values |= {"backbone_name_or_path": "ann/backbone", "backbone_revision": revision}
    (memory / "config.json").write_text(json.dumps(values))
    for folder, name in ((Path(saved.full), "ann/full"), (memory, "ann/memory")):
        ModelPublisher(folder).push(name)
    done = run_alone(load_and_answer, saved.picture, folder=tmp_path / "alone", uses=ANSWER, HF_ENDPOINT=hub.endpoint)
    assert done.result == [saved.answer] * 2
