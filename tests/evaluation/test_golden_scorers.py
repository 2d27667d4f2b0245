"""The scorers against what the benchmarks' own evaluators, and the release's, gave for the same texts.

`COMEM_GOLDEN_BENCHMARKS` names a folder with other cases of the same form, or one that has it as `scorers/`.
"""

import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from comem_hf.evaluation.benchmarks.question import BenchmarkQuestion
from comem_hf.evaluation.scoring import aokvqa, cvqa, infoseek, mrag, okvqa, oven, score_set, viquae
from comem_hf.evaluation.scoring.scorer import Scorer
from comem_hf.evaluation.scoring.sets.means import means_by
from comem_hf.evaluation.scoring.title_search import TitleSearch
from tests.evaluation.published_sets import (
    answered_questions,
    aokvqa_set,
    infoseek_by_type,
    infoseek_set,
    okvqa_set,
    oven_set,
)


COMMITTED = Path(__file__).parents[1] / "golden/benchmarks/scorers"


def folder() -> Path:
    given = Path(os.environ.get("COMEM_GOLDEN_BENCHMARKS") or COMMITTED)
    return given / "scorers" if (given / "scorers").is_dir() else given


def rows(folder: Path) -> list[dict[str, Any]]:
    files = [path for path in sorted(folder.glob("*.jsonl")) if "_corpus" not in path.name]
    return [
        json.loads(line) for path in files for line in path.read_text(encoding="utf-8").split("\n") if line.strip()
    ]


ROWS = rows(folder())


@cache
def search() -> TitleSearch:
    def file(name: str) -> Path:
        return folder() / name if (folder() / name).is_file() else COMMITTED / name

    return TitleSearch(file("oven_corpus.jsonl"), file("bert_base_uncased_vocab.txt"))


def question(id: Any = "q", split: str = "", kind: str = "", **reference: Any) -> BenchmarkQuestion:
    return BenchmarkQuestion(str(id), "q", None, reference, split=split, kind=kind)


def rounded(means: Mapping[str, float]) -> dict[str, float]:
    return {name: round(mean * 100, 2) for name, mean in means.items()}


# How a row of each file is put to our scorers. Each gives the score in the row's unit, and whatever else it has of the
# evaluator's other numbers, by their names.


def okvqa_official(given: dict, level: str) -> tuple[float, dict]:
    items = given["items"] if level == "dataset" else [given]
    questions = [
        question(item.get("question_id", 1), kind=item.get("question_type", "one"), answers=item["answers"])
        for item in items
    ]
    pairs = [(str(item.get("question_id", 1)), item["prediction"]) for item in items if "prediction" in item]
    if level == "item":
        return round(100 * okvqa.official_score(given["prediction"], given["answers"]), 2), {}
    for ids in (given[name] for name in given if name not in ("items", "prediction", "answers")):  # apart from items
        pairs = list(ids.items()) if isinstance(ids, dict) else [(one["question_id"], one["answer"]) for one in ids]
        pairs = [(str(id), text) for id, text in pairs]
    scores = okvqa_set(pairs, questions)
    answered = answered_questions(pairs, questions, missing="refuse", unknown="refuse")
    kinds = rounded(means_by(lambda asked: asked.kind, answered, scores.items))
    single = {asked.id: round(100 * score, 2) for (_, asked), score in zip(answered, scores.items, strict=True)}
    accuracy = {"overall": scores.score, "perQuestionType": kinds}
    return scores.score, {"accuracy": accuracy, "perQuestion": single}


def okvqa_release(given: dict, level: str) -> tuple[float, dict]:
    if level == "item":
        score = okvqa.release_score(given["prediction"], given["answer"])
        if given["answer"] != str(given["answers"]):  # some rows show another form than numpy's
            assert okvqa.release_stored(given["answers"]) == given["answer"]
        return score, {}
    pairs = [
        (item["prediction"], question(answers=item["answers"], kind=item.get("question_type")))
        for item in given["items"]
    ]
    scores = score_set(okvqa.RELEASE, pairs)
    kinds = means_by(lambda asked: asked.kind, pairs, scores.items)
    details = {"question_type": {name: mean * 100 for name, mean in kinds.items()}, "overall": scores.score}
    return scores.score, details | {"printed": f"{scores.score:.2f}"}


def aokvqa_official(given: dict, level: str) -> tuple[float, dict]:
    setting = {"multiple_choice": given["setting"] == "multiple_choice", "strict": bool(given["strict"])}
    names = ("choices", "correct_choice_idx", "direct_answers", "difficult_direct_answer")
    if level == "item":
        asked = question(**{name: given[name] for name in names})
        pairs = [] if given["prediction"] is None else [("q", given["prediction"])]
        return aokvqa_set(pairs, [asked], **setting).score, {}
    questions = [question(row["question_id"], **{name: row.get(name) for name in names}) for row in given["dataset"]]
    return aokvqa_set(given["predictions"].items(), questions, **setting).score, {}


def aokvqa_release(given: dict, level: str) -> tuple[float, dict]:
    def answers(item: dict) -> Any:
        return item["answer"] if "answer" in item else item["direct_answers"]

    if level == "item":
        return aokvqa.release_score(given["prediction"], answers(given)), {}
    pairs = [(item["prediction"], question(direct_answers=answers(item))) for item in given["items"]]
    scores = score_set(aokvqa.RELEASE, pairs)
    return scores.score, {"items": list(scores.items)}


def viquae_official(given: dict, level: str) -> tuple[float, dict]:
    if level == "item":
        exact = viquae.exact_match(given["prediction"], given["references"])
        return exact, {"exact_match": exact, "f1": viquae.f1(given["prediction"], given["references"])}
    questions = [question(place, answer=answer) for place, answer in enumerate(given["references"])]
    predictions = ((str(place), text) for place, text in enumerate(given["predictions"]))
    answered = answered_questions(predictions, questions, missing="refuse", unknown="refuse")
    exact, f1 = score_set(viquae.OFFICIAL, answered), score_set(viquae.F1, answered)
    single = {"exact_match": list(exact.items), "f1": list(f1.items)}
    return exact.score / 100, {"exact_match": exact.score / 100, "f1": f1.score / 100, "per_question": single}


def viquae_release(given: dict, level: str) -> tuple[float, dict]:
    if level == "item":
        return viquae.release_score(given["prediction"], given.get("answer", given.get("direct_answers"))), {}
    scores = score_set(
        viquae.RELEASE,
        [
            (item["prediction"], question(answer=item.get("answer", item.get("direct_answers"))))
            for item in given["items"]
        ],
    )
    return scores.score, {"printed": f"{scores.score:.2f}", "items": list(scores.items)}


def infoseek_with(scorer: Scorer, score: Callable) -> Callable:
    def run(given: dict, level: str) -> tuple[float, dict]:
        if level == "item":
            return score(given["prediction"], given["answer_eval"], given["question_type"]), {}
        types = {row["data_id"]: row["question_type"] for row in given["question_types"]}
        questions = [
            question(
                row["data_id"],
                split=row.get("data_split", ""),
                answer_eval=row.get("answer_eval"),
                **({"question_type": types[row["data_id"]]} if row["data_id"] in types else {}),
            )
            for row in given["references"]
        ]
        pairs = [(row["data_id"], row.get("prediction")) for row in given["predictions"]]
        scores = infoseek_set(scorer, pairs, questions)
        answered = answered_questions(pairs, questions, missing="skip", unknown="skip")
        details = {"final_score": scores.score}
        for half in (infoseek.UNSEEN_QUESTION, infoseek.UNSEEN_ENTITY):
            types_ = infoseek_by_type(scores, answered, half)
            share = round(scores.groups.get(half, 0) * 100, 2)
            details[f"{half}_score"] = {"score": share} | {f"score_{name}": value for name, value in types_.items()}
        return scores.score, details

    return run


def oven_with(query_of: Callable, numbers: Callable) -> Callable:
    def run(given: dict, level: str) -> tuple[float, dict]:
        if level == "item":
            query = query_of(given["prediction"])
            hits = search().search(query, 5)
            details = {"query_sent": query, "best_score": hits[0].score if hits else 0.0}
            details |= {"tied": hits[0].tied if hits else True, "hits": [[hit.title, hit.entity_id] for hit in hits]}
            return float(bool(hits) and hits[0].entity_id == given["entity_id"]), details
        if "items" in given:
            pairs = [
                (place, item, oven.found_entity(search(), query_of(item["prediction"])))
                for place, item in enumerate(given["items"])
            ]
            questions, found = {name: [] for name in oven.SETS}, {name: [] for name in oven.SETS}
            for place, item, entity in pairs:
                questions[item["set"]].append(question(place, split=item["data_split"], entity_id=item["entity_id"]))
                found[item["set"]].append((str(place), entity))
        else:
            questions = {
                name: [
                    question(row["data_id"], split=row["data_split"], entity_id=row["entity_id"])
                    for row in given[f"ref_{name}"]
                ]
                for name in oven.SETS
            }
            found = {
                name: [(row["data_id"], row.get("pred_entity_id")) for row in given[f"pred_{name}"] or ()]
                for name in oven.SETS
            }
        scores = oven_set(numbers, found, questions)
        details = {f"{name}_score": scores[name] for name in (*oven.SETS, "final") if name in scores}
        return oven.final_of(scores), details

    return run


def mrag_with(find: Callable, scorer: Scorer) -> Callable:
    def run(given: dict, level: str) -> tuple[float, dict]:
        if level == "item":
            return mrag.score(given["output"], given["gt_choice"], find), {"extracted": find(given["output"])}
        # No options are given, so that nothing can stand in for the language model, which gave nothing here, either.
        pairs = [
            (item["output"], question(item["qs_id"], kind=item.get("scenario"), answer_choice=item["gt_choice"]))
            for item in given["items"]
        ]
        scores = score_set(scorer, pairs)
        scenarios = rounded(means_by(lambda asked: asked.kind, pairs, scores.items))
        found = [find(text) or "" for text, _ in pairs]
        return scores.score, {"overall": scores.score, "scenario": scenarios, "extracted": found}

    return run


def cvqa_official(given: dict, level: str) -> tuple[float, dict]:
    if level == "item":
        text = str(given["prediction"])
        found = cvqa.official_letter(text, given["Options"])
        return cvqa.official_score(text, given["Options"], given["Label"]), {"extracted": found}
    pairs = [
        (str(item["prediction"]), question(kind=item.get("Subset"), Options=item["Options"], Label=item["Label"]))
        for item in given["items"]
    ]
    scores = score_set(cvqa.OFFICIAL, pairs)
    subsets = means_by(lambda asked: asked.kind, pairs, scores.items)
    return scores.score / 100, {"Overall": scores.score / 100} | subsets


def cvqa_release(given: dict, level: str) -> tuple[float, dict]:
    if level == "item":
        return cvqa.release_score(given["prediction"], given["answer"]), {}
    pairs = [
        (item["prediction"], question(kind=item.get("languaege"), Label=item["answer"])) for item in given["items"]
    ]
    scores = score_set(cvqa.RELEASE, pairs)
    languages = rounded(means_by(lambda asked: asked.kind, pairs, scores.items))
    return scores.score, {"language": languages, "printed_overall": f"{scores.score:.2f}"}


INFOSEEK = {
    "official": infoseek_with(infoseek.OFFICIAL, infoseek.official_score),
    "release": infoseek_with(infoseek.RELEASE, infoseek.release_score),
}
OURS = {
    ("okvqa", "official"): okvqa_official,
    ("okvqa", "release"): okvqa_release,
    ("aokvqa", "official"): aokvqa_official,
    ("aokvqa", "release"): aokvqa_release,
    ("viquae", "official"): viquae_official,
    ("viquae", "release"): viquae_release,
    **{(name, scorer): run for name in ("infoseek", "infoseek_multilingual") for scorer, run in INFOSEEK.items()},
    ("oven", "official"): oven_with(oven.official_query, oven.official_scores),
    ("oven", "release"): oven_with(oven.release_query, oven.release_scores),
    ("mrag", "official"): mrag_with(mrag.official_letter, mrag.OFFICIAL),
    ("mrag", "release"): mrag_with(mrag.release_letter, mrag.RELEASE),
    ("cvqa", "official"): cvqa_official,
    ("cvqa", "release"): cvqa_release,
}

# Where an evaluator crashes, ours refuses with a sentence, but for these rows of the committed ones, which it scores.
SCORED = {
    **dict.fromkeys(("mrag_official-035", "mrag_official-036", "mrag_official-082", "mrag_official-117"), 0.0),
    "mrag_official-133": 50.0,  # as those above: more than five words without a letter are no answer
    **dict.fromkeys(("mrag_official-121", "mrag_official-122"), 0.0),  # the reference is no letter: nothing is right
    "mrag_release-132": 50.0,  # an empty output is no answer
    "oven_release-097": 0.0,  # a line without an entity is wrong
    "cvqa_release-131": 1.0,  # the language is no part of the score
}
COMMITTED_IDS = {row["id"] for row in rows(COMMITTED)}
# Those of which a number of a set is exact; the others give fractions or sums of them.
ROUNDED = {(name, scorer) for name in ("infoseek", "infoseek_multilingual", "oven", "mrag") for scorer in INFOSEEK}
ROUNDED |= {("okvqa", "official"), ("aokvqa", "release")}


def compare(ours: Any, theirs: Any, exact: bool) -> None:
    """Compare numbers, and whatever holds them; of mappings, what both have, which must be something."""
    if isinstance(theirs, Mapping):
        shared = theirs.keys() & ours.keys()
        assert shared or not theirs
        for name in shared:
            compare(ours[name], theirs[name], exact)
    elif isinstance(theirs, list):
        for one, other in zip(ours, theirs, strict=True):
            compare(one, other, exact)
    elif isinstance(theirs, str) or exact:
        assert ours == theirs
    else:
        assert ours == pytest.approx(theirs, abs=1e-6, rel=0)


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_scorer_agrees_with_the_published_evaluator(row):
    run = OURS[row["benchmark"], row["scorer"]]
    refusal = None
    try:
        score, details = run(row["input"], row["level"])
    except ValueError as error:
        refusal = str(error)

    if row.get("error"):
        if row["id"] in COMMITTED_IDS or refusal is not None:
            assert (refusal is None) == (row["id"] in SCORED)
        if refusal is not None:
            assert refusal.endswith(".") and len(refusal.split()) > 5, "one clear sentence"
        else:
            assert score == SCORED.get(row["id"], score) and 0 <= score <= (1 if row["level"] == "item" else 100)
        return
    if row["score"] is None and not row.get("possible_scores"):  # the evaluator itself gives no number
        assert refusal is not None and refusal.endswith(".")
        return

    assert refusal is None
    exact = row["level"] == "dataset" and (row["benchmark"], row["scorer"]) in ROUNDED
    if row["score"] is None:
        assert score in row["possible_scores"]
    else:
        compare(score, row["score"], exact)
    compare(details, row.get("scores", {}), exact)
    if row["benchmark"] == "oven" and row["level"] == "item":
        assert details["query_sent"] == row["query_sent"]
        compare(details["best_score"], row["best_score"], exact=False)
        assert details["tied"] == ("tied_first" in row)
        if "top1" in row:
            assert details["hits"][0] == row["top1"]
        elif details["hits"] and row["tied_first"] != "all titles":
            assert details["hits"][0][1] in row["tied_first"]
        if "top5" in row and len({*map(tuple, row["top5"])}) == 5:
            assert details["hits"] == row["top5"]
    if row.get("extracted") and row["level"] == "item":
        assert details["extracted"] == (row["extracted"] if row["extracted"] != "Z" else None)  # Z: no option
    if row.get("llm_called") and row["level"] == "item":
        assert details["extracted"] is None


def test_every_committed_case_is_there():
    counts = {path.stem: path.read_text(encoding="utf-8").count("\n") for path in COMMITTED.glob("*.jsonl")}
    assert counts.pop("oven_corpus") == 80
    assert len(counts) == 16 and sum(counts.values()) > 1400
