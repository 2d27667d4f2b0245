import dataclasses
import json

import pytest

from comem_hf import MemoryItem
from comem_hf.answering import generate_answers, question_inputs
from comem_hf.evaluation.asking.items import BankItems, RecordedItems
from comem_hf.evaluation.asking.run import RUN_NAME, Run
from comem_hf.evaluation.asking.terms.prompts import prompt_of
from comem_hf.evaluation.asking.terms.protocol import EQUAL, RELEASE
from comem_hf.modeling.picture_comem import load_image
from tests.conftest import make_image
from tests.evaluation.asking.conftest import encoded


SETTINGS = {"model": "tiny", "data": {"okvqa": "1"}}


@pytest.fixture
def run(model, tiny_processor, bank, tmp_path):
    bank.attach(model, tiny_processor)

    def make(folder="run", **options):
        given = {"settings": SETTINGS, "source_of": lambda _: BankItems(bank, 2), "top_k": (1, 2), "batch_size": 2}
        given |= {"max_new_tokens": 4, "protocol": EQUAL, **options}
        return Run(model, tiny_processor, tmp_path / folder, **given)

    return make


def content(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "predictions").iterdir()}


def test_each_way_answers_each_question_with_the_same_items(run, benchmark_questions, model):
    ((_, answers),) = run().answer_all([benchmark_questions])
    ways = [("no memory", 0), ("RAG", 1), ("RAG", 2), ("memory", 1), ("memory", 2)]
    assert [(answer.way, answer.top_k) for answer in answers] == ways
    by_way = {(answer.way, answer.top_k): answer.predictions for answer in answers}
    for predictions in by_way.values():
        assert [prediction.id for prediction in predictions] == ["q0", "q1", "q2", "q3", "q4"]
        problems = [prediction.problem for prediction in predictions]
        assert "missing" in problems[1] and "picture" in problems[3] and problems[0::2] == ["", "", ""]
        assert predictions[1].prediction == predictions[3].prediction == ""
    assert [p.items for p in by_way["RAG", 2]] == [p.items for p in by_way["memory", 2]]
    assert [len(p.items) for p in by_way["memory", 2]] == [2, 0, 2, 0, 2]
    for number in (0, 2, 4):
        plain, one, two = (by_way[way][number] for way in [ways[0], ("memory", 1), ("memory", 2)])
        assert two.positions - one.positions == one.positions - plain.positions == model.config.num_memory_tokens
        assert by_way["RAG", 2][number].positions > two.positions


def test_predictions_are_the_answers_of_the_published_prompt(run, benchmark_questions, bank, model, tiny_processor):
    ((_, answers),) = run(batch_size=1).answer_all([benchmark_questions], ["memory"])
    question = benchmark_questions.questions[2]
    prompt = prompt_of("okvqa", question, has_items=True)
    picture = load_image(question.picture)
    hits = bank.search(image=[picture], k=2)
    inputs = question_inputs(tiny_processor, [prompt], [picture], None, bank.memory_inputs(hits), picture_first=False)
    (expected,) = generate_answers(model, tiny_processor, inputs, 4)
    prediction = answers[1].predictions[2]
    assert prediction.prediction.strip() == expected and prediction.items == tuple(hit.item.id for hit in hits[0])


def test_an_interrupted_run_ends_with_the_files_of_one_that_was_not(run, bank, benchmark_questions, tmp_path):
    run("whole").answer_all([benchmark_questions])

    class StopError(Exception):
        pass

    class Interrupted(BankItems):
        batches = 0

        def memory_inputs(self, rows):
            self.batches += 1
            if self.batches == 3:  # the last one of the first way with memory
                raise StopError
            return super().memory_inputs(rows)

    interrupted = run("parts")
    interrupted.source_of = lambda _: Interrupted(bank, 2)
    with pytest.raises(StopError):
        interrupted.answer_all([benchmark_questions])
    assert any("part0" in name for name in content(tmp_path / "parts"))
    run("parts").answer_all([benchmark_questions])
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_a_finished_run_asks_nothing_again(run, benchmark_questions, monkeypatch):
    first = run().answer_all([benchmark_questions])
    monkeypatch.setattr("comem_hf.evaluation.asking.ask.generate_sequences", None)
    assert run().answer_all([benchmark_questions]) == first


def test_processes_share_the_batches_and_give_the_same_files(run, benchmark_questions, tmp_path):
    run("one").answer_all([benchmark_questions])
    second, first = (run("two", process=process, num_processes=2) for process in (1, 0))
    assert second.answer_all([benchmark_questions]) == []
    first.answer_all([benchmark_questions])  # which finishes what the other one has begun
    assert content(tmp_path / "one") == content(tmp_path / "two")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"settings": {**SETTINGS, "model": "other"}}, "`model` was 'tiny' there and is 'other' now"),
        ({"settings": {"model": "tiny", "data": {"okvqa": "2"}}}, "`data of okvqa` was '1' there and is '2' now"),
        ({"settings": {"data": {}}}, "`model` was 'tiny' there and is None now"),
    ],
)
def test_a_folder_of_another_run_is_refused(run, change, message):
    run().answer_all([])
    with pytest.raises(ValueError, match=message):
        run(**change)


def test_another_benchmark_may_join_a_run(run, tmp_path):
    run().answer_all([])
    run(settings={"model": "tiny", "data": {"viquae": "3"}}).answer_all([])
    assert json.loads((tmp_path / "run" / RUN_NAME).read_text())["data"] == {"okvqa": "1", "viquae": "3"}


def test_predictions_of_an_unknown_run_are_refused(run, benchmark_questions, tmp_path):
    run().answer_all([benchmark_questions], ["no memory"])
    (tmp_path / "run" / RUN_NAME).unlink()
    with pytest.raises(ValueError, match=f"holds predictions, but no {RUN_NAME}"):
        run()
    (tmp_path / "run" / RUN_NAME).write_text("[]")
    with pytest.raises(ValueError, match="is not the record of a run"):
        run()


def test_ways_that_the_items_do_not_allow_are_refused(run):
    assert run().ways(["memory", "no memory"]) == [("no memory", 0), ("memory", 1), ("memory", 2)]
    with pytest.raises(ValueError, match=r"among \['no memory'\] .* got 'RAG'"):
        run(source_of=None).ways(["RAG"])
    with pytest.raises(ValueError, match="got 'oracle'"):
        run().ways(["oracle"])


def test_a_prompt_that_the_model_cannot_hold_is_a_problem_of_its_question_alone(
    run, benchmark_questions, model, monkeypatch
):
    whole = run("whole").answer_all([benchmark_questions], ["RAG"])[0][1][1].predictions
    limit = sorted(prediction.positions for prediction in whole)[-2]
    monkeypatch.setattr(model.config.get_text_config(), "max_position_embeddings", limit)
    short = run("short").answer_all([benchmark_questions], ["RAG"])[0][1][1].predictions
    for before, after in zip(whole, short, strict=True):
        if before.positions > limit:
            assert f"but the model has {limit}" in after.problem and after.prediction == ""
            assert after.positions == before.positions
        else:
            assert after.problem == before.problem


def test_recorded_items_are_encoded_as_the_protocol_says(run, benchmark_questions, model, tiny_processor):
    items = [MemoryItem(image=encoded(seed, (600, 560)), text=f"Fact {seed}.") for seed in (0, 1)]
    items.append(MemoryItem(text="Only words."))
    records = {"q0": items, "q4": items[:1]}
    own = tiny_processor.memory_max_pixels // 28**2
    for protocol, tokens in ((EQUAL, own), (RELEASE, 324)):  # 512 x 512 becomes 504 x 504
        source = RecordedItems(records, 3, tiny_processor, protocol)
        grids = source.memory_inputs([source.prepare(items)])["image_grid_thw"].prod(dim=1) // 4
        assert (grids <= tokens).all() and (grids >= tokens / 2).all()
        options = {"protocol": protocol, "source_of": lambda _, source=source: source, "top_k": (3,)}
        answers = run(protocol.name, **options).answer_all([benchmark_questions])
        for answer in answers[0][1][1:]:
            assert [len(prediction.items) for prediction in answer.predictions] == [3, 0, 0, 0, 1]
            assert "No items were retrieved" in answer.predictions[2].problem
    assert tiny_processor.memory_max_pixels != RELEASE.memory_pixels[1]


def test_recorded_items_are_read_as_the_same_items_of_a_bank(run, benchmark_questions, bank):
    found = BankItems(bank, 2)
    pictures = [make_image(seed, (112, 84)) for seed in (0, 2, 3)]
    questions = [benchmark_questions.questions[number] for number in (0, 2, 4)]
    rows = found.find(questions, pictures)
    records = {question.id: row for question, row in zip(questions, rows, strict=True)}
    stored = run("stored").answer_all([benchmark_questions])[0][1]
    source = RecordedItems(records, 2, run().processor, EQUAL)
    encoded_now = run("now", source_of=lambda _: source).answer_all([benchmark_questions])[0][1]
    assert [dataclasses.asdict(answer) for answer in encoded_now] == [dataclasses.asdict(answer) for answer in stored]


def test_an_item_that_cannot_be_opened_is_a_problem_of_its_question_alone(
    run, benchmark_questions, bank, tiny_processor
):
    records = {f"q{number}": [MemoryItem(image=encoded(number), text="A fact.")] for number in range(5)}
    records["q2"] = [MemoryItem(image=encoded(2)[:200], text="Damaged.")]
    for protocol in (EQUAL, RELEASE):
        source = RecordedItems(records, 1, tiny_processor, protocol)
        options = {"protocol": protocol, "source_of": lambda _, source=source: source, "top_k": (1, 1)}
        ((_, answers),) = run(protocol.name, **options).answer_all([benchmark_questions])
        assert [answer.top_k for answer in answers] == [0, 1, 1]  # a number given twice is asked once
        for answer in answers[1:]:
            assert "memory item" in answer.predictions[2].problem
            assert [bool(prediction.problem) for prediction in answer.predictions] == [False, True, True, True, False]


def test_a_folder_with_answers_to_more_questions_is_refused_before_the_work(run, benchmark_questions, monkeypatch):
    run().answer_all([benchmark_questions], ["RAG"])
    fewer = dataclasses.replace(benchmark_questions, questions=benchmark_questions.questions[:2])
    monkeypatch.setattr("comem_hf.evaluation.asking.ask.generate_sequences", None)
    with pytest.raises(ValueError, match="or of more questions than are asked now"):
        run().answer_all([fewer], ["no memory"])
