"""`comem pull` and `comem info` on repositories, over HTTP, with and without a network."""

import json

import pytest

from comem_hf import MemoryBank
from tests.commands.share.conftest import facts, sent
from tests.conftest import make_backbone
from tests.local_hub.repository import Repository


def test_pull_copies_a_model_and_a_bank_whole(comem, pushed, model_folder, bank_folder, tmp_path):
    code, output, _ = comem("pull", "ann/model", tmp_path / "model")
    assert (code, facts(output)) == (0, {"commit": pushed["model"], "folder": str(tmp_path / "model")})
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == (model_folder / "model.safetensors").read_bytes()
    assert not any(path.is_symlink() for path in (tmp_path / "model").iterdir())
    code, output, _ = comem("pull", "ann/model-bank", tmp_path / "bank", "--json")
    found = {"kind": "bank", "repo_type": "dataset", "commit": pushed["dataset"], "folder": str(tmp_path / "bank")}
    assert (code, json.loads(output)) == (0, found)
    assert MemoryBank.from_pretrained(tmp_path / "bank").ids == MemoryBank.from_pretrained(bank_folder).ids
    assert comem("info", tmp_path / "model", "--bank", tmp_path / "bank")[0] == 0


def test_pull_without_a_folder_fills_the_cache_and_says_where(comem, hub, pushed):
    code, output, _ = comem("pull", "ann/model", "--revision", pushed["model"])
    folder = facts(output)["folder"]
    assert code == 0 and folder.endswith(pushed["model"])
    count = len(sent(hub))
    assert comem("pull", "ann/model")[:2] == (0, output)
    assert len(sent(hub)) == count
    assert comem("info", folder)[0] == 0


def test_a_bank_may_have_the_name_of_its_model(comem, hub, model_folder, bank_folder, picture):
    assert comem("push", model_folder, "ann/both", "--bank", bank_folder, "--bank-repo", "ann/both")[0] == 0
    assert comem("info", "ann/both", "--bank", "ann/both")[0] == 0
    assert comem("search", "ann/both", "--image", picture, "--model", "ann/both")[0] == 0


@pytest.mark.parametrize("command", ["pull", "info"])
def test_what_cannot_be_read_is_one_sentence(comem, hub, pushed, command, monkeypatch):
    make_backbone().push_to_hub("ann/plain")
    hub.repositories["model", "ann/empty"] = Repository("ann/empty")
    hub.repositories["model", "ann/model"].is_private = True
    for arguments, message in (
        (["ann/nothing"], "no repository of that name on the Hub that you can read: for a private one, log in"),
        (
            ["ann/model", "--revision", "nowhere"],
            "There is no revision 'nowhere' of 'ann/model': give a branch, a tag or a",
        ),
        (["ann/plain"], "'ann/plain' is a 'qwen2_vl' model, not a CoMEM model"),
        (["ann/empty"], "'ann/empty' is neither a model nor a memory bank: no config.json, no bank_config.json"),
        (["no folder"], "There is no folder 'no folder'"),
        (["ann/model", "--repo-type", "space"], "`repo_type` must be 'model' or 'dataset', got 'space'"),
    ):
        code, output, error = comem(command, *arguments)
        assert (code, output) == (2, "") and message in error and error.count("\n") == 1
    for token in ("bob's", ""):
        monkeypatch.setenv("HF_TOKEN", token)
        assert (
            "no repository of that name on the Hub that you can read: for a private one"
            in comem(command, "ann/model")[2]
        )


def test_pull_never_writes_into_what_is_there(comem, hub, pushed, tmp_path, model_folder):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("mine")
    code, _, error = comem("pull", "ann/model", tmp_path / "full")
    assert code == 2 and "full' is not empty; choose a new folder." in error
    assert comem("pull", model_folder)[2].endswith("is a folder here already; give the id of a repository.\n")


def test_a_damaged_file_is_removed_from_the_cache_and_pulled_again(comem, pushed, tmp_path):
    folder = tmp_path / facts(comem("pull", "ann/model")[1])["folder"]
    for name in ("model.safetensors", "config.json"):
        content = (folder / name).read_bytes()
        (folder / name).resolve().write_bytes(content[:-1] + b" ")
        code, _, error = comem("pull", "ann/model")
        assert code == 2 and f"{name} of 'ann/model' was damaged in the cache and is removed from there" in error
        assert comem("pull", "ann/model")[0] == 0
        assert (folder / name).read_bytes() == content


def test_without_a_network_a_warm_cache_is_enough_and_a_cold_one_is_named(comem, pushed, disconnect, tmp_path):
    warm = [comem("pull", name) for name in ("ann/model", "ann/model-bank")]
    disconnect()
    for name, before in zip(("ann/model", "ann/model-bank"), warm, strict=True):
        code, output, _ = comem("pull", name)
        assert (code, output) == before[:2]
        assert comem("pull", name, tmp_path / name)[0] == 0
        assert comem("info", name)[0] == 0
    for command in ("pull", "info"):
        code, output, error = comem(command, "ann/other")
        assert (code, output) == (2, "")
        assert error.endswith(
            "Error: 'ann/other' is neither a folder here nor complete in the cache, and the Hub cannot be reached.\n"
        )


def test_without_a_network_models_and_banks_are_used_from_the_cache_or_named(
    comem, pushed, disconnect, default, picture
):
    used = ("--model", "ann/model", "--bank", "ann/model-bank", "--max-new-tokens", 2)
    assert comem("ask", "--image", picture, "What?", *used)[0] == 0
    disconnect()
    assert comem("ask", "--image", picture, "What?", *used)[0] == 0
    message = "'ann/other' is neither a folder here nor complete in the cache, and the Hub cannot be reached."
    for arguments in (["ask", "What?", "--model"], ["search"], ["search", "--model"]):
        found = comem(*arguments, "ann/other", "--image", picture)
        assert found == (2, "", f"Error: {message}\n")  # and not a word of the client's, which would try again
