"""What queries find, and which of it is the same thing."""

import numpy as np
import pytest

from comem_hf import MemoryItem
from comem_hf.bank.calibrating.pictures import EmbeddedQueries
from comem_hf.bank.calibrating.search_outcomes import search_outcomes
from comem_hf.bank.format.record import ItemRecord
from comem_hf.bank.index.faiss_index import FaissIndex
from comem_hf.bank.index.index import Selection
from tests.conftest import make_image


class Items:
    """Stands for stored items of which rows 0 and 1 have the same picture."""

    def read_records(self, rows):
        return [ItemRecord.from_item(MemoryItem(image=make_image(max(row, 1)), id=str(row))) for row in rows]


@pytest.fixture
def index():
    """Rows on a line at 0, 0.001, 1, 2, ..., 13."""
    index = FaissIndex.create("Flat", 2, "l2")
    places = np.array([0, 0.001, *range(1, 14)], dtype=np.float32)
    index.add(np.column_stack([places, np.zeros_like(places)]), np.arange(len(places)))
    return index


def outcomes(index, queries, among=None):
    rows, places = zip(*queries, strict=True)
    embeddings = np.array([[place, 0] for place in places], dtype=np.float32)
    part = EmbeddedQueries(np.array(rows), embeddings, embeddings + 0.1)
    return search_outcomes([part], index, among, Items(), "l2")


def test_a_picture_is_searched_for_with_its_item_and_without_it(index):
    samples, floor = outcomes(index, [(5, 4.1), (-1, 8.4)])
    assert floor == pytest.approx(0.01 * 3.9, rel=0.3)
    assert samples.same.tolist() == [True, False, False] + 6 * [False]
    assert samples.nothing.tolist() == 3 * [False] + 3 * [True] + 3 * [False]
    assert samples.queries.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0]
    assert samples.first.tolist() == 3 * [True, False, False]
    assert -samples.scores == pytest.approx([0.1, 0.9, 1.1, 0.4, 0.6, 1.4, 0.9, 1.1, 1.9], abs=1e-5)
    assert samples.features[0, 0] == pytest.approx(np.log((0.9 + floor) / (0.1 + floor)), abs=1e-4)
    assert samples.features[6, 0] == pytest.approx(np.log((1.1 + floor) / (0.9 + floor)), abs=1e-4)


def test_an_item_with_the_same_picture_is_the_same_thing(index):
    samples, _ = outcomes(index, [(0, -0.1)])
    assert samples.same.tolist() == [True, True, False] + 3 * [False]
    assert -samples.scores[3] == pytest.approx(1.1)  # neither of the two, where the item is left out


def test_removed_rows_are_not_found(index):
    live = np.ones(15, dtype=bool)
    live[[4, 6]] = False
    samples, _ = outcomes(index, [(5, 4.1)], Selection.of(live))
    assert -samples.scores[:2] == pytest.approx([0.1, 1.9], abs=1e-5)


def test_no_queries_are_refused(index):
    with pytest.raises(ValueError, match="embeds none"):
        search_outcomes([], index, None, Items(), "l2")
