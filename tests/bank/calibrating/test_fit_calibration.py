"""Probabilities that were fitted: what they are worth."""

import logging

import numpy as np
import pytest
from PIL import Image

from comem_hf import MemoryItem
from comem_hf.bank import Embedder
from comem_hf.bank.calibrating.fit_calibration import auc, brier
from comem_hf.bank.scores.calibration import Calibration
from comem_hf.bank.scores.disturbances import DISTURBANCES
from tests.conftest import make_image


LEAST = 0.5


def test_the_embedded_bank_knows_its_flags_and_knows_noise_from_a_flag(embedded):
    flags = [embedded[item_id].load_image() for item_id in embedded.ids[::5]]
    for name, most_missed in (("rescale", 1), ("jpeg", 1), ("crop", 14)):
        hits = embedded.search(image=[DISTURBANCES[name](flag) for flag in flags], k=1, min_score=LEAST)
        right = sum(bool(row) and row[0].item.id == item for row, item in zip(hits, embedded.ids[::5], strict=True))
        assert right >= len(flags) - most_missed, name
    noise = np.random.default_rng(2026).integers(0, 256, (10, 140, 250, 3), dtype=np.uint8)
    found = [row[0] for row in embedded.search(image=[Image.fromarray(each) for each in noise], k=1)]
    assert min(hit.score for hit in found) > 0.95  # by their scores they would pass for flags
    assert max(hit.probability for hit in found) < 0.25


def test_flags_that_the_bank_lacks_are_not_found(embedded, tmp_path):
    missing = embedded.ids[::5]
    flags = [DISTURBANCES["rescale"](embedded[item_id].load_image()) for item_id in missing]
    embedded.save_pretrained(tmp_path / "bank")
    smaller = type(embedded).from_pretrained(tmp_path / "bank", model=embedded._model, processor=embedded._processor)
    smaller.remove(missing)
    assert smaller.is_calibrated  # the fit is kept
    hits = smaller.search(image=flags, k=3, min_score=LEAST)
    assert sum(map(bool, hits)) <= 3 and [] in hits


def test_the_calibration_of_the_embedded_bank_is_good(embedded):
    calibration = Calibration.of_block(embedded.config.calibration)
    assert calibration.pictures == len(embedded) and calibration.nothing == 75
    assert calibration.brier < 0.05 and calibration.auc > 0.98
    for histogram in calibration.histograms.values():
        assert [sum(histogram[kind]) for kind in ("same", "other", "nothing")] == [225, 225, 75]


def test_a_build_calibrates_and_makes_the_same_bytes_each_time(build, dozen, tmp_path):
    banks = [build(dozen, output_dir=tmp_path / name) for name in ("one", "two")]
    assert all(bank.is_calibrated for bank in banks)
    texts = [(tmp_path / name / "bank_config.json").read_text() for name in ("one", "two")]
    assert texts[0] == texts[1]
    assert "hits have a probability, with a Brier score of" in (tmp_path / "one" / "README.md").read_text()
    best = banks[0].search(image=dozen[3].image, k=12)
    assert best[0].item.id == "item-3" and best[0].probability == max(hit.probability for hit in best) > 0.5


@pytest.mark.parametrize("metric, factory", [("l2", None), ("cosine", "SQ8"), ("cosine", "IVF2,SQ8"), ("l2", "HNSW8")])
def test_every_index_can_be_calibrated(build, dozen, tmp_path, metric, factory):
    items = [*dozen, *(MemoryItem(image=make_image(seed), id=str(seed)) for seed in range(100, 130))]
    bank = build(items, output_dir=tmp_path / "bank", metric=metric, index_factory=factory)
    hits = bank.search(image=[item.image for item in dozen], k=2)
    assert all(first.probability > LEAST > second.probability for first, second in hits)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_bank_of_a_few_items_has_no_probabilities_and_says_why(build, dozen, tmp_path, count, caplog):
    with caplog.at_level(logging.WARNING):
        bank = build(dozen[:count], output_dir=tmp_path / "bank")
    assert not caplog.records
    assert [hit.probability for hit in bank.search(image=dozen[0].image)] == [None] * min(3, count)
    with pytest.raises(ValueError, match=f"needs at least 8 items, and it has {count}"):
        bank.search(image=dozen[0].image, min_score=0.5)


def test_pictures_that_the_embedder_cannot_tell_apart_get_low_probabilities(build, dozen, tmp_path):
    class Blind(Embedder):
        settings = {"type": "blind"}

        def embed_images(self, images):
            return np.ones((len(images), 4), dtype=np.float32)

    bank = build(dozen, output_dir=tmp_path / "bank", embedder=Blind())
    hits = bank.search(image=dozen[0].image, k=12)  # by chance, some find themselves among equals
    assert max((hit.probability or 0) for hit in hits) < 0.5


def test_brier_score_and_auc_are_what_their_definitions_say():
    assert brier(np.array([1.0, 0.5, 0.0]), np.array([True, False, False])) == pytest.approx(0.25 / 3)
    assert auc(np.array([0.9, 0.4]), np.array([0.1, 0.4])) == pytest.approx((1 + 1 + 1 + 0.5) / 4)
