"""`comem push` on the command line, to a Hub over HTTP."""

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


def test_push_refuses_what_it_cannot_push_in_one_line(comem, hub, model_folder, tmp_path):
    for arguments, message in (
        ((tmp_path / "gone", "ann/bank"), "There is no folder"),
        ((tmp_path, "ann/bank"), "is no model folder: it has no config.json"),
        ((model_folder, "ann/model", "--license", "mit"), "--license is for banks, but"),
        ((model_folder, "bob/model"), "403"),
    ):
        code, _, error = comem("push", *arguments)
        assert code == 2 and message in error
    assert hub.repositories == {}
