"""Finding items by a picture."""

import io
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank import Embedder
from tests.conftest import make_image
from tests.picture_forms import forms


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


def test_every_form_of_a_picture_finds_the_same(bank, items, tmp_path):
    expected = bank.search(image=items[2].image, k=3)
    for name, picture in forms(items[2].image, tmp_path).items():
        for hits in (bank.search(image=picture, k=3), bank.search(image=[picture], k=3)[0]):
            assert [(hit.item.id, hit.score) for hit in hits] == [(hit.item.id, hit.score) for hit in expected], name


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
        ({}, "Nothing to search for: give `image`, `text` or `vector`"),
        ({"text": 5}, "`text` must be a string, or a list of strings, got 5"),
        ({"image": make_image(0), "k": 0}, "`k` must be a positive integer, got 0"),
        ({"image": "no-such-file.png"}, "'no-such-file.png' does not exist"),
        ({"image": [make_image(0)], "text": "a"}, "must both be single queries or lists of the same length"),
        ({"image": [make_image(0)], "text": ["a", "b"]}, "must both be single queries or lists of the same length"),
    ],
)
def test_a_query_that_cannot_be_used_is_refused(bank, query, message):
    with pytest.raises(ValueError, match=message):
        bank.search(**query)


def test_a_picture_that_is_too_narrow_is_named_as_the_one_that_is_searched_for(bank, tmp_path):
    narrow = make_image(0).resize((4000, 10))
    for image, name in ((narrow, "the picture to search for"), ([make_image(0), narrow], "the picture to search for")):
        with pytest.raises(ValueError, match=f"^{name} is 4000 x 10 pixels"):
            bank.search(image=image)
    narrow.save(tmp_path / "narrow.png")
    with pytest.raises(ValueError, match=r"narrow.png' is 4000 x 10 pixels"):
        bank.search(image=tmp_path / "narrow.png")
    with pytest.raises(ValueError, match=r"^the picture to search for is not a readable picture"):
        bank.search(image=b"no picture")


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


CORNERS = {"a": (3.0, 0.0), "b": (0.0, 1.0), "c": (1.0, 1.0), "d": (10.0, 1.0)}


class Corners(Embedder):
    """Embeds texts, and the names of pictures, as points of a plane."""

    settings = {"type": "corners"}
    embeds_text = True

    def embed_images(self, images) -> np.ndarray:
        return self.embed_texts(images)

    def embed_texts(self, texts) -> np.ndarray:
        return np.array([CORNERS[text] for text in texts], dtype=np.float32)


@pytest.fixture(scope="module")
def make_bank(build, tmp_path_factory):
    """A bank of the four points."""

    def make(**settings) -> MemoryBank:
        items = [MemoryItem(text=name, id=name) for name in CORNERS]
        return build(items, output_dir=tmp_path_factory.mktemp("banks") / "bank", embedder=Corners(), **settings)

    return make


def ids_and_scores(hits) -> tuple[str, list[float]]:
    return "".join(hit.item.id for hit in hits), [hit.score for hit in hits]


@pytest.mark.parametrize(
    "metric, ids, scores",
    [
        ("cosine", "adcb", [1, 10 / 101**0.5, 0.5**0.5, 0]),
        ("l2", "acbd", [0, -(5**0.5), -(10**0.5), -(50**0.5)]),
    ],
)
def test_the_metric_decides_what_is_near(make_bank, metric, ids, scores):
    bank = MemoryBank.from_pretrained(make_bank(metric=metric).folder).attach(embedder=Corners())
    assert bank.config.metric == metric
    found, values = ids_and_scores(bank.search(text="a", k=4))
    assert found == ids
    assert values == pytest.approx(scores, abs=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_the_weight_of_the_text_goes_from_the_image_to_the_text(make_bank, metric):
    bank = make_bank(metric=metric)
    queries = {"image": ["a"], "text": ["b"], "k": 4}
    image, text = bank.search(image="a", k=4), bank.search(text="b", k=4)
    assert ids_and_scores(bank.search(**queries, text_weight=0)[0]) == ids_and_scores(image)
    assert ids_and_scores(bank.search(**queries, text_weight=1)[0]) == ids_and_scores(text)
    both, weighted = bank.search(**queries)[0], bank.search(**queries, text_weight=0.25)[0]
    if metric == "cosine":  # lengths of the embeddings do not count
        assert [both[0].item.id, both[0].score] == ["c", pytest.approx(1)]
        assert {hit.item.id: hit.score for hit in weighted}["a"] == pytest.approx(3 / 10**0.5)
    else:
        assert {hit.item.id: hit.score for hit in both}["a"] == pytest.approx(-np.hypot(1.5, 0.5))
        assert {hit.item.id: hit.score for hit in weighted}["a"] == pytest.approx(-np.hypot(0.75, 0.25))


@pytest.mark.parametrize("weight", [-0.1, 1.5, "half", None, float("nan")])
def test_a_weight_out_of_range_is_refused(make_bank, weight):
    with pytest.raises(ValueError, match="`text_weight` must be a number from 0 to 1, got "):
        make_bank().search(text="a", text_weight=weight)


def test_a_bank_has_the_index_that_was_asked_for(make_bank):
    bank = MemoryBank.from_pretrained(make_bank(index_factory="IVF2,Flat").folder).attach(embedder=Corners())
    assert bank.config.index == {"file": "index.faiss", "factory": "IVF2,Flat", "nprobe": 1, "recall": 1.0}
    assert ids_and_scores(bank.search(text="a", k=9))[0] == "adcb"
    assert "FAISS `IVF2,Flat`, finds 100.0% of the exact ten" in (bank.folder / "README.md").read_text()


def test_an_index_that_cannot_be_made_costs_no_encoding(build, tmp_path, model, monkeypatch):
    items = [MemoryItem(text=name, id=name) for name in CORNERS]
    with pytest.raises(ValueError, match="`index_factory` 'Rubbish' makes no index for 2 numbers"):
        build(items, output_dir=tmp_path / "bank", embedder=Corners(), index_factory="Rubbish")
    monkeypatch.setattr(model, "encode_memory", None)
    assert len(build(items, output_dir=tmp_path / "bank", embedder=Corners())) == 4


def test_an_unknown_metric_is_refused_before_the_work(build, tmp_path):
    with pytest.raises(ValueError, match="`metric` must be one of cosine, l2, got 'dot'"):
        build([MemoryItem(text="a")], output_dir=tmp_path / "bank", embedder=Corners(), metric="dot")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def calibrated(build, tmp_path_factory) -> MemoryBank:
    """A dozen items, of which each has a probability when it is found."""
    items = [MemoryItem(image=make_image(n), text=f"Fact {n}.", id=str(n), metadata={"n": n}) for n in range(12)]
    return build(items, output_dir=tmp_path_factory.mktemp("banks") / "calibrated")


def test_min_score_keeps_the_hits_that_probably_are_the_same_thing(calibrated):
    hits = calibrated.search(image=make_image(4), k=12)
    kept = calibrated.search(image=make_image(4), k=12, min_score=0.5)
    assert [hit.item.id for hit in kept] == ["4"] and kept[0] == hits[0]
    assert all(hit.probability < 0.5 for hit in hits[1:])
    assert calibrated.search(image=make_image(4), k=12, min_score=0) == hits
    assert calibrated.search(image=make_image(4), min_score=1) == []


def test_a_batch_may_find_something_for_some_queries_and_nothing_for_others(calibrated):
    queries = [PIL.Image.new("RGB", (56, 56), "grey"), make_image(4), make_image(77)]
    hits = calibrated.search(image=queries, min_score=0.5)
    assert [[hit.item.id for hit in row] for row in hits] == [[], ["4"], []]
    memory = calibrated.memory_inputs(hits)
    assert memory["item_mask"].sum(dim=1).tolist() == [0, 1, 0]
    assert calibrated.memory_inputs([[], []])["item_mask"].sum() == 0


def test_probabilities_do_not_change_which_items_are_found(calibrated, tmp_path):
    plain = MemoryBank.merge([calibrated], tmp_path / "plain")  # which has none
    for k in (1, 3, 20):
        found, expected = (bank.search(image=make_image(50), k=k) for bank in (calibrated, plain))
        assert [(hit.item.id, hit.rank) for hit in found] == [(hit.item.id, hit.rank) for hit in expected]
        assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=1e-6)
    assert all(hit.probability is None for hit in plain.search(image=make_image(50)))


def test_without_probabilities_the_same_is_found_and_each_picture_is_embedded_once(calibrated, monkeypatch):
    embedder, queries, embedded = calibrated._state.search.embedder(), [make_image(4), make_image(50)], []
    embed_images = embedder.embed_images
    monkeypatch.setattr(embedder, "embed_images", lambda images: embedded.append(len(images)) or embed_images(images))
    expected = calibrated.search(image=queries, k=5)
    assert all(hit.probability is not None for row in expected for hit in row) and embedded == [2, 2]
    found = calibrated.search(image=queries, k=5, probabilities=False)
    assert embedded == [2, 2, 2]
    assert found == [[replace(hit, probability=None) for hit in row] for row in expected]
    with pytest.raises(ValueError, match="`min_score` 0.5 is a least probability, but `probabilities` is False"):
        calibrated.search(image=queries, min_score=0.5, probabilities=False)


def test_what_a_filter_hides_still_counts_as_a_neighbour(calibrated):
    every = calibrated.search(image=make_image(4), k=12)
    others = calibrated.search(image=make_image(4), k=12, where={"n": {"$ne": 4}})
    expected = {hit.item.id: hit.probability for hit in every[1:]}
    assert {hit.item.id: hit.probability for hit in others} == pytest.approx(expected)
    assert calibrated.search(image=make_image(4), where={"n": {"$ne": 4}}, min_score=0.5) == []
    assert calibrated.search(image=make_image(4), where={"n": 4}, min_score=0.5)[0].item.id == "4"


def test_what_texts_find_has_no_probability(build, tmp_path):
    class Both(Embedder):
        settings = {"type": "both"}
        embeds_text = True

        def embed_images(self, images):
            small = [np.asarray(image.convert("RGB").resize((4, 4)), np.float32).ravel() for image in images]
            return np.stack(small)

        def embed_texts(self, texts):
            return np.ones((len(texts), 48), np.float32)

    items = [MemoryItem(image=make_image(n), text=f"Fact {n}.", id=str(n)) for n in range(12)]
    bank = build(items, output_dir=tmp_path / "bank", embedder=Both())
    assert bank.search(image=make_image(4))[0].probability > 0.5
    for query, source in (({"text": "Fact"}, "text"), ({"text": "Fact", "image": make_image(4)}, "picture and text")):
        assert [(hit.probability, hit.found_by) for hit in bank.search(**query)] == [(None, source)] * 3
        with pytest.raises(ValueError, match="`min_score` 0.5 is for searches by pictures alone"):
            bank.search(**query, min_score=0.5)


def test_queries_that_only_the_users_own_embedder_can_read_have_no_probability(build, tmp_path):
    class Named(Embedder):
        settings = {"type": "named"}

        def embed_images(self, images):
            pictures = [make_image(int(image)) if isinstance(image, str) else image for image in images]
            return np.stack([np.asarray(each.convert("RGB").resize((4, 4)), np.float32).ravel() for each in pictures])

    items = [MemoryItem(image=make_image(n), text=f"Fact {n}.", id=str(n)) for n in range(12)]
    bank = build(items, output_dir=tmp_path / "bank", embedder=Named())
    assert bank.search(image=make_image(4))[0].probability > 0.5
    assert (bank.search(image="4")[0].item.id, bank.search(image="4")[0].probability) == ("4", None)
    with pytest.raises(ValueError, match="'4' does not exist"):
        bank.search(image="4", min_score=0.5)
