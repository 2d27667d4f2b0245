"""What `comem info` says of models and banks, in folders and on the Hub."""

import json
import shutil

import pytest

from comem_hf import CoMemProcessor, MemoryBank
from comem_hf.bank.format.config import BankConfig
from comem_hf.commands.share.info import bank_rows
from comem_hf.default import default_path
from comem_hf.hub.describe import describe_bank
from comem_hf.modeling.picture_pixels_comem import PICTURE_RULES
from tests.commands.share.conftest import facts, sent
from tests.conftest import make_backbone, make_model
from tests.modeling.test_reader import make_language_model
from tests.processes.alone import run_alone


def test_info_of_repositories_downloads_configurations_alone(comem, hub, pushed, model_folder, bank_folder):
    for name, folder in (("ann/model", model_folder), ("ann/model-bank", bank_folder)):
        code, output, _ = comem("info", name)
        assert code == 0
        if name == "ann/model":
            of_hub = {"commit": pushed["model"]}
        else:
            of_hub = {"commit": pushed["dataset"], "model": "ann/model"}
        assert facts(output) == facts(comem("info", folder)[1]) | of_hub
    large = [name for name in sent(hub) if name not in ("config.json", "bank_config.json")]
    assert large == ["model.safetensors"]  # its header
    assert hub.ranges == [(0, 100_000)]


def test_info_says_whether_a_bank_fits(comem, pushed, bank_folder, tmp_path):
    code, output, _ = comem("info", "ann/model", "--bank", "ann/model-bank", "--json")
    found = json.loads(output)
    assert (code, found["fits"], found["kind"], found["checkpoint"]) == (0, True, "model", "full")
    assert found["bank"]["memory_fingerprint"] == found["memory_fingerprint"]
    assert found["parameters"] > found["memory_parameters"] > 0
    MemoryBank.from_pretrained(bank_folder).save_pretrained(tmp_path / "other")
    config = (tmp_path / "other" / "bank_config.json").read_text()
    (tmp_path / "other" / "bank_config.json").write_text(config.replace(found["memory_fingerprint"], "f" * 64))
    code, output, error = comem("info", "ann/model", "--bank", tmp_path / "other")
    assert code == 2 and facts(output)["fits"] == "no"
    assert facts(output)["fingerprint of the bank"] == "f" * 64
    for part in ("does not fit the model 'ann/model'", "f" * 64, found["memory_fingerprint"]):
        assert part in error
    assert "allow_changed_model" not in error and "float32" not in error  # of Python, and no reason
    assert comem("info", "ann/model", "--bank", "ann/model")[2] == (
        "Error: 'ann/model' is no memory bank: it has no bank_config.json.\n"
    )


def test_info_refuses_a_bank_where_a_search_would(comem, model_folder, bank_folder, picture, tmp_path):
    """Another processor beside the same weights: each setting that decides the vectors of items."""
    for number, (name, value) in enumerate(
        {"memory_max_pixels": 112 * 112, "image_mean": [0.5, 0.5, 0.5], "do_rescale": False}.items()
    ):
        folder = tmp_path / str(number)
        shutil.copytree(model_folder, folder)
        processor = CoMemProcessor.from_pretrained(folder)
        setattr(processor if name.startswith("memory") else processor.image_processor, name, value)
        processor.save_pretrained(folder)
        code, output, error = comem("info", folder, "--bank", bank_folder, "--json")
        assert (code, json.loads(output)["fits"]) == (2, False) and f"`{name}`" in error
        code, _, error = comem("search", bank_folder, "--model", folder, "--image", picture)
        assert code == 2 and name in error
        code, _, error = comem("push", folder, "ann/model", "--bank", bank_folder)
        assert code == 2 and f"`{name}`" in error


def test_info_cannot_tell_whether_a_bank_fits_a_model_without_a_processor(comem, bank_folder, tmp_path):
    make_model().save_pretrained(tmp_path / "model")
    code, output, error = comem("info", tmp_path / "model", "--bank", bank_folder)
    assert code == 2 and facts(output)["fits"] == "unknown"
    assert "Cannot tell whether the bank" in error and "has no processor; save the processor beside it." in error


def test_info_verifies_a_bank_of_a_repository(comem, pushed):
    code, output, _ = comem("info", "ann/model-bank", "--verify", "--json")
    assert code == 0 and json.loads(output)["verified"] == {"files": 4, "rows": 4}


def test_without_a_network_and_with_the_configuration_alone_info_says_what_it_can(
    comem, pushed, disconnect, default, picture
):
    comem("info", "ann/model")
    disconnect()
    code, output, _ = comem("info", "ann/model")
    assert code == 0 and facts(output)["size"] == "unknown: the Hub cannot be reached"
    code, _, error = comem("pull", "ann/model")
    assert code == 2 and "nor complete in the cache, and the Hub cannot be reached" in error
    code, _, error = comem("search", "--image", picture, "--model", "ann/model")
    assert code == 2 and "nor complete in the cache, and the Hub cannot be reached" in error


def info_alone(folder) -> list[str]:
    import contextlib
    import io
    import sys

    from comem_hf.commands import main

    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main(["info", folder, "--json"])
    return sorted({"faiss", "peft", "pyarrow", "transformers.modeling_utils"} & set(sys.modules))


def test_info_of_a_bank_imports_nothing_that_searches_or_answers(bank_folder, tmp_path):
    assert run_alone(info_alone, str(bank_folder), folder=tmp_path, hidden=()).result == []


def test_info_says_that_a_model_and_its_bank_fit(comem, model_folder, bank_folder):
    facts = []
    for folder in (model_folder, bank_folder):
        code, output, _ = comem("info", folder)
        assert code == 0
        facts.append(dict(line.split("\t")[1:] for line in output.splitlines()))
    model, bank = facts
    assert model["memory fingerprint"] == bank["memory fingerprint"]
    assert (model["backbone"], model["memory encoder"], bank["items"]) == ("qwen2_vl", "adapter of rank 4", "4")
    assert model["reader"] == "the backbone, unchanged"
    assert model["memory per item"] == "8 x 64" and bank["memory per item"] == "8 x 64 float32"


def test_info_of_a_bank_says_what_it_holds_and_verifies_it(comem, bank_folder, tmp_path):
    folder = tmp_path / "bank"
    MemoryBank.from_pretrained(bank_folder).save_pretrained(folder)
    MemoryBank.from_pretrained(folder).remove(["item-2"])
    code, output, _ = comem("info", folder)
    facts = dict(line.split("\t")[1:] for line in output.splitlines())
    assert code == 0 and "verified" not in facts
    assert len(facts) == len(output.splitlines())
    names = ("items", "removed items", "generation", "shards", "index")
    assert [facts[name] for name in names] == ["3", "1", "1", "1", "Flat, cosine, recall 1.000"]
    assert {"size on disk", "size of memory", "size of items", "size of index"} <= facts.keys()
    code, output, _ = comem("info", folder, "--verify")
    assert code == 0 and output.endswith("verified\t5 files, all 4 rows\n")
    content = bytearray((folder / "items-00000.parquet").read_bytes())
    content[50] ^= 1
    (folder / "items-00000.parquet").write_bytes(content)
    code, _, error = comem("info", "--verify", folder)
    assert code == 2 and "items-00000.parquet' is damaged" in error


def test_only_banks_are_verified(comem, model_folder):
    code, _, error = comem("info", "--verify", model_folder)
    assert code == 2 and error.endswith("is no memory bank: only banks can be verified.\n")


def test_info_of_another_model_or_folder_is_refused(comem, tmp_path):
    code, _, error = comem("info", tmp_path)
    assert code == 2 and "is neither a model nor a memory bank" in error
    make_backbone().save_pretrained(tmp_path)
    code, _, error = comem("info", tmp_path)
    assert code == 2 and "is a 'qwen2_vl' model, not a CoMEM model." in error


def test_info_says_how_many_texts_are_cut(bank_folder):
    config = BankConfig.load(bank_folder)
    assert "items with a cut text" not in dict(bank_rows(describe_bank(config)))
    config.cut_texts = 3
    assert dict(bank_rows(describe_bank(config)))["items with a cut text"] == 3


def test_info_says_what_is_known_of_how_a_bank_was_made(comem, bank_folder, tmp_path):
    known = facts(comem("info", bank_folder)[1])
    assert (known["picture rules"], known["processor settings"]) == (
        str(PICTURE_RULES),
        "known",
    ) and "made in" not in known
    shutil.copytree(bank_folder, tmp_path / "old")
    config = json.loads((tmp_path / "old" / "bank_config.json").read_text()) | {"precision": "4 bit"}
    del config["processor"], config["picture_rules"]
    (tmp_path / "old" / "bank_config.json").write_text(json.dumps(config))
    old = facts(comem("info", tmp_path / "old")[1])
    assert (old["picture rules"], old["made in"]) == ("1", "4 bit, not exact")
    assert old["processor settings"] == "unknown: an older version made the bank"
    found = json.loads(comem("info", tmp_path / "old", "--json")[1])
    assert (found["precision"], found["picture_rules"], found["processor_known"]) == ("4 bit", 1, False)


def test_a_model_without_a_memory_encoder_has_no_fingerprint_and_no_bank_fits_it(comem, tower_folder, bank_folder):
    code, output, _ = comem("info", tower_folder)
    assert code == 0 and "memory fingerprint" not in facts(output)
    assert json.loads(comem("info", tower_folder, "--json")[1])["memory_fingerprint"] is None
    code, output, error = comem("info", tower_folder, "--bank", bank_folder)
    assert (code, facts(output)["fits"]) == (2, "no")
    assert error.startswith(f"Error: No memory bank fits {str(tower_folder)!r}: it has no memory encoder")


def test_info_says_what_a_text_only_reader_is(comem, tmp_path):
    make_model(reader=make_language_model("llama", width=48), reader_prompt="after_vision").save_pretrained(tmp_path)
    reader = facts(comem("info", tmp_path)[1])["reader"]
    assert reader.startswith("a text-only `llama` model in the backbone's place: ") and "of width 48" in reader
    assert reader.endswith("; vocabulary: its own; it reads the prompt after the first picture")


def test_info_says_where_memory_enters_and_counts_all_of_it(comem, tmp_path):
    slots = {"num_slots": 24, "projector_hidden": 8, "vision_adapter_rank": 2}
    model = make_model(num_memory_tokens=0, ffn_memory_config=slots, vision_memory_config={})
    model.save_pretrained(tmp_path)
    code, output, _ = comem("info", tmp_path)
    rows, own = facts(output), sum(parameter.numel() for parameter in model.own_parameters().values())
    assert code == 0 and rows["memory encoder"] == "none: the model takes no items" and "memory per item" not in rows
    assert rows["memory enters the feed-forward layers"].startswith("24 slots, filled with the features of pictures")
    assert "memory enters the vision tower" in rows and rows["of the memory"].startswith(f"{own:,} (")
    found = json.loads(comem("info", tmp_path, "--json")[1])
    assert (list(found["places"]), found["encoder"]) == (["feed-forward layers", "vision tower"], None)
    assert (found["memory_parameters"], found["parameters"]) == (own, model.num_parameters())


def test_info_tells_and_draws_the_probabilities_of_a_bank(comem, bank_folder, model_folder, tmp_path):
    pytest.importorskip("matplotlib")
    code, output, _ = comem("info", default_path("bank"), "--plot", tmp_path / "scores.png")
    facts = dict(line.split("\t")[1:] for line in output.splitlines())
    assert code == 0 and (tmp_path / "scores.png").read_bytes()[:4] == b"\x89PNG"
    assert facts["probabilities of hits"] == "Brier score 0.032, fitted to 225 pictures"
    assert json.loads(comem("info", default_path("bank"), "--json")[1])["calibration"]["pictures"] == 225
    assert (
        dict(line.split("\t")[1:] for line in comem("info", bank_folder)[1].splitlines())["probabilities of hits"]
        == "none"
    )
    for name, message in ((bank_folder, "not calibrated"), (model_folder, "only banks can be plotted")):
        code, output, error = comem("info", name, "--plot", tmp_path / "none.png")
        assert (code, output) == (2, "") and message in error
