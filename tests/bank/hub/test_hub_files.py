"""Banks opened from a Hub over HTTP: one commit, checked, and lazily only what hits need."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from comem_hf import MemoryBank
from tests.bank.conftest import publish
from tests.conftest import make_image
from tests.local_hub.repository import Repository


SHARDS = [
    f"{kind}-{number:05d}.{end}"
    for kind, end in (("items", "parquet"), ("memory", "safetensors"))
    for number in range(3)
]


def fetched(hub) -> list[str]:
    """Names of the files that were downloaded, sorted."""
    return sorted(path.rpartition("/")[2] for method, path in hub.requests if method == "GET" and "/resolve/" in path)


def flipped(path) -> bytes:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    return bytes(content)


def found(bank) -> list[tuple]:
    return [(hit.item.id, hit.item.text, hit.score) for hit in bank.search(image=make_image(3), k=7)]


@pytest.mark.parametrize("memories", ["eager", "lazy"])
@pytest.mark.parametrize("kind", ["dataset", "model"])
def test_a_bank_from_the_hub_is_the_bank_that_was_put_there(hub, bank, model, tiny_processor, kind, memories):
    publish(hub, bank.folder, kind=kind)
    pulled = MemoryBank.from_pretrained(
        "ann/bank", model=model, processor=tiny_processor, repo_type=kind, memories=memories
    )
    assert found(pulled) == found(bank)
    assert pulled.ids == bank.ids
    stored = [inputs["memory_embeds"] for inputs in (pulled.memory_inputs([bank.ids]), bank.memory_inputs([bank.ids]))]
    assert torch.equal(*stored)
    pulled.verify()


def test_opening_fetches_everything_once_and_a_second_time_nothing(hub, bank):
    publish(hub, bank.folder)
    for _ in range(2):
        MemoryBank.from_pretrained("ann/bank")
        assert fetched(hub) == ["README.md", "bank_config.json", "index.faiss", *SHARDS, "words.safetensors"]


def test_a_lazy_bank_fetches_the_shards_of_hits_and_no_other(hub, bank, model, tiny_processor):
    publish(hub, bank.folder)
    lazy = MemoryBank.from_pretrained("ann/bank", model=model, processor=tiny_processor, memories="lazy")
    opened = ["README.md", "bank_config.json", "index.faiss", "words.safetensors"]
    assert fetched(hub) == opened
    hits = lazy.search(image=make_image(4), k=1)
    assert [hit.item.id for hit in hits] == ["item-4"]
    assert lazy.search(text="fact 3", k=1)[0].item.id == "item-3"
    assert fetched(hub) == sorted([*opened, "items-00001.parquet"])
    lazy.memory_inputs([hits])
    lazy.memory_inputs([lazy.search(image=make_image(4), k=1)])
    assert fetched(hub) == sorted([*opened, "items-00001.parquet", "memory-00001.safetensors"])


def test_threads_of_a_lazy_bank_fetch_a_shard_once(hub, bank, model, tiny_processor):
    publish(hub, bank.folder)
    lazy = MemoryBank.from_pretrained("ann/bank", model=model, processor=tiny_processor, memories="lazy")
    expected, start = bank.memory_inputs([bank.ids])["memory_embeds"], threading.Barrier(8)

    def read(_):
        start.wait()
        return lazy.memory_inputs([bank.ids])["memory_embeds"]

    with ThreadPoolExecutor(8) as pool:
        assert all(torch.equal(memory, expected) for memory in pool.map(read, range(8)))
    assert fetched(hub) == ["README.md", "bank_config.json", "index.faiss", *SHARDS, "words.safetensors"]


def test_a_lazy_bank_can_be_verified_and_saved_whole(hub, bank, tmp_path):
    publish(hub, bank.folder)
    lazy = MemoryBank.from_pretrained("ann/bank", memories="lazy")
    lazy.save_pretrained(tmp_path / "copy")
    assert {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()} == {
        path.name: path.read_bytes() for path in bank.folder.iterdir()
    }
    lazy.verify()


def test_a_lazy_bank_stays_at_its_commit_though_the_branch_moves_on(hub, bank, build, items):
    first = publish(hub, bank.folder)
    lazy = MemoryBank.from_pretrained("ann/bank", memories="lazy")
    other = build(items[::-1], output_dir=bank.folder.with_name("reversed"), overwrite=True)
    publish(hub, other.folder)
    assert torch.equal(
        lazy.memory_inputs([["item-5"]])["memory_embeds"], bank.memory_inputs([["item-5"]])["memory_embeds"]
    )
    assert MemoryBank.from_pretrained("ann/bank").ids == bank.ids[::-1]
    assert MemoryBank.from_pretrained("ann/bank", first).ids == bank.ids


@pytest.mark.parametrize("offline", ["unreachable", "HF_HUB_OFFLINE", "local_files_only"])
def test_what_is_cached_works_without_a_network_and_what_is_not_is_named(hub, bank, monkeypatch, offline):
    publish(hub, bank.folder)
    MemoryBank.from_pretrained("ann/bank", memories="lazy").memory_inputs([["item-0"]])
    options = {}
    if offline == "unreachable":
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
        template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("time.sleep", lambda seconds: None)  # between attempts
    elif offline == "HF_HUB_OFFLINE":
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    else:
        options = {"local_files_only": True}
    lazy = MemoryBank.from_pretrained("ann/bank", memories="lazy", **options)
    expected = bank.memory_inputs([["item-0"]])["memory_embeds"]
    assert torch.equal(lazy.memory_inputs([["item-0"]])["memory_embeds"], expected)
    with pytest.raises(
        OSError, match="memory-00002.safetensors of the dataset repository 'ann/bank' is not in the cache"
    ):
        lazy.memory_inputs([["item-6"]])
    with pytest.raises(OSError, match="memory-0000[12].safetensors .* and the Hub cannot be reached"):
        MemoryBank.from_pretrained("ann/bank", **options)
    with pytest.raises(OSError, match="'ann/other' is neither a folder here nor complete in the cache"):
        MemoryBank.from_pretrained("ann/other", **options)


@pytest.mark.parametrize("name", ["index.faiss", "memory-00001.safetensors", "items-00002.parquet"])
def test_a_flipped_byte_on_the_server_is_refused_by_name_and_not_kept(hub, bank, name):
    publish(hub, bank.folder, **{name: flipped(bank.folder / name)})
    with pytest.raises(ValueError, match=f"^{name} of the dataset repository 'ann/bank' at [0-9a-f]{{40}} is damaged"):
        MemoryBank.from_pretrained("ann/bank")
    with pytest.raises(ValueError, match=f"^{name} .* is damaged"):
        MemoryBank.from_pretrained("ann/bank", memories="lazy").verify()
    publish(hub, bank.folder)
    MemoryBank.from_pretrained("ann/bank").verify()


def test_an_interrupted_download_goes_on_where_it_stopped(hub, bank, monkeypatch):
    publish(hub, bank.folder)
    import huggingface_hub

    download = huggingface_hub.hf_hub_download

    def interrupted(repo_id, name, **options):
        if name == "memory-00001.safetensors":
            raise KeyboardInterrupt
        return download(repo_id, name, **options)

    with monkeypatch.context() as patch:
        patch.setattr(huggingface_hub, "hf_hub_download", interrupted)
        with pytest.raises(KeyboardInterrupt):
            MemoryBank.from_pretrained("ann/bank")
    MemoryBank.from_pretrained("ann/bank").verify()
    assert fetched(hub) == ["README.md", "bank_config.json", "index.faiss", *SHARDS, "words.safetensors"]


def test_a_damaged_cache_is_repaired_when_the_bank_is_opened_again(hub, bank):
    publish(hub, bank.folder)
    cached = MemoryBank.from_pretrained("ann/bank").folder / "items-00001.parquet"
    cached.write_bytes(flipped(cached))
    with pytest.raises(ValueError, match="items-00001.parquet of .* is damaged: .* Open the bank again"):
        MemoryBank.from_pretrained("ann/bank")
    MemoryBank.from_pretrained("ann/bank").verify()


@pytest.mark.parametrize("name", ["index.faiss", "memory-00001.safetensors", "items-00002.parquet"])
def test_a_file_that_the_repository_lacks_is_named(hub, bank, name):
    publish(hub, bank.folder, **{name: None})
    with pytest.raises(
        ValueError, match=f"^{name} is missing from the dataset repository 'ann/bank' at [0-9a-f]{{40}}"
    ):
        MemoryBank.from_pretrained("ann/bank")


def test_a_repository_without_a_card_is_opened_with_and_without_a_network(hub, bank, monkeypatch):
    publish(hub, bank.folder, **{"README.md": None})
    assert MemoryBank.from_pretrained("ann/bank").ids == bank.ids
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for memories in ("eager", "lazy"):
        assert MemoryBank.from_pretrained("ann/bank", memories=memories).ids == bank.ids


def test_a_repository_that_is_no_bank_is_refused(hub, bank):
    publish(hub, bank.folder, **{"bank_config.json": None})
    with pytest.raises(ValueError, match="There is no memory bank in the dataset repository 'ann/bank': it has no b"):
        MemoryBank.from_pretrained("ann/bank")


def test_a_revision_or_repository_that_is_not_there_is_named(hub, bank):
    publish(hub, bank.folder)
    with pytest.raises(OSError, match="There is no revision 'nowhere' of the dataset repository 'ann/bank'"):
        MemoryBank.from_pretrained("ann/bank", "nowhere")
    with pytest.raises(OSError, match="no model repository .* a dataset repository needs `repo_type='dataset'`"):
        MemoryBank.from_pretrained("ann/bank", repo_type="model")


def test_a_private_bank_is_opened_with_the_token_of_its_owner(hub, bank):
    hub.repositories["dataset", "ann/secret"] = Repository("ann/secret", is_private=True)
    publish(hub, bank.folder, "ann/secret")
    for token in (False, "bob's"):
        with pytest.raises(OSError, match="on the Hub that you can read: for a private one, log in .* a `token`"):
            MemoryBank.from_pretrained("ann/secret", token=token)
    assert MemoryBank.from_pretrained("ann/secret", token="ann's").ids == bank.ids


def test_what_a_bank_cannot_be_opened_with_is_refused(hub, bank):
    for options, message in (
        ({"memories": "some"}, "`memories` must be 'eager' or 'lazy', got 'some'"),
        ({"repo_type": "space"}, "`repo_type` must be 'dataset' or 'model', got 'space'"),
        ({"local_dir": "here"}, "`local_dir` cannot be given: open the bank, then `save_pretrained`"),
    ):
        with pytest.raises(ValueError, match=message):
            MemoryBank.from_pretrained("ann/bank", **options)
