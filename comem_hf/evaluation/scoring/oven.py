"""The scorers of OVEN: an answer is looked up among all titles of Wikipedia, and has to find the entity's.

Official: `run_bm25_query.py` and `oven_eval.py` of edchengg/oven_eval (commit e3c0e89). Release: the files of the same
names of WenyiWU0111/CoMEM (commit 65de858).
"""

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.evaluation.scoring.sets.answered import reference_of
from comem_hf.evaluation.scoring.sets.means import harmonic_mean
from comem_hf.evaluation.scoring.texts.given import text_of
from comem_hf.evaluation.scoring.texts.release_text import release_answer
from comem_hf.evaluation.scoring.title_search import TitleSearch

from .scorer import Scorer


LONGEST_QUERY = 50  # of the release, in characters
MOST_QUERIES = 2**16  # whose entities are kept: the answers of ten ways to the release's questions
SETS = ("query", "entity")


def official_query(prediction: str) -> str:
    """Return what the official evaluator looks up: the answer as it is."""
    return text_of(prediction, "prediction")


def release_query(prediction: str) -> str:
    """Return what the release looks up: the answer, extracted and normalized, its first 50 characters."""
    return release_answer(text_of(prediction, "prediction"))[:LONGEST_QUERY]


def found_entity(search: TitleSearch, query: str) -> str | None:
    """Return the Wikidata id of the title that is most like a text.

    Args:
        search (`TitleSearch`): The titles.
        query (`str`): The text.

    Returns:
        `str`, *optional*: The id; of titles with equal scores, that of the first in the file. `None` if no title has a
        word piece of the query, where the evaluators return any title.
    """
    hits = search.search(query)
    return hits[0].entity_id if hits else None


def split_shares(groups: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the accuracy of each set's halves, rounded as both evaluators do.

    Args:
        groups (`Mapping[str, float]`): Mean score of each split, 0 to 1, by the benchmark's name, such as
            `"query_val_seen"`. A split whose name has neither `_seen` nor `_unseen` in it is left out; of several for
            one half the last counts.

    Returns:
        `dict[str, dict[str, float]]`: For `"query"` and `"entity"`: `seen` and `unseen`, if there are such questions,
        0 to 100 with two places.
    """
    shares: dict[str, dict[str, float]] = {name: {} for name in SETS}
    for split, mean in groups.items():
        half = "seen" if "_seen" in split else "unseen" if "_unseen" in split else None
        if half:
            shares["query" if split.startswith("query") else "entity"][half] = round(mean * 100, 2)
    return shares


def official_scores(groups: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers of the official evaluator.

    Args:
        groups (`Mapping[str, float]`): Mean score of each split, 0 to 1.

    Returns:
        `dict[str, float]`: `query` and `entity`, the harmonic means of seen and unseen entities; `final`, that of both
        before they are rounded. All 0 to 100, with two places. A set without questions is left out, and so is `final`;
        the evaluator crashes there.

    Raises:
        `ValueError`: If a set has seen or unseen entities only; the evaluator crashes there, too.
    """
    scores = {}
    for name, shares in split_shares(groups).items():
        lacking = [half for half in ("seen", "unseen") if shares and half not in shares]
        if lacking:
            raise ValueError(
                f"OVEN's official score needs seen and unseen entities; the {name} set has no {lacking[0]} ones. "
                "Look at the splits, or take a larger part of the benchmark."
            )
        if shares:
            scores[name] = harmonic_mean(shares["seen"], shares["unseen"])
    if len(scores) == len(SETS):
        scores["final"] = harmonic_mean(*scores.values())
    return {name: round(score, 2) for name, score in scores.items()}


def release_scores(groups: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers of the release.

    Args:
        groups (`Mapping[str, float]`): Mean score of each split, 0 to 1.

    Returns:
        `dict[str, float]`: As [`official_scores`], but `final` is made of the rounded two, and a set without unseen
        entities scores as its seen ones.

    Raises:
        `ValueError`: If a set has unseen entities only; the release crashes.
    """
    scores = {}
    for name, shares in split_shares(groups).items():
        if shares:
            if "seen" not in shares:
                raise ValueError(f"OVEN's score of the release needs seen entities; the {name} set has none.")
            scores[name] = round(harmonic_mean(shares["seen"], shares.get("unseen", shares["seen"])), 2)
    if len(scores) == len(SETS):
        scores["final"] = round(harmonic_mean(*scores.values()), 2)
    return scores


def final_of(scores: Mapping[str, float]) -> float:
    """Return OVEN's number.

    Args:
        scores (`Mapping[str, float]`): From [`official_scores`] or [`release_scores`].

    Returns:
        `float`: `final`, 0 to 100.

    Raises:
        `ValueError`: If one of the two sets has no question, so that there is no such number.
    """
    if "final" not in scores:
        lacking = " and ".join(name for name in SETS if name not in scores)
        raise ValueError(
            f"OVEN's number is made of its query set and its entity set; there is no answer for: {lacking}."
        )
    return scores["final"]


def scorers(titles: Path, vocabulary: Path) -> tuple[Scorer, Scorer]:
    """Return both scorers of OVEN, which share one search.

    Args:
        titles (`Path`): The file of titles.
        vocabulary (`Path`): The vocabulary of BERT-base-uncased.

    Returns:
        `tuple[Scorer, Scorer]`: The official one and the release's. The titles are read with the first answer, and
        each query is looked up once.

    Raises:
        `ValueError`: If a file is not there.
    """
    for path, what in ((titles, "titles"), (vocabulary, "the vocabulary")):
        if not Path(path).is_file():
            raise ValueError(f"There is no file {path}, where OVEN's scorers expected {what}.")

    @cache
    def opened() -> TitleSearch:
        return TitleSearch(titles, vocabulary)

    @lru_cache(MOST_QUERIES)  # ways often give the same answer
    def found(query: str) -> str | None:
        return found_entity(opened(), query)

    def scored(query_of: Callable[[str], str]) -> Callable[[str, BenchmarkQuestion], float]:
        def score(text: str, question: BenchmarkQuestion) -> float:
            (right,) = reference_of(question, "entity_id")
            return float(found(query_of(text)) == right)

        return score

    def split_of(question: BenchmarkQuestion) -> str:
        return question.split

    official = Scorer(
        name="official",
        metric="OVEN accuracy",
        extracts=False,
        score=scored(official_query),
        group=split_of,
        headline=lambda groups: final_of(official_scores(groups)),
    )
    release = Scorer(
        name="release",
        metric="OVEN accuracy",
        extracts=True,
        score=scored(release_query),
        group=split_of,
        headline=lambda groups: final_of(release_scores(groups)),
    )
    return official, release
