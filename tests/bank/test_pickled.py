"""Banks in copies, in pickles and in other processes."""

import copy
import multiprocessing
import pickle
import shutil

import pytest
from torch.utils.data import DataLoader, Dataset

from comem_hf import MemoryBank
from tests.bank.conftest import publish
from tests.conftest import make_image


def test_a_pickle_names_the_folder_and_holds_no_data(bank, model, tiny_processor, monkeypatch):
    monkeypatch.chdir(bank.folder.parent)
    relative = MemoryBank.from_pretrained("bank", model=model, processor=tiny_processor)
    data = pickle.dumps(relative)
    assert len(data) < 1000 and str(bank.folder).encode() in data
    monkeypatch.chdir("/")
    opened = pickle.loads(data)
    assert opened.config == bank.config and opened["item-3"].text == bank["item-3"].text
    with pytest.raises(ValueError, match=r"call `bank.attach\(model, processor\)` first"):
        opened.search(image=make_image(3))
    opened.attach(model, tiny_processor)
    assert opened.search(image=make_image(3), k=2) == bank.search(image=make_image(3), k=2)


def test_a_bank_that_has_been_moved_is_missed_by_its_old_name(mine, tmp_path):
    data = pickle.dumps(mine)
    shutil.move(mine.folder, tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="if it was moved, open it by its new name.*No memory bank at") as error:
        pickle.loads(data)
    assert str(mine.folder) in str(error.value) and "\n" not in str(error.value)


def test_a_pickle_of_a_bank_of_the_hub_names_its_commit_and_no_token(hub, bank, tmp_path):
    commit = publish(hub, bank.folder)
    lazy = MemoryBank.from_pretrained("ann/bank", memories="lazy", token="ann's", cache_dir=str(tmp_path / "mine"))
    publish(hub, bank.folder, **{"bank_config.json": b"{}"})
    data = pickle.dumps(lazy)
    assert b"ann's" not in data
    opened = pickle.loads(data)
    assert opened.folder == lazy.folder and opened.folder.name == commit
    assert opened["item-3"].text == bank["item-3"].text


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_a_copy_is_attached_and_changed_on_its_own(mine, new_items, make):
    query = make_image(20)
    copied = make(mine)
    assert copied.search(image=query) == mine.search(image=query)
    mine.add(new_items)
    assert mine.search(image=query)[0].item.id == "new-20"
    assert len(copied) == 7 and copied.search(image=query)[0].item.id != "new-20"
    assert copied.reload().search(image=query)[0].item.id == "new-20"


def test_a_copy_can_be_attached_to_another_device_of_the_same_model(mine, model, tiny_processor):
    embedder = mine._state.search.embedder()
    copy.deepcopy(mine).attach(copy.deepcopy(model), tiny_processor)
    assert mine._state.search.embedder() is embedder


class StoredMemory(Dataset):
    """What a data set of a training could read from a bank in each worker."""

    def __init__(self, bank):
        self.bank = bank

    def __len__(self):
        return len(self.bank)

    def __getitem__(self, number):
        item_id = self.bank.ids[number]
        return self.bank[item_id].text, self.bank.memory_inputs([[item_id]])["memory_embeds"]


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_of_a_data_loader_read_items_and_memory(bank, start):
    dataset = StoredMemory(bank)
    loader = DataLoader(
        dataset, batch_size=None, num_workers=2, multiprocessing_context=multiprocessing.get_context(start)
    )
    expected = [dataset[number] for number in range(7)]
    found = list(loader)
    assert [text for text, _ in found] == [text for text, _ in expected]
    assert all(memory.equal(other) for (_, memory), (_, other) in zip(found, expected, strict=True))


class Searches(Dataset):
    def __init__(self, bank):
        self.bank = bank

    def __len__(self):
        return 2

    def __getitem__(self, seed):
        return [hit.item.id for hit in self.bank.search(image=make_image(seed), k=3)]


def test_forked_workers_search_with_the_model_that_they_inherit(bank):
    searches = Searches(bank)
    expected = [searches[seed] for seed in range(2)]
    fork = multiprocessing.get_context("fork")
    loader = DataLoader(searches, batch_size=None, num_workers=2, multiprocessing_context=fork, timeout=60)
    assert list(loader) == expected
