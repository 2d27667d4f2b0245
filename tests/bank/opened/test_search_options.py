"""Metrics, kinds of index and weights, from `build` to hits."""

import numpy as np
import pytest

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank import Embedder


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
