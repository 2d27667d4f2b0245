"""Finding items by a picture."""

import io

import numpy as np
import PIL.Image
import pytest

from comem_hf import MemoryBank
from tests.conftest import make_image


def test_every_item_finds_itself_first(bank, items):
    for item in items:
        best = bank.search(image=item.image, k=1)[0]
        assert best.item.id == item.id
        assert best.score == pytest.approx(1, abs=1e-5)


def test_a_picture_that_was_rescaled_and_compressed_is_still_found(bank, items):
    for item in items:
        buffer = io.BytesIO()
        item.image.resize((90, 90), PIL.Image.Resampling.BICUBIC).save(buffer, format="JPEG", quality=80)
        assert bank.search(image=PIL.Image.open(buffer), k=1)[0].item.id == item.id


def test_hits_are_ranked_by_score(bank):
    hits = bank.search(image=make_image(50), k=5)
    assert [hit.rank for hit in hits] == [0, 1, 2, 3, 4]
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert len({hit.item.id for hit in hits}) == 5


def test_a_list_of_queries_finds_what_each_finds_alone(bank, tmp_path):
    queries = [make_image(seed, size) for seed, size in ((50, (56, 56)), (51, (80, 40)), (52, (30, 90)))]
    queries[2].save(tmp_path / "query.png")
    queries[2] = tmp_path / "query.png"
    together = bank.search(image=queries, k=3)
    alone = [bank.search(image=query, k=3) for query in queries]
    assert [[hit.item.id for hit in hits] for hits in together] == [[hit.item.id for hit in hits] for hits in alone]
    for hits, expected in zip(together, alone, strict=True):
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected], abs=1e-5)


def test_more_hits_than_the_bank_holds_gives_all_items(bank, items):
    hits = bank.search(image=items[0].image, k=100)
    assert {hit.item.id for hit in hits} == {item.id for item in items}


@pytest.mark.parametrize("integer", [np.int64, np.uint8])
def test_numbers_of_numpy_do_as_k(bank, integer):
    expected = bank.search(image=make_image(50), k=2)
    assert [hit.item.id for hit in bank.search(image=make_image(50), k=integer(2))] == [h.item.id for h in expected]
    with pytest.raises(ValueError, match="`k` must be a positive integer, got .*0"):
        bank.search(image=make_image(50), k=integer(0))


@pytest.mark.parametrize("k", [True, 2.0, np.float64(2), "2", None])
def test_a_k_that_is_no_integer_is_refused(bank, k):
    with pytest.raises(ValueError, match="`k` must be a positive integer, got "):
        bank.search(image=make_image(50), k=k)


def test_no_queries_find_nothing(bank):
    assert bank.search(image=[]) == []


@pytest.mark.parametrize(
    "query, message",
    [
        ({}, "Nothing to search for: give `image` or `text`"),
        ({"text": "a flag"}, "Embedder 'backbone' embeds images only; search with `image=`"),
        ({"image": make_image(0), "k": 0}, "`k` must be a positive integer, got 0"),
        ({"image": "no-such-file.png"}, "'no-such-file.png' does not exist"),
        ({"image": [make_image(0)], "text": "a"}, "must both be single queries or lists of the same length"),
        ({"image": [make_image(0)], "text": ["a", "b"]}, "must both be single queries or lists of the same length"),
    ],
)
def test_a_query_that_cannot_be_used_is_refused(bank, query, message):
    with pytest.raises(ValueError, match=message):
        bank.search(**query)


def test_an_unreadable_picture_is_refused_by_name(bank, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"broken.png' is not a readable picture"):
        bank.search(image=tmp_path / "broken.png")


def test_a_bank_without_its_model_says_how_to_get_one(copy):
    with pytest.raises(ValueError, match=r"call `bank.attach\(model, processor\)` first"):
        MemoryBank.from_pretrained(copy).search(image=make_image(0))


def test_a_bank_needs_model_and_processor(copy, model):
    with pytest.raises(ValueError, match=r"needs both: `attach\(model, processor\)`"):
        MemoryBank.from_pretrained(copy).attach(model)


def test_a_reopened_bank_finds_the_same(bank, copy, model, tiny_processor):
    opened = MemoryBank.from_pretrained(copy, model=model, processor=tiny_processor)
    attached = MemoryBank.from_pretrained(str(copy)).attach(model, tiny_processor)
    expected = [(hit.item.id, hit.score) for hit in bank.search(image=make_image(50))]
    for each in (opened, attached):
        assert [(hit.item.id, hit.score) for hit in each.search(image=make_image(50))] == expected


def test_a_bank_of_another_memory_encoder_is_refused_with_both_fingerprints(copy, model, other_model, tiny_processor):
    fingerprints = f"encoder {model.memory_fingerprint()}, but this model's is {other_model.memory_fingerprint()}"
    assert model.memory_fingerprint() != other_model.memory_fingerprint()
    with pytest.raises(ValueError, match=fingerprints):
        MemoryBank.from_pretrained(copy, model=other_model, processor=tiny_processor)
