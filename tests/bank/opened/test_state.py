"""Opening, copying and checking banks; what is damaged or foreign is refused by name."""

import faiss
import numpy as np
import pytest

from comem_hf import MemoryBank
from comem_hf.bank.format.config import BankConfig
from comem_hf.bank.opened.integrity import check_files
from tests.bank.conftest import replace_file


def test_the_card_describes_the_bank_and_may_be_edited(bank, copy):
    card = (copy / "README.md").read_text()
    assert "# Memory bank of 7 items" in card and bank.config.memory_fingerprint in card
    (copy / "README.md").write_text(card + "\nMore about these items.\n")
    MemoryBank.from_pretrained(copy).verify()


def test_a_large_bank_is_hashed_only_by_verify(copy):
    content = bytearray((copy / "items-00002.parquet").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "items-00002.parquet").write_bytes(content)
    config = BankConfig.load(copy)
    size = sum(config.files[name]["size"] for name in config.data_files())
    check_files(copy, config, hash_up_to=size - 1)
    with pytest.raises(ValueError, match="items-00002.parquet' is damaged: its sha256"):
        check_files(copy, config, hash_up_to=size)


def test_a_folder_that_is_no_bank_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no memory bank: it has no bank_config.json"):
        MemoryBank.from_pretrained(tmp_path)


def test_a_name_that_is_neither_folder_nor_repository_is_refused(tmp_path):
    for name in (tmp_path / "nothing", "./nothing", "a/b/c", ""):
        with pytest.raises(ValueError, match="neither a folder nor the id of a Hub repository|is no memory bank"):
            MemoryBank.from_pretrained(name)


def test_a_repository_that_cannot_be_reached_is_named(tmp_path):
    with pytest.raises(OSError, match="'someone/some-bank' is neither a folder here nor"):
        MemoryBank.from_pretrained("someone/some-bank", cache_dir=tmp_path, local_files_only=True)


def test_an_index_of_another_kind_or_none_at_all_is_refused(copy):
    replace_file(copy, "index.faiss", lambda path: faiss.write_index(faiss.IndexFlatL2(64), str(path)))
    with pytest.raises(ValueError, match="index.faiss' is damaged: IndexFlatL2 does not compare by 'cosine'"):
        MemoryBank.from_pretrained(copy)
    replace_file(copy, "index.faiss", lambda path: path.write_bytes(b"no index at all"))
    with pytest.raises(ValueError, match="is not a readable FAISS index"):
        MemoryBank.from_pretrained(copy)


def test_an_index_that_refers_to_another_file_is_refused(copy, tmp_path):
    index = faiss.index_factory(128, "IVF1,Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(np.ones((64, 128), dtype=np.float32))
    elsewhere = faiss.OnDiskInvertedLists(1, index.code_size, str(tmp_path / "lists"))
    index.replace_invlists(elsewhere, False)
    index.add(np.ones((7, 128), dtype=np.float32))
    replace_file(copy, "index.faiss", lambda path: faiss.write_index(index, str(path)))
    with pytest.raises(ValueError, match="index.faiss' is damaged: it refers to the file '.*lists'"):
        MemoryBank.from_pretrained(copy)


def test_an_index_of_another_length_is_refused(copy):
    index = faiss.IndexFlatIP(128)
    index.add(np.zeros((6, 128), dtype=np.float32))
    replace_file(copy, "index.faiss", lambda path: faiss.write_index(index, str(path)))
    with pytest.raises(ValueError, match="must hold 7 vectors of 128 numbers, got 6 of 128"):
        MemoryBank.from_pretrained(copy)


def test_files_that_are_not_of_their_kind_are_refused(copy):
    replace_file(copy, "memory-00000.safetensors", lambda path: path.write_bytes(b"?" * 100))
    with pytest.raises(ValueError, match="memory-00000.safetensors' is damaged"):
        MemoryBank.from_pretrained(copy).memory_inputs([["item-0"]])
    replace_file(copy, "items-00000.parquet", lambda path: path.write_bytes(b"?" * 100))
    with pytest.raises(ValueError, match="items-00000.parquet' is damaged"):
        MemoryBank.from_pretrained(copy)["item-0"]
