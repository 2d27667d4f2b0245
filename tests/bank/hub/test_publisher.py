"""Banks pushed to a Hub over HTTP: whole or not at all, and only what changed."""

import json

import pyarrow.parquet
import pytest

from comem_hf import MemoryBank
from comem_hf.bank.hub import publisher
from comem_hf.repository.push_target import PushTarget
from tests.bank.conftest import publish
from tests.conftest import make_image
from tests.local_hub.repository import File, Repository


SHARDS = {
    f"{kind}-{number:05d}.{end}"
    for kind, end in (("items", "parquet"), ("memory", "safetensors"))
    for number in range(3)
}
ALL = {"README.md", "bank_config.json", "index.faiss", "words.safetensors", *SHARDS}


def files_of(hub, name="ann/bank", kind="dataset", revision="main") -> dict[str, bytes]:
    return {path: file.content for path, file in hub.repositories[kind, name].files(revision).items()}


def uploads(hub) -> int:
    """Number of contents that were sent."""
    return sum(method == "PUT" for method, _ in hub.requests)


@pytest.fixture
def grown(build, items, tmp_path):
    """The bank with its second shard changed and its third gone: items 0 to 2, and 5 to 3."""
    return build([*items[:3], *items[5:2:-1]], output_dir=tmp_path / "grown")


@pytest.mark.parametrize("kind", ["dataset", "model"])
def test_a_pushed_bank_is_pulled_as_it_was(hub, bank, model, tiny_processor, kind, recwarn):
    commit = bank.push_to_hub("bank", repo_type=kind)
    assert hub.committed == [(ALL, set())]
    assert commit.oid == hub.repositories[kind, "ann/bank"].branches["main"]
    pulled = MemoryBank.from_pretrained("ann/bank", commit.oid, repo_type=kind, model=model, processor=tiny_processor)
    assert pulled.config.row_digests(range(7)) == bank.config.row_digests(range(7))
    assert [hit.item.id for hit in pulled.search(image=make_image(3), k=2)][0] == "item-3"
    assert not [warning for warning in recwarn if "data file" in str(warning.message)]


def test_a_second_push_sends_nothing_and_makes_no_commit(hub, bank):
    first = bank.push_to_hub("ann/bank")
    sent = uploads(hub)
    assert sent == 8
    assert bank.push_to_hub("ann/bank").oid == first.oid
    assert MemoryBank.from_pretrained("ann/bank", memories="lazy").push_to_hub("ann/bank").oid == first.oid
    assert uploads(hub) == sent and len(hub.committed) == 1


def test_a_push_after_a_change_sends_what_changed_and_deletes_what_is_gone_in_one_commit(hub, bank, grown):
    bank.push_to_hub("ann/bank")
    hub.repositories["dataset", "ann/bank"].commit("main", {"notes.txt": File(b"mine")})
    sent = uploads(hub)
    grown.push_to_hub("ann/bank")
    changed = {"index.faiss", "words.safetensors", "items-00001.parquet", "memory-00001.safetensors"}
    changed |= {"README.md", "bank_config.json"}
    assert hub.committed[1:] == [(changed, {"items-00002.parquet", "memory-00002.safetensors"})]
    assert uploads(hub) == sent + 4
    assert set(files_of(hub)) == {"notes.txt", *ALL} - {"items-00002.parquet", "memory-00002.safetensors"}
    assert MemoryBank.from_pretrained("ann/bank").ids == grown.ids


def test_a_bank_that_was_added_to_and_removed_from_is_pushed_as_it_is_now(hub, grown, model, tiny_processor, items):
    grown.push_to_hub("ann/bank")
    grown.attach(model, tiny_processor).add(items[6:])
    grown.push_to_hub("ann/bank")
    added = {"index-00001.faiss", "words-00001.safetensors", "items-00002.parquet", "memory-00002.safetensors"}
    assert hub.committed[-1] == ({"README.md", "bank_config.json", *added}, {"index.faiss", "words.safetensors"})
    grown.remove(["item-0"])
    grown.push_to_hub("ann/bank")
    written = {"index-00001.faiss", "words-00002.safetensors", "items-00000.parquet", "memory-00000.safetensors"}
    assert hub.committed[-1] == ({"README.md", "bank_config.json", *written}, {"words-00001.safetensors"})
    for memories in ("eager", "lazy"):
        pulled = MemoryBank.from_pretrained("ann/bank", memories=memories)
        assert pulled.ids == grown.ids and len(pulled) == 6
        pulled.verify()


def test_what_was_removed_is_not_pushed_and_only_the_files_that_held_it_are_sent(
    hub, mine, items, model, tiny_processor
):
    mine.push_to_hub("ann/bank")
    sent = uploads(hub)
    mine.remove(["item-4"])
    queries = [item.image for item in items]
    expected = mine.search(image=queries, k=7)
    commit = mine.push_to_hub("ann/bank")
    written = {"index.faiss", "words-00001.safetensors", "items-00001.parquet", "memory-00001.safetensors"}
    assert hub.committed[-1] == ({"README.md", "bank_config.json", *written}, {"words.safetensors"})
    assert uploads(hub) == sent + 4
    pulled = MemoryBank.from_pretrained("ann/bank", memories="lazy", model=model, processor=tiny_processor)
    found = pulled.search(image=queries, k=7)
    assert [[(hit.item.id, hit.score) for hit in hits] for hits in found] == [
        [(hit.item.id, hit.score) for hit in hits] for hits in expected
    ]
    assert pulled.config.removed is None and pulled.config.shard_sizes == [3, 2, 1]
    tables = [pyarrow.parquet.read_table(pulled.folder / f"items-0000{shard}.parquet") for shard in range(3)]
    assert "Fact 4." not in str([table.to_pydict() for table in tables])
    assert mine.push_to_hub("ann/bank").oid == commit.oid  # the same bytes again
    assert uploads(hub) == sent + 4 and len(hub.committed) == 2
    mine.remove(["item-6"])  # the last shard's only item
    mine.push_to_hub("ann/bank")
    assert hub.committed[-1][1] == {"items-00002.parquet", "memory-00002.safetensors", "words-00001.safetensors"}
    assert MemoryBank.from_pretrained("ann/bank").ids == mine.ids
    assert mine.config.removed in mine.config.files  # the bank here is as it was


def test_a_bank_that_others_pushed_with_removed_items_is_cleaned_when_it_is_pushed_again(hub, mine):
    mine.remove(["item-4"])
    publish(hub, mine.folder)
    bank = MemoryBank.from_pretrained("ann/bank", memories="lazy")
    assert bank.config.removed is not None
    bank.push_to_hub("ann/bank")
    assert "removed-00001.safetensors" in hub.committed[-1][1]
    assert MemoryBank.from_pretrained("ann/bank").ids == mine.ids


def test_a_big_bank_is_pushed_in_parts_and_named_by_the_last(hub, bank, grown, monkeypatch):
    monkeypatch.setattr(publisher, "FILES_PER_COMMIT", 2)
    grown.push_to_hub("ann/bank")
    bank.push_to_hub("ann/bank", commit_message="All seven")
    *parts, last = hub.committed
    assert [len(added) for added, _ in hub.committed] == [2, 2, 4, 8]
    assert all("bank_config.json" not in added for added, _ in parts[:2])
    assert "bank_config.json" in parts[2][0] and "bank_config.json" in last[0]
    states = []
    for commit in list(hub.repositories["dataset", "ann/bank"].commits)[3:]:
        states.append(MemoryBank.from_pretrained("ann/bank", commit).ids)
    assert states == [grown.ids, bank.ids]


def test_an_interrupted_push_goes_on_and_readers_see_the_old_bank_until_then(hub, bank, grown, monkeypatch):
    grown.push_to_hub("ann/bank")
    monkeypatch.setattr(publisher, "FILES_PER_COMMIT", 1)
    sent = uploads(hub)
    commit = PushTarget.commit

    def once(self, operations, message):
        if "part 1 of" not in message:
            raise KeyboardInterrupt
        return commit(self, operations, message)

    with monkeypatch.context() as patch:
        patch.setattr(PushTarget, "commit", once)
        with pytest.raises(KeyboardInterrupt):
            bank.push_to_hub("ann/bank")
    assert MemoryBank.from_pretrained("ann/bank").ids == grown.ids
    bank.push_to_hub("ann/bank")
    assert MemoryBank.from_pretrained("ann/bank").ids == bank.ids
    assert uploads(hub) == sent + 6  # indexes, and two files of two shards: each once


def test_a_push_from_elsewhere_meanwhile_is_noticed(hub, bank, monkeypatch):
    bank.push_to_hub("ann/bank", license="mit")
    describe = publisher.BankPublisher._describe

    def meanwhile(self, *arguments):
        hub.repositories["dataset", "ann/bank"].commit("main", {"notes.txt": File(b"mine")})
        return describe(self, *arguments)

    monkeypatch.setattr(publisher.BankPublisher, "_describe", meanwhile)
    with pytest.raises(
        OSError, match="Somebody else has changed the dataset repository 'ann/bank' meanwhile; push ag"
    ):
        bank.push_to_hub("ann/bank", license="cc0-1.0")


def test_a_damaged_file_is_not_pushed(hub, bank, copy):
    damaged = MemoryBank.from_pretrained(copy)
    (copy / "memory-00001.safetensors").write_bytes(b"gone")
    with pytest.raises(ValueError, match="memory-00001.safetensors' is damaged: it has 4 bytes"):
        damaged.push_to_hub("ann/bank")
    assert hub.committed == []


def test_a_push_of_a_bank_that_has_been_changed_since_it_was_opened_says_to_reload_it(hub, copy):
    writer, first = MemoryBank.from_pretrained(copy), MemoryBank.from_pretrained(copy)
    writer.remove(["item-0"])
    first.push_to_hub("ann/first")  # of its state everything is still there
    assert len(MemoryBank.from_pretrained("ann/first")) == 7
    card = files_of(hub, "ann/first")["README.md"].decode()
    assert "# Memory bank of 7 items\n" in card  # not the card of the later state
    second = MemoryBank.from_pretrained(copy)
    writer.remove(["item-1"])
    writer.remove(["item-2"])  # which deletes the list of removed rows that the second reader knows
    with pytest.raises(ValueError, match=r"has been changed since it was opened; `reload\(\)` it first"):
        second.push_to_hub("ann/bank")
    assert len(hub.committed) == 1
    second.reload().push_to_hub("ann/bank")
    assert MemoryBank.from_pretrained("ann/bank").ids == writer.ids


def test_a_private_bank_is_seen_by_its_owner_alone(hub, bank, tmp_path):
    bank.push_to_hub("ann/secret", private=True)
    assert MemoryBank.from_pretrained("ann/secret").ids == bank.ids
    with pytest.raises(OSError, match="that you can read"):
        MemoryBank.from_pretrained("ann/secret", token="bob's", cache_dir=tmp_path / "bob")


def test_a_bank_that_shall_be_private_is_not_pushed_to_a_public_repository(hub, bank):
    bank.push_to_hub("ann/bank", license="mit")
    with pytest.raises(
        ValueError, match="`private` is given, but the dataset repository 'ann/bank' already exists and is public"
    ):
        bank.push_to_hub("ann/bank", private=True, license="cc0-1.0")
    assert len(hub.committed) == 1


def test_who_may_not_write_is_told_so(hub, bank):
    bank.push_to_hub("ann/bank")
    for token in ("bob's", "nobody's"):
        with pytest.raises(
            OSError, match="You may not write to the dataset repository 'ann/bank': log in .* a `token`"
        ):
            bank.push_to_hub("ann/bank", token=token, license="mit")
    assert len(hub.committed) == 1


def test_a_push_without_a_network_is_told_as_such(hub, bank, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        OSError, match="The connection to the Hub failed for the dataset repository 'ann/bank'; push again to go on"
    ):
        bank.push_to_hub("ann/bank")


def test_a_bank_is_pushed_to_a_branch_or_as_a_pull_request(hub, bank, grown, monkeypatch):
    bank.push_to_hub("ann/bank")
    grown.push_to_hub("ann/bank", revision="smaller")
    assert len(MemoryBank.from_pretrained("ann/bank", "smaller")) == 6
    monkeypatch.setattr(publisher, "FILES_PER_COMMIT", 1)
    commit = bank.push_to_hub("ann/other", create_pr=True)
    assert commit.oid == hub.repositories["dataset", "ann/other"].branches["refs/pr/1"]
    assert len(MemoryBank.from_pretrained("ann/other", "refs/pr/1")) == 7
    assert files_of(hub, "ann/other") == {}
    assert len(MemoryBank.from_pretrained("ann/bank")) == 7


def test_the_card_says_how_to_load_the_bank_and_under_which_licence_its_items_are(hub, bank):
    bank.push_to_hub("ann/bank")
    card = files_of(hub)["README.md"].decode()
    assert 'MemoryBank.from_pretrained("ann/bank", model=model' in card
    assert "license: unknown\n" in card and "| licence of the items | unknown: nobody has stated one |" in card
    bank.push_to_hub("ann/bank", license="cc-by-sa-4.0")
    assert "license: cc-by-sa-4.0\n" in files_of(hub)["README.md"].decode()
    assert json.loads(files_of(hub)["bank_config.json"])["license"] == "cc-by-sa-4.0"
    bank.push_to_hub("ann/bank")  # the licence stays
    assert len(hub.committed) == 2
    bank.push_to_hub("ann/models", repo_type="model")
    card = files_of(hub, "ann/models", "model")["README.md"].decode()
    assert 'from_pretrained("ann/models", repo_type="model", model=model' in card
    with pytest.raises(ValueError, match="`license` must be an identifier of the Hub, such as .*, got 'free: really'"):
        bank.push_to_hub("ann/bank", license="free: really")


def test_the_model_that_is_named_stays_until_another_one_encodes_the_bank(hub, bank, copy):
    bank.push_to_hub("ann/bank", model_id="ann/model", model_revision="f" * 40)
    assert bank.config.model["id"] is None
    bank.push_to_hub("ann/bank", license="mit")
    named = json.loads(files_of(hub)["bank_config.json"])["model"]
    assert named == {"id": "ann/model", "revision": "f" * 40}
    with pytest.raises(ValueError, match="`model_id` must be the id of a repository, got '/home/ann/model'"):
        bank.push_to_hub("ann/bank", model_id="/home/ann/model")
    config = (copy / "bank_config.json").read_text()
    (copy / "bank_config.json").write_text(config.replace(bank.config.memory_fingerprint, "0" * 64))
    MemoryBank.from_pretrained(copy).push_to_hub("ann/bank")
    assert json.loads(files_of(hub)["bank_config.json"])["model"]["id"] is None


def test_a_card_of_another_state_is_not_taken_for_an_edited_one(hub, copy):
    """As a writer leaves it that died between configuration and card."""
    card = (copy / "README.md").read_bytes()
    bank = MemoryBank.from_pretrained(copy)
    bank.remove(["item-1"])
    (copy / "README.md").write_bytes(card)
    bank.push_to_hub("ann/bank")
    assert "# Memory bank of 6 items\n" in files_of(hub)["README.md"].decode()


def test_a_card_that_was_edited_here_is_pushed_and_one_that_was_edited_there_stays(hub, bank, copy):
    bank.push_to_hub("ann/bank")
    (copy / "README.md").write_text("# Flags\n")
    MemoryBank.from_pretrained(copy).push_to_hub("ann/bank")
    assert files_of(hub)["README.md"] == b"# Flags\n"
    bank.push_to_hub("ann/bank", license="mit")
    assert files_of(hub)["README.md"] == b"# Flags\n"
    repository = hub.repositories["dataset", "ann/described"] = Repository("ann/described")
    repository.commit("main", {"README.md": File(b"# Mine\n")})
    bank.push_to_hub("ann/described")
    assert files_of(hub, "ann/described")["README.md"] == b"# Mine\n"
