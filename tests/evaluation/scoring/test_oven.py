import pytest

from comem_hf.evaluation.scoring import oven


SPLITS = {"query_val_seen": 0.5, "query_val_unseen": 0.25, "entity_val_seen": 0.2, "entity_val_unseen": 0.1}


def without(*splits: str) -> dict[str, float]:
    return {name: mean for name, mean in SPLITS.items() if name not in splits}


def test_the_release_rounds_before_the_last_mean_and_the_official_evaluator_does_not():
    assert oven.official_scores(SPLITS) == {"query": 33.33, "entity": 13.33, "final": 19.05}
    assert oven.release_scores(SPLITS) == {"query": 33.33, "entity": 13.33, "final": 19.04}


def test_without_unseen_entities_only_the_release_has_a_number():
    assert oven.release_scores(without("query_val_unseen"))["query"] == 50
    with pytest.raises(ValueError, match="the query set has no unseen ones"):
        oven.official_scores(without("query_val_unseen"))
    for numbers in (oven.official_scores, oven.release_scores):
        with pytest.raises(ValueError, match="the entity set has no"):
            numbers(without("entity_val_seen"))


@pytest.mark.parametrize("numbers", [oven.official_scores, oven.release_scores])
def test_one_set_alone_has_its_score_and_no_final_one(numbers):
    scores = numbers(without("query_val_seen", "query_val_unseen"))
    assert scores == {"entity": 13.33}
    with pytest.raises(ValueError, match="no answer for: query"):
        oven.final_of(scores)


def test_an_entity_for_an_unknown_question_is_named(asked):
    known = {name: [asked("a", split=f"{name}_val_seen", entity_id="Q1")] for name in oven.SETS}
    found = {"query": [("a", "Q1")], "entity": [("b", "Q1")]}
    with pytest.raises(ValueError, match="'b', which OVEN's entity set does not have"):
        oven.scores_of_entities(oven.release_scores, found, known)
