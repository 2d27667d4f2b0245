import pytest

from comem_hf.evaluation.scoring import oven
from comem_hf.evaluation.scoring.title_search import TitleSearch


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


def test_an_answer_that_was_looked_up_is_not_looked_up_again(asked, golden_scorers, vocabulary, monkeypatch):
    queries = []
    search = TitleSearch.search
    monkeypatch.setattr(TitleSearch, "search", lambda self, query: queries.append(query) or search(self, query))
    official, release = oven.scorers(golden_scorers / "oven_corpus.jsonl", vocabulary)
    right, wrong = asked(entity_id="Q900000"), asked(entity_id="Q1")
    for _ in range(2):
        assert [official.score("golden gate bridge", each) for each in (right, wrong)] == [1, 0]
        assert release.score(r"\boxed{Golden Gate Bridge}", right) == 1
        assert official.score("zzz 你", right) == 0
    assert queries == ["golden gate bridge", "zzz 你"]
