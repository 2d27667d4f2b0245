"""`comem push` on the command line, to a Hub over HTTP."""

import json

from transformers import AutoModel, AutoProcessor

from comem_hf import MemoryBank


def test_push_sends_a_bank_and_says_where_it_is(comem, hub, bank_folder):
    code, output, _ = comem("push", bank_folder, "ann/bank", "--private", "--license", "mit", "--message", "First")
    commit = hub.repositories["dataset", "ann/bank"].branches["main"]
    assert (code, output) == (0, f"Pushed {bank_folder} to {hub.endpoint}/datasets/ann/bank/commit/{commit}.\n")
    assert hub.repositories["dataset", "ann/bank"].is_private
    assert MemoryBank.from_pretrained("ann/bank").config.license == "mit"
    assert comem("push", bank_folder, "ann/other", "--repo-type", "model", "--create-pr")[1].endswith(
        "discussions/1.\n"
    )


def test_push_sends_a_model_with_its_processor(comem, hub, model_folder):
    code, output, _ = comem("push", model_folder, "ann/model")
    assert code == 0 and f"{hub.endpoint}/ann/model/commit/" in output
    pushed = AutoModel.from_pretrained("ann/model", trust_remote_code=True)
    kept = AutoModel.from_pretrained(model_folder, trust_remote_code=True)
    assert pushed.memory_fingerprint() == kept.memory_fingerprint()
    AutoProcessor.from_pretrained("ann/model", trust_remote_code=True)


def test_push_with_a_bank_sends_both_and_says_so_on_the_models_card(comem, hub, model_folder, bank_folder):
    code, output, _ = comem("push", model_folder, "ann/model", "--bank", bank_folder, "--private", "--json")
    assert code == 0
    assert [entry["folder"] for entry in json.loads(output)] == [str(model_folder), str(bank_folder)]
    assert hub.repositories.keys() == {("model", "ann/model"), ("dataset", "ann/model-bank")}
    assert all(repository.is_private for repository in hub.repositories.values())
    assert len(hub.committed) == 2
    card = hub.repositories["model", "ann/model"].files("main")["README.md"].content.decode()
    assert "| a memory bank for it | [ann/model-bank](" in card
    assert comem("push", model_folder, "ann/model", "--bank", bank_folder, "--bank-repo", "ann/other")[0] == 0
    assert ("dataset", "ann/other") in hub.repositories


def test_a_bank_that_is_pushed_with_its_model_names_the_models_repository_and_commit(
    comem, hub, model_folder, bank_folder
):
    assert comem("push", model_folder, "model", "--bank", bank_folder, "--bank-repo", "ann/bank")[0] == 0
    commit = hub.repositories["model", "ann/model"].branches["main"]
    bank = hub.repositories["dataset", "ann/bank"]
    assert MemoryBank.from_pretrained("ann/bank").config.model == {"id": "ann/model", "revision": commit}
    card = bank.files("main")["README.md"].content.decode()
    assert f"| memory encoder | `ann/model` at revision `{commit}` |" in card
    assert 'CoMemForConditionalGeneration.from_pretrained("ann/model")' in card
    assert 'MemoryBank.from_pretrained("ann/bank", model=model' in card
    before = bank.branches["main"]
    for again in (("push", bank_folder, "ann/bank"), ("push", model_folder, "ann/model", "--bank", bank_folder)):
        assert comem(*again, *(["--bank-repo", "ann/bank"] if "--bank" in again else []))[0] == 0
        assert bank.branches["main"] == before  # which still names the model
    assert comem("push", model_folder, "ann/new", "--bank", bank_folder, "--create-pr")[0] == 0
    files = hub.repositories["dataset", "ann/new-bank"].files("refs/pr/1")
    assert json.loads(files["bank_config.json"].content)["model"] == {"id": "ann/new", "revision": None}


def test_push_refuses_what_it_cannot_push_in_one_line(comem, hub, model_folder, bank_folder, tmp_path):
    other_bank, bad_card = tmp_path / "other", tmp_path / "bad"
    for folder in (other_bank, bad_card):
        MemoryBank.from_pretrained(bank_folder).save_pretrained(folder)
    config = (other_bank / "bank_config.json").read_text()
    fingerprint = json.loads(config)["memory_fingerprint"]
    (other_bank / "bank_config.json").write_text(config.replace(fingerprint, "f" * 64))
    (bad_card / "README.md").write_text("---\nlicense: apache\n---\n")
    for arguments, message in (
        ((tmp_path / "gone", "ann/bank"), "There is no folder"),
        ((tmp_path, "ann/bank"), "is neither a model nor a memory bank: no config.json, no bank_config.json"),
        ((model_folder, "ann/model", "--license", "MIT"), "`license` must be an identifier of the Hub, such as"),
        ((model_folder, "ann/model", "--repo-type", "model"), "--repo-type is for banks, but"),
        ((model_folder, "ann/model", "--bank-repo", "ann/bank"), "--bank-repo says where a bank goes, but no --bank"),
        ((model_folder, "ann/model", "--bank", tmp_path), "is no memory bank: it has no bank_config.json"),
        ((model_folder, "ann/model", "--bank", other_bank), "does not fit the model"),
        ((model_folder, "ann/model", "--results", tmp_path / "a.json"), "holds no results of `comem evaluate"),
        ((bank_folder, "ann/bank", "--bank", bank_folder), "--bank is for models, but"),
        ((bad_card, "ann/bank"), "of '" + str(bad_card) + "' is not valid: `license` 'apache' is not an identifier"),
        ((model_folder, "bob/model"), "You may not write to the model repository 'bob/model': log in"),
    ):
        code, _, error = comem("push", *arguments)
        assert code == 2 and message in error and error.count("\n") == 1
    assert hub.repositories == {}
