"""`comem build-bank`, `comem search` and `comem info`."""

import json

import pytest

from comem_hf import MemoryBank
from comem_hf.commands.use.search import read_conditions
from tests.conftest import make_backbone
from tests.process import run_alone


def test_build_bank_makes_a_bank_of_the_items_in_the_file(bank_folder):
    bank = MemoryBank.from_pretrained(bank_folder)
    assert bank.ids == [f"item-{number}" for number in range(4)]
    assert (bank["item-2"].text, bank["item-2"].metadata) == ("Fact 2.", {"source": "test"})


def test_build_bank_refuses_a_folder_that_has_a_bank(comem, items_file, bank_folder, model_folder):
    code, _, error = comem("build-bank", items_file, bank_folder, "--model", model_folder)
    assert code == 2
    assert "already holds a memory bank" in error
    assert comem("build-bank", items_file, bank_folder, "--model", model_folder, "--overwrite")[0] == 0


@pytest.mark.parametrize(
    "line, message",
    [
        ("{", r"items.jsonl', line 2: Expecting property name"),
        ("[1]", r"items.jsonl', line 2: expected a JSON object, got '[1]'."),
        ('{"id": "x"}', r"items.jsonl', line 2: A memory item needs an image, a text or both, got neither (id 'x')."),
        ('{"image": 3}', r"items.jsonl', line 2: `image` must be a path, got 3."),
        ('{"text": 3}', r"items.jsonl', line 2: `text` must be a string, got int."),
        ('{"image": "gone.png"}', r"Item 1: cannot read image"),
        ("\xff", r"items.jsonl', line 2: Expecting value"),
    ],
)
def test_build_bank_names_the_line_of_a_bad_item(comem, items_file, model_folder, tmp_path, line, message):
    first = json.loads(items_file.read_text().splitlines()[0])
    first["image"] = str(items_file.parent / first["image"])
    (tmp_path / "items.jsonl").write_text(json.dumps(first) + "\n" + line)
    arguments = ("build-bank", tmp_path / "items.jsonl", tmp_path / "bank", "--model", model_folder)
    code, _, error = comem(*arguments, "--on-error", "raise")
    assert code == 2
    assert message in error.splitlines()[-1]
    assert not (tmp_path / "bank").exists()


def test_build_bank_skips_bad_items_and_says_how_many(comem, items_file, model_folder, tmp_path):
    (tmp_path / "items.jsonl").write_text(f'{{"id": "x"}}\n{{"image": "{items_file.parent}/pictures/0.png"}}\n[1]\n')
    code, output, _ = comem("build-bank", tmp_path / "items.jsonl", tmp_path / "bank", "--model", model_folder)
    assert (code, output.splitlines()[1:]) == (0, ["bank\titems\t1", "bank\tskipped\t2"])
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "bank" / "skipped.jsonl").read_text().splitlines()]
    assert reasons[1].endswith("items.jsonl', line 3: expected a JSON object, got '[1]'.")


def test_build_bank_reads_a_folder_of_images(comem, items_file, model_folder, tmp_path):
    arguments = ("build-bank", items_file.parent / "pictures", tmp_path / "bank", "--model", model_folder)
    assert comem(*arguments, "--shard-size", 3, "--metric", "l2", "--index", "HNSW8", "--license", "cc0-1.0")[0] == 0
    config = MemoryBank.from_pretrained(tmp_path / "bank").config
    assert (config.shard_sizes, config.metric, config.index["factory"]) == ([3, 1], "l2", "HNSW8")
    assert config.license == "cc0-1.0"


def test_build_bank_refuses_what_is_no_source(comem, model_folder, tmp_path):
    (tmp_path / "items.csv").write_text("image")
    code, _, error = comem("build-bank", tmp_path / "items.csv", tmp_path / "bank", "--model", model_folder)
    assert code == 2 and "is no source of items: give a .jsonl file, a .tsv" in error


def test_build_bank_names_an_items_file_that_is_missing(comem, model_folder, tmp_path):
    code, _, error = comem("build-bank", tmp_path / "none.jsonl", tmp_path / "bank", "--model", model_folder)
    assert code == 2
    assert error.endswith("none.jsonl': No such file or directory.\n")


def test_search_prints_the_hits(comem, default, picture, model_folder, bank_folder):
    expected = comem("search", bank_folder, "--image", picture, "--top-k", 2, "--model", model_folder)
    assert expected == comem("search", "--image", picture, "--top-k", 2)
    code, output, _ = expected
    assert code == 0
    rank, score, item_id, text = output.splitlines()[0].split("\t")[1:]
    assert (rank, item_id, text) == ("1", "item-2", "Fact 2.")
    assert 0.9 < float(score) <= 1.0
    assert len(output.splitlines()) == 2


def test_search_finds_among_items_with_the_metadata_asked_for(comem, bank_folder, model_folder, picture):
    arguments = ("search", bank_folder, "--image", picture, "--model", model_folder, "--top-k", 9)
    assert len(comem(*arguments, "--where", "source=other", "--where", "source=test")[1].splitlines()) == 4
    assert comem(*arguments, "--where", "source=other")[1] == ""
    assert comem(*arguments, "--where", "source") == (2, "", "Error: `--where` must be FIELD=VALUE, got 'source'.\n")


def test_conditions_are_json_where_they_can_be():
    assert read_conditions(["year=2000", "year=2001", "language=en", 'id="7"', "a=b=c"]) == {
        "year": [2000, 2001],
        "language": ["en"],
        "id": ["7"],
        "a": ["b=c"],
    }


def test_search_without_a_query_or_without_a_bank_is_refused(comem, default, tmp_path, picture):
    assert comem("search") == (2, "", "Error: Nothing to search for: give `--image` or `--text`.\n")
    code, _, error = comem("search", tmp_path, "--image", picture)
    assert code == 2 and error.endswith("is no memory bank: it has no bank_config.json.\n")


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
    assert (model["backbone"], model["memory encoder"], bank["items"]) == ("qwen2_vl", "adapter", "4")
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
    assert code == 0 and output.endswith("verified\t4 files, all 4 rows\n")
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
