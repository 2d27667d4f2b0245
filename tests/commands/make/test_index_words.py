"""`comem index-words`."""

import json
import shutil

from comem_hf import MemoryBank
from comem_hf.default import default_path
from tests.bank.conftest import forget_words


def test_a_bank_of_an_older_version_gets_its_words(comem, bank_folder, tmp_path):
    shutil.copytree(bank_folder, tmp_path / "bank")
    forget_words(tmp_path / "bank")
    found = comem("search", tmp_path / "bank", "--text", "fact 2", "--json")
    code, output, error = comem("index-words", tmp_path / "bank")
    assert (code, error) == (0, "") and output.startswith(
        "The words of 4 items are indexed in words-00001.safetensors,"
    )
    assert comem("search", tmp_path / "bank", "--text", "fact 2", "--json") == found
    facts = json.loads(comem("index-words", tmp_path / "bank", "--json")[1])  # changes nothing
    assert facts["bytes"] == (tmp_path / "bank" / facts["file"]).stat().st_size
    assert MemoryBank.from_pretrained(tmp_path / "bank").config.generation == 1


def test_the_bank_of_the_package_is_left_alone(comem):
    code, output, error = comem("index-words", default_path("bank"))
    assert (code, output) == (2, "") and "is part of the installed package" in error
