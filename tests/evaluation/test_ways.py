import pytest

from comem_hf.evaluation import WAYS, evaluate


def test_every_way_answers_every_question_and_counts_its_positions(model, tiny_processor, bank, questions):
    scores = evaluate(model, tiny_processor, bank, questions, top_k=2, batch_size=2, max_new_tokens=3)
    assert [score.way for score in scores] == list(WAYS)
    assert all(len(score.answers) == len(questions) for score in scores)
    positions = {score.way: score.positions for score in scores}
    tokens = model.config.num_memory_tokens
    assert positions["memory, true item"] == positions["no memory"] + tokens
    assert positions["memory, top-k"] == positions["no memory"] + 2 * tokens
    assert positions["RAG, top-k"] > positions["RAG, true item"] > positions["memory, top-k"]


def test_batches_give_the_answers_of_single_questions(model, tiny_processor, bank, questions):
    options = {"top_k": 2, "max_new_tokens": 4}
    batched = evaluate(model, tiny_processor, bank, questions, batch_size=3, **options)
    single = evaluate(model, tiny_processor, bank, questions, batch_size=1, **options)
    assert [score.answers for score in batched] == [score.answers for score in single]


def test_the_score_is_the_share_of_exact_answers(model, tiny_processor, bank, questions):
    (score,) = evaluate(model, tiny_processor, bank, questions, ways=["no memory"], max_new_tokens=3)
    answered = [
        question if number else type(question)(question.item_id, question.question, score.answers[0].upper())
        for number, question in enumerate(questions)
    ]
    (again,) = evaluate(model, tiny_processor, bank, answered, ways=["no memory"], max_new_tokens=3)
    assert again.exact_match == pytest.approx(1 / 3)


def test_memory_makes_a_difference(model, tiny_processor, bank, questions):
    ways = ["no memory", "memory, true item"]
    without, with_memory = evaluate(model, tiny_processor, bank, questions, ways=ways, max_new_tokens=8)
    assert without.answers != with_memory.answers


def test_an_unknown_way_is_refused(model, tiny_processor, bank, questions):
    with pytest.raises(ValueError, match="`ways` must be among .*'oracle'"):
        evaluate(model, tiny_processor, bank, questions, ways=["oracle"])
