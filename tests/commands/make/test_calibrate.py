"""`comem calibrate`."""

import json

import pytest

from comem_hf import MemoryBank, MemoryItem
from tests.conftest import make_image, make_model


def test_calibrate_gives_a_merged_bank_its_probabilities(comem, model_folder, tiny_processor, tmp_path):
    items = [MemoryItem(image=make_image(n), text=f"Fact {n}.", id=str(n)) for n in range(12)]
    built = MemoryBank.build(items, model=make_model(), processor=tiny_processor, output_dir=tmp_path / "built")
    MemoryBank.merge([built], tmp_path / "bank")
    arguments = ("calibrate", tmp_path / "bank", "--model", model_folder)
    code, output, error = comem(*arguments)
    assert code == 0, error
    assert [line.split("\t")[1] for line in output.splitlines()] == ["pictures", "Brier score"]
    found, expected = MemoryBank.from_pretrained(tmp_path / "bank").config.calibration, built.config.calibration
    assert found.pop("weights") == pytest.approx(expected.pop("weights"), abs=1e-4)  # a fit, rounded in its last digit
    assert found == expected
    fitted = json.loads(comem(*arguments, "--pictures", 9, "--json")[1])
    assert (fitted["folder"], fitted["items"], fitted["pictures"]) == (str(tmp_path / "bank"), 12, 9)
    assert comem(*arguments, "--pictures", 3)[0] == 2


def test_a_bank_of_few_items_is_refused(comem, model_folder, bank_folder):
    code, output, error = comem("calibrate", bank_folder, "--model", model_folder)
    assert (code, output) == (2, "") and "cannot be calibrated: the bank has 4 items" in error
