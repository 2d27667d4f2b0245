import pytest
from PIL import Image

from comem_hf.evaluation.asking.terms.pictures import item_picture, question_picture
from comem_hf.evaluation.asking.terms.protocol import EQUAL, RELEASE
from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from tests.evaluation.asking.conftest import encoded


def size_of(size, benchmark="okvqa", way="RAG", protocol=EQUAL):
    question = BenchmarkQuestion("q", "What?", encoded(0, size), None)
    return question_picture(question, benchmark, way, protocol).size


@pytest.mark.parametrize(
    "size, benchmark, way, expected",
    [
        ((600, 300), "okvqa", "RAG", (512, 512)),
        ((300, 200), "okvqa", "RAG", (300, 200)),
        ((300, 200), "viquae", "no memory", (512, 512)),
        ((600, 300), "oven", "no memory", (512, 512)),
        ((600, 300), "oven", "memory", (600, 300)),
        ((600, 300), "mrag", "RAG", (75, 38)),
        ((100, 300), "mrag", "RAG", (100, 300)),
    ],
)
def test_the_release_sizes_pictures_by_benchmark_and_way(size, benchmark, way, expected):
    assert size_of(size, benchmark, way, RELEASE) == expected


@pytest.mark.parametrize("benchmark", ["okvqa", "viquae", "oven", "mrag"])
@pytest.mark.parametrize("way", ["no memory", "RAG", "memory"])
def test_on_equal_terms_all_ways_see_the_same_picture_undistorted(benchmark, way):
    assert size_of((1024, 512), benchmark, way) == (512, 256)
    assert size_of((300, 200), benchmark, way) == (300, 200)


def test_on_equal_terms_a_pasted_item_has_the_pixels_that_the_encoder_sees():
    picture = item_picture(Image.new("RGB", (800, 400)), EQUAL, 64 * 28 * 28)
    assert picture.width * picture.height <= 64 * 28 * 28 and picture.width == pytest.approx(2 * picture.height, abs=2)
    assert item_picture(Image.new("RGB", (80, 40)), EQUAL, 64 * 28 * 28).size == (80, 40)
    assert item_picture(Image.new("RGB", (800, 400)), RELEASE, 64 * 28 * 28).size == (512, 512)


def test_a_missing_picture_is_named_as_missing():
    with pytest.raises(ValueError, match="missing"):
        question_picture(BenchmarkQuestion("q", "What?", None, None), "okvqa", "RAG", EQUAL)


def test_scaling_makes_no_picture_too_narrow_for_the_model():
    for protocol in (EQUAL, RELEASE):
        assert max(size_of((3000, 15), protocol=protocol)) <= 200 * min(size_of((3000, 15), protocol=protocol))
        picture = item_picture(Image.new("RGB", (1900, 10)), protocol, 8 * 28 * 28)
        assert max(picture.size) <= 200 * min(picture.size)
    with pytest.raises(ValueError, match="3000 x 10 pixels; one side may be at most 200 times"):
        size_of((3000, 10))
