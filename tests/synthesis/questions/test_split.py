import numpy as np

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.synthesis.questions.candidate import Candidate
from comem_hf.synthesis.questions.split import similar_pairs, split


def candidates(*entities_and_pictures: tuple[str, str]) -> list[Candidate]:
    return [
        Candidate(BenchmarkQuestion(f"a/{n}", "What?", None, None), "a", entity, "teacher", picture=picture)
        for n, (entity, picture) in enumerate(entities_and_pictures)
    ]


def sides(*arguments, **options) -> list[str]:
    return [each.side for each in split(*arguments, **options)]


def test_what_shares_an_entity_or_a_picture_or_a_similar_one_is_on_one_side():
    # Entities 0 and 1 share a picture, 2 and 3 have similar ones; the other sixteen are by themselves.
    pairs = [("e0", "p0"), ("e1", "p0"), ("e1", "p1"), ("e2", "p2"), ("e3", "p3")]
    pairs += [(f"e{n}", f"p{n}") for n in range(4, 20)]
    seen = set()
    for seed in range(12):
        found = sides(candidates(*pairs), 0.5, seed, {"a": None}, [("p2", "p3")])
        assert found[0] == found[1] == found[2] and found[3] == found[4]
        alone = [found[0], found[3], *found[5:]]
        assert alone.count("held_out") == 9 and alone.count("train") == 9
        seen.add(tuple(found))
        backwards = sides(candidates(*pairs[::-1]), 0.5, seed, {"a": None}, [("p2", "p3")])
        assert backwards[::-1] == found  # the order of a file decides nothing
    assert len(seen) == 12


def test_a_source_may_say_its_side():
    for side in ("train", "held_out"):
        assert set(sides(candidates(("a", "1"), ("b", "2")), 0.5, 0, {"a": side})) == {side}


def test_similar_pictures_are_those_with_a_small_angle_whatever_their_block():
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(2500, 16))
    embeddings[2400] = embeddings[3] * 5 + 1e-3
    embeddings[11] = -embeddings[4]
    names = [str(number) for number in range(len(embeddings))]
    assert similar_pairs(names, embeddings, 0.999) == [("3", "2400")]
