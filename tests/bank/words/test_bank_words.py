"""Items of a bank found by words: of any embedder, through every change, and in banks of older versions."""

import numpy as np
import pytest

from comem_hf import MemoryBank
from comem_hf.bank.words import bank_words
from comem_hf.bank.words.bank_words import postings_of_items
from comem_hf.bank.words.postings import Postings
from comem_hf.bank.words.words_file import write_words
from tests.bank.conftest import contents, forget_words, publish, replace_file


def found(hits) -> list[tuple]:
    return [(hit.item.id, hit.score, hit.rank, hit.found_by, hit.probability) for hit in hits]


def is_right(bank) -> bool:
    """Whether the words index is that of the texts that the bank has now."""
    state = bank._state
    return state.words.is_stored and state.words.postings == postings_of_items(state.items, state.words.live)


def test_words_find_items_without_a_model(copy):
    bank = MemoryBank.from_pretrained(copy)
    assert bank.searches_text and not bank.embeds_text
    (hit,) = bank.search(text="FÄCT? 3")[:1]
    assert (hit.item.id, hit.rank, hit.found_by, hit.probability) == ("item-3", 0, "words", None) and hit.score > 0.5
    hits = bank.search(text="a fact", k=10)  # in all texts: those of equal scores come in the order of rows
    assert [hit.item.id for hit in hits] == [f"item-{n}" for n in (2, 5, 1, 4, 0, 3, 6)]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    queries = ["fact 3", "nothing", "5 6"]
    assert [found(hits) for hits in bank.search(text=queries)] == [found(bank.search(text=each)) for each in queries]
    assert bank.search(text="nothing") == bank.search(text="?") == bank.search(text=[]) == []
    where = {"n": {"$in": [1, 6, 4]}}
    assert [hit.item.id for hit in bank.search(text="fact 6", where=where)] == ["item-6", "item-1", "item-4"]
    assert bank.memory_inputs([bank.search(text="fact", k=2), []])["item_mask"].sum() == 2
    with pytest.raises(ValueError, match="`min_score` 0.5 is for searches by pictures alone"):
        bank.search(text="fact", min_score=0.5)
    with pytest.raises(ValueError, match="`text` must be a string, or a list of strings, got 5"):
        bank.search(text=[5])


def test_a_picture_and_words_find_items_by_their_ranks(bank, items):
    by_picture = [hit.item.id for hit in bank.search(image=items[2].image, k=7)]
    rank = by_picture.index("item-5") + 1
    hits = bank.search(image=items[2].image, text="5", k=7)
    assert [hit.item.id for hit in hits] == ["item-5", *(each for each in by_picture if each != "item-5")]
    assert [hit.found_by for hit in hits] == ["picture and words"] + ["picture"] * 6
    assert [hit.score for hit in hits][:2] == pytest.approx([0.5 / (60 + rank) + 0.5 / 61, 0.5 / 61])
    assert {hit.probability for hit in hits} == {None}
    images, texts = [items[2].image, items[3].image], ["5", "nothing"]
    together = bank.search(image=images, text=texts, k=2)
    alone = [bank.search(image=image, text=text, k=2) for image, text in zip(images, texts, strict=True)]
    assert [found(row) for row in together] == [found(row) for row in alone]
    for weight, expected in ((0, by_picture), (1, ["item-5"])):
        hits = bank.search(image=items[2].image, text="5", k=7, text_weight=weight)
        assert [hit.item.id for hit in hits] == expected
    assert bank.search(image=items[2].image, text="5", where={"n": 0})[0].item.id == "item-0"


def test_every_change_keeps_the_words_of_the_items(mine, new_items, hub, tmp_path):
    assert is_right(mine)
    mine.add(new_items[:2])
    assert is_right(mine) and mine.search(text="New 21")[0].item.id == "new-21"
    mine.remove(["new-21", "item-4"])
    assert is_right(mine) and "new-21" not in [hit.item.id for hit in mine.search(text="New 21", k=9)]
    mine.add(new_items[2:])
    assert is_right(mine) and mine.config.words == {"file": "words-00003.safetensors", "rules": 1}
    mine.verify()
    expected = found(mine.search(text="new fact 22", k=9))
    mine.save_pretrained(tmp_path / "copied")
    MemoryBank.merge([mine], tmp_path / "merged")
    publish(hub, tmp_path / "copied")
    copied = [MemoryBank.from_pretrained(tmp_path / name) for name in ("copied", "merged")]
    for bank in (*copied, MemoryBank.from_pretrained("ann/bank", memories="lazy")):
        assert is_right(bank) and found(bank.search(text="new fact 22", k=9)) == expected
    assert sorted(path.name for path in mine.folder.glob("words*"))[-1:] == ["words-00003.safetensors"]


def test_a_bank_without_words_makes_them_in_memory_and_stores_them_when_asked(copy, mine, monkeypatch, caplog):
    texts = ["fact 3", "fact"]
    expected = [found(hits) for hits in mine.search(text=texts, k=7)]
    forget_words(copy)
    before = contents(copy)
    old = MemoryBank.from_pretrained(copy)
    assert old.config.words is None and [found(hits) for hits in old.search(text=texts, k=7)] == expected
    assert contents(copy) == before
    old.remove(["item-0"])  # stays a bank of the older version
    assert old.config.words is None and old.search(text="0") == []
    old.verify()
    data = contents(copy)
    old.index_words()
    assert is_right(old) and old.config.generation == 2 and old.search(text="0") == []
    changed = {name for name, content in contents(copy).items() if data.get(name) != content}
    assert changed == {"words-00002.safetensors", "bank_config.json", "README.md"}
    old.index_words()
    assert old.config.generation == 2
    monkeypatch.setattr(bank_words, "WORD_RULES", 2)  # a version that takes texts apart in another way
    monkeypatch.setattr(bank_words, "MANY", 1)
    later = MemoryBank.from_pretrained(copy)
    assert not later._state.words.is_stored and later.search(text="fact 3")[0].item.id == "item-3"
    assert "`bank.index_words()` stores one, without encoding anything" in caplog.text


def test_words_of_other_texts_or_of_no_bank_are_refused(copy):
    other = Postings.of_texts(["Fact."] * 7)
    replace_file(copy, "words.safetensors", lambda path: write_words(path, other))
    with pytest.raises(ValueError, match=r"words.safetensors of the bank .* does not have the words of its items"):
        MemoryBank.from_pretrained(copy).verify()
    for broken in (Postings.of_texts(["Fact."]), Postings(**{**vars(other), "rows": np.zeros(1, np.int32)})):
        replace_file(copy, "words.safetensors", lambda path, broken=broken: write_words(path, broken))
        with pytest.raises(ValueError, match=r"words.safetensors' is damaged: it is no words index of 7 items"):
            MemoryBank.from_pretrained(copy)
    replace_file(copy, "words.safetensors", lambda path: path.write_bytes(b"no safetensors"))
    with pytest.raises(ValueError, match=r"words.safetensors' is damaged"):
        MemoryBank.from_pretrained(copy)


def test_a_bank_whose_items_have_no_text_is_searched_by_pictures_only(build, items, tmp_path):
    bank = build([{"image": item.image} for item in items[:2]], output_dir=tmp_path / "bank")
    assert not bank.searches_text and bank.verify()
    for query in ({}, {"image": items[0].image}):
        with pytest.raises(ValueError, match="finds items by their picture only, as none of them has a text"):
            bank.search(text="fact", **query)
