"""Our tasks in lmms-eval: all are found, and their answers and scores are those of our own evaluation."""

import math

import pytest


pytest.importorskip("lmms_eval", reason="lmms-eval is not installed: make test-lmms")

from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager

from comem_hf.evaluation.asking.ask import Interview
from comem_hf.evaluation.asking.items import BankItems
from comem_hf.evaluation.asking.terms.protocol import EQUAL
from comem_hf.evaluation.scoring import extract_answer, score_set
from comem_hf.lmms import TASKS
from comem_hf.lmms.benchmark_files import open_benchmark, scorers_for
from comem_hf.lmms.model import CoMem

from .test_benchmark_tasks import NAMES


@pytest.fixture(scope="module")
def manager() -> TaskManager:
    return TaskManager(include_path=str(TASKS), model_name="comem")


def test_all_tasks_are_found_and_hide_none_of_lmms_eval(manager):
    ours = set(TaskManager(include_path=str(TASKS), include_defaults=False).all_tasks)
    assert ours == {*NAMES, "comem_countries", "comem_benchmarks", "comem_cvqa", "comem_infoseek_multilingual"}
    assert ours <= set(manager.all_tasks)
    assert manager.task_index["comem_benchmarks"]["type"] == "tag"
    assert sorted(manager.task_index["comem_benchmarks"]["task"]) == sorted(NAMES)
    for name in ours - {"comem_benchmarks", "comem_cvqa", "comem_infoseek_multilingual"}:
        assert str(TASKS) in manager.task_index[name]["yaml_path"]


def test_answers_and_scores_of_the_benchmarks_are_those_of_our_evaluation(manager, benchmarks):
    model = CoMem(top_k=2, picture_first=False, batch_size=2, device="cpu")
    interview = Interview(model.model, model.processor, "memory", 2, EQUAL, BankItems(model.bank, 2), 8)
    # Before, as lmms-eval takes the model away when the answers are there.
    expected = {name: interview.answer(open_benchmark(name).questions, open_benchmark(name).name) for name in NAMES}
    results = simple_evaluate(
        model, tasks=["comem_benchmarks"], task_manager=manager, gen_kwargs="max_new_tokens=8", batch_size=2
    )
    assert model.bank is None and sorted(results["results"]) == sorted(NAMES)
    for name in NAMES:
        answers = [sample["filtered_resps"][0] for sample in results["samples"][name]]
        assert answers == [prediction.prediction.strip() for prediction in expected[name]]
        for scorer in scorers_for(name).values():
            texts = answers if scorer.extracts else [extract_answer(answer) for answer in answers]
            found = results["results"][name][f"{scorer.name},none"]
            if name == "comem_infoseek_pt":  # the small file has questions of one half only
                assert math.isnan(found)
                continue
            assert found == score_set(scorer, list(zip(texts, open_benchmark(name).questions, strict=True))).score


def test_other_models_get_the_prompt_for_a_model_without_items(benchmarks):
    texts = {}
    for name in ("comem", "qwen2_5_vl"):
        manager = TaskManager(include_path=str(TASKS), include_defaults=False, model_name=name)
        task = manager.load_task_or_group(["comem_infoseek"], "chat")["comem_infoseek"]
        texts[name] = task.doc_to_text(task.task_docs[0])
    assert "given information" in texts["comem"] and "given information" not in texts["qwen2_5_vl"]
