"""`comem build-bank`, `comem search` and `comem info`."""

import json
import shutil

import PIL.Image
import pytest

from comem_hf import MemoryBank


def test_build_bank_makes_a_bank_of_the_items_in_the_file(bank_folder):
    bank = MemoryBank.from_pretrained(bank_folder)
    assert bank.ids == [f"item-{number}" for number in range(4)]
    assert (bank["item-2"].text, bank["item-2"].metadata) == ("Fact 2.", {"source": "test"})


def test_build_bank_refuses_a_folder_that_has_a_bank(comem, items_file, bank_folder, model_folder):
    code, _, error = comem("build-bank", items_file, bank_folder, "--model", model_folder)
    assert code == 2
    assert error == f"Error: '{bank_folder}' already holds a memory bank; pass `--overwrite` to replace it.\n"
    assert comem("build-bank", items_file, bank_folder, "--model", model_folder, "--overwrite")[0] == 0


@pytest.mark.parametrize(
    "line, message",
    [
        ("{", r"items.jsonl', line 2: Expecting property name"),
        ("[1]", r"items.jsonl', line 2: expected a JSON object, got '[1]'."),
        ('{"id": "x"}', r"items.jsonl', line 2: A memory item needs an image, a text or both, got neither (id 'x')."),
        ('{"image": 3}', r"items.jsonl', line 2: `image` must be a path or a picture in base64, got 3."),
        ('{"text": 3}', r"items.jsonl', line 2: `text` must be a string, got int."),
        ('{"image": "gone.png"}', r"line 2: `image` names '{folder}/gone.png', and there is no such file; `--images`"),
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
    assert message.replace("{folder}", str(tmp_path)) in error.splitlines()[-1]
    assert not (tmp_path / "bank").exists()


def test_build_bank_skips_bad_items_and_says_how_many(comem, items_file, model_folder, tmp_path):
    (tmp_path / "items.jsonl").write_text(f'{{"id": "x"}}\n{{"image": "{items_file.parent}/pictures/0.png"}}\n[1]\n')
    code, output, _ = comem("build-bank", tmp_path / "items.jsonl", tmp_path / "bank", "--model", model_folder)
    assert (code, output.splitlines()[1:]) == (0, ["bank\titems\t1", "bank\tskipped\t2"])
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "bank" / "skipped.jsonl").read_text().splitlines()]
    assert reasons[1].endswith("items.jsonl', line 3: expected a JSON object, got '[1]'.")


def test_build_bank_opens_pictures_up_to_the_size_it_is_told(comem, items_file, model_folder, monkeypatch, tmp_path):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 10**6)  # which the command sets
    for pixels, usable in ((100, 0), (10_000, 4)):
        arguments = ("build-bank", items_file, tmp_path / str(pixels), "--model", model_folder, "--json")
        code, output, error = comem(*arguments, "--max-pixels", pixels)
        assert (code, PIL.Image.MAX_IMAGE_PIXELS) == (0 if usable else 2, pixels)
        if usable:
            assert json.loads(output)["items"] == usable
        else:
            assert "Set `PIL.Image.MAX_IMAGE_PIXELS` to more to open it" in error


def test_build_bank_counts_repetitions_apart(comem, items_file, model_folder, tmp_path):
    line = json.dumps({"image": f"{items_file.parent}/pictures/0.png", "shop": "A"})
    other = line.replace('"A"', '"B"')
    (tmp_path / "items.jsonl").write_text(f"{line}\n{other}\n{line}\n[1]\n{line}\n")
    arguments = ("build-bank", tmp_path / "items.jsonl", tmp_path / "bank", "--model", model_folder)
    code, output, _ = comem(*arguments)
    expected = ["bank\titems\t2", "bank\tskipped\t1", "bank\trepeated\t2"]
    assert (code, output.splitlines()[1:]) == (0, expected)
    code, output, _ = comem(*arguments, "--overwrite", "--json")
    assert json.loads(output) == {"folder": str(tmp_path / "bank"), "items": 2, "skipped": 1, "repeated": 2} | {
        "other_files": 0
    }


def test_build_bank_counts_files_that_it_does_not_read_apart(comem, items_file, model_folder, tmp_path):
    shutil.copytree(items_file.parent / "pictures", tmp_path / "pictures")
    for name in ("a.zip", "b.zip"):
        (tmp_path / "pictures" / name).write_bytes(b"no picture")
    code, output, _ = comem("build-bank", tmp_path / "pictures", tmp_path / "bank", "--model", model_folder)
    expected = ["bank\titems\t4", "bank\tskipped\t0", "bank\tother files\t2"]
    assert (code, output.splitlines()[1:]) == (0, expected)


def test_build_bank_reads_a_folder_of_images(comem, items_file, model_folder, tmp_path):
    arguments = ("build-bank", items_file.parent / "pictures", tmp_path / "bank", "--model", model_folder)
    code, _, error = comem(*arguments, "--num-memory-tokens", 9)
    assert code == 2 and "`num_memory_tokens` must be a number from 1 to 8" in error
    assert not (tmp_path / "bank").exists()
    options = ("--shard-size", 3, "--metric", "l2", "--index", "HNSW8", "--license", "cc0-1.0")
    assert comem(*arguments, *options, "--num-memory-tokens", 2)[0] == 0
    config = MemoryBank.from_pretrained(tmp_path / "bank").config
    assert config.num_memory_tokens == 2
    assert (config.shard_sizes, config.metric, config.index["factory"]) == ([3, 1], "l2", "HNSW8")
    assert config.license == "cc0-1.0"


def test_build_bank_refuses_what_is_no_source(comem, model_folder, tmp_path):
    (tmp_path / "items.xyz").write_text("image")
    code, _, error = comem("build-bank", tmp_path / "items.xyz", tmp_path / "bank", "--model", model_folder)
    assert code == 2 and "is no source of items: give a .csv, .tsv, .jsonl" in error


def test_build_bank_makes_a_bank_of_an_export_with_the_embedded_model(comem, items_file, default, tmp_path):
    lines = ["Nr;Foto;Titel;Preis", "007;0.png;Stuhl;12,50", "8;1.png;Bänke;1.299,00", "9;gone.png;Tisch;3"]
    (tmp_path / "export.csv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    arguments = ["build-bank", tmp_path / "export.csv", tmp_path / "bank", "--images", items_file.parent / "pictures"]
    code, _, error = comem(*arguments, "--image-column", "foto")
    assert (
        code == 2 and "has no column 'foto' (did you mean 'Foto'?); its columns are Nr, Foto, Titel, Preis." in error
    )
    columns = ("--image-column", "Foto", "--text-column", "Titel", "--id-column", "Nr")
    code, output, _ = comem(*arguments, *columns, "--json")
    assert code == 0 and (json.loads(output)["items"], json.loads(output)["skipped"]) == (2, 1)
    bank = MemoryBank.from_pretrained(tmp_path / "bank")
    assert [(id, bank[id].text, bank[id].metadata) for id in bank.ids] == [
        ("007", "Stuhl", {"Preis": 12.5}),
        ("8", "Bänke", {"Preis": 1299.0}),
    ]


def test_build_bank_names_an_items_file_that_is_missing(comem, model_folder, tmp_path):
    code, _, error = comem("build-bank", tmp_path / "none.jsonl", tmp_path / "bank", "--model", model_folder)
    assert code == 2
    assert error.endswith("none.jsonl': No such file or directory.\n")
