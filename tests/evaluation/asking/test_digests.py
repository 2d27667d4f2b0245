import copy
import os

import torch

from comem_hf import MemoryBank, MemoryItem
from comem_hf.evaluation.asking.digests import digest_of_bank, digest_of_file, digest_of_folder, digest_of_model
from tests.conftest import make_image, make_model


def test_a_model_of_other_weights_has_another_digest():
    model = make_model()
    digest = digest_of_model(model)
    assert digest_of_model(make_model()) == digest
    other = copy.deepcopy(model)
    with torch.no_grad():
        list(other.parameters())[-1].view(-1)[0] += 1
    assert digest_of_model(other) != digest


def test_a_bank_of_other_items_has_another_digest(model, tiny_processor, bank, tmp_path):
    items = [MemoryItem(image=make_image(seed, (112, 84)), text="Another.", id=f"item-{seed}") for seed in range(4)]
    other = MemoryBank.build(items, model=model, processor=tiny_processor, output_dir=tmp_path / "bank")
    assert digest_of_bank(MemoryBank.from_pretrained(bank.folder)) == digest_of_bank(bank) != digest_of_bank(other)


def test_a_file_that_changed_is_read_again(tmp_path):
    path = tmp_path / "file"
    path.write_text("one")
    before, folder = digest_of_file(path), digest_of_folder(tmp_path)
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert digest_of_file(path) != before and digest_of_folder(tmp_path) != folder
