"""The queries of a calibration."""

import logging

import numpy as np
import PIL.Image
import pytest

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank import Embedder
from comem_hf.bank.calibrating.pictures import embed_queries


class Thumbnails(Embedder):
    """Pictures by their 4 x 4 thumbnails, texts by nothing; refuses pictures that are `broken`."""

    settings = {"type": "thumbnails"}
    embeds_text = True
    broken = staticmethod(lambda picture: False)

    def embed_images(self, images):
        if any(self.broken(image) for image in images):
            raise ValueError("a broken picture")
        small = [np.asarray(image.convert("RGB").resize((4, 4)), dtype=np.float32).ravel() for image in images]
        return np.stack(small)

    def embed_texts(self, texts):
        return np.ones((len(texts), 48), dtype=np.float32)


@pytest.fixture(scope="module")
def bank(build, dozen, tmp_path_factory) -> MemoryBank:
    """Twelve pictures and four texts."""
    items = [*dozen, *(MemoryItem(text=f"Text {number}.", id=f"text-{number}") for number in range(4))]
    return build(items, output_dir=tmp_path_factory.mktemp("bank") / "bank", embedder=Thumbnails())


def queries(bank, pictures=100, embedder=None, progress=lambda items: None):
    embedder = embedder or Thumbnails()
    found = list(embed_queries(bank._state.items, np.arange(16), pictures, embedder, 5, progress))
    return np.concatenate([part.rows for part in found]), np.concatenate([part.embeddings for part in found])


def test_every_item_with_a_picture_is_searched_for_once_and_nothing_for_each_third(bank):
    counted = []
    rows, embeddings = queries(bank, progress=counted.append)
    assert sorted(rows[rows >= 0].tolist()) == list(range(12)) and (rows < 0).sum() == 4
    assert embeddings.shape == (16, 48) and sum(counted) == 12


def test_the_same_bank_gives_the_same_queries_however_many_are_embedded_together(bank):
    once, again = queries(bank), queries(bank)
    assert np.array_equal(once[0], again[0]) and np.array_equal(once[1], again[1])


def test_no_more_items_are_sampled_than_asked_for(bank):
    assert (queries(bank, pictures=7)[0] >= 0).sum() == 7


def test_a_picture_that_cannot_be_embedded_is_left_out_alone(bank):
    embedder = Thumbnails()
    embedder.broken = lambda picture: picture.size == (28, 28)  # those at half the size
    rows, _ = queries(bank, embedder=embedder)
    assert 4 <= (rows >= 0).sum() < 12


def test_an_embedder_that_does_not_work_at_all_costs_a_build_its_probabilities_and_no_more(
    build, dozen, tmp_path, caplog
):
    class Fickle(Thumbnails):
        def embed_items(self, items, memory_inputs):
            return Thumbnails().embed_images([item.image for item in items])

        def embed_images(self, images):
            raise KeyError("no such picture")

    logging.getLogger("comem_hf").propagate = True
    with caplog.at_level(logging.WARNING):
        bank = build(dozen, output_dir=tmp_path / "bank", embedder=Fickle())
    assert len(bank) == 12 and not bank.is_calibrated
    assert "Hits of this bank have no probability" in caplog.text and "no such picture" in caplog.text


def test_pictures_of_any_mode_are_sampled(build, tmp_path):
    pictures = [
        PIL.Image.effect_noise((40, 40), 20 + 9 * number).convert(mode)
        for number, mode in enumerate("L RGB RGBA 1 P LA CMYK I".split())
    ]
    items = [MemoryItem(image=picture, text="A picture.", id=str(number)) for number, picture in enumerate(pictures)]
    assert build(items, output_dir=tmp_path / "bank").is_calibrated
