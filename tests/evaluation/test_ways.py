import numpy as np
import pytest

from comem_hf import MemoryBank, MemoryItem
from comem_hf.bank import Embedder
from comem_hf.evaluation import WAYS, evaluate, ways_of
from tests.conftest import make_image, make_model


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


def test_each_query_is_embedded_once(model, tiny_processor, calibrated_bank, questions, embedded):
    evaluate(model, tiny_processor, calibrated_bank, questions, ways=["memory, top-k"], max_new_tokens=1)
    assert embedded == [len(questions)]


def test_an_unknown_way_is_refused(model, tiny_processor, bank, questions):
    with pytest.raises(ValueError, match="`ways` must be among .*'oracle'"):
        evaluate(model, tiny_processor, bank, questions, ways=["oracle"])


SLOTS = {"num_slots": 128, "projector_hidden": 8, "scale": 1.0}


class Colours(Embedder):
    """Embeds a picture by its mean colour: a bank that needs no model to be searched."""

    settings = {"type": "colours"}

    def embed_images(self, images):
        return np.stack([np.asarray(image.convert("RGB"), np.float32).mean((0, 1)) for image in images])


def test_vectors_in_feed_forward_layers_and_pictures_there_take_no_positions(tiny_processor, questions, tmp_path):
    items = [MemoryItem(image=make_image(n, (112, 84)), text=f"Fact {n}.", id=f"item-{n}") for n in range(4)]
    positions = {}
    for source in ("memory", "vision"):
        model = make_model(ffn_memory_config={**SLOTS, "source": source})
        bank = MemoryBank.build(items, model=model, processor=tiny_processor, output_dir=tmp_path / source)
        scores = evaluate(model, tiny_processor, bank, questions, max_new_tokens=2)
        assert [score.way for score in scores] == list(WAYS)
        positions[source] = {score.way: score.positions for score in scores}
    assert positions["memory"]["memory, top-k"] == positions["memory"]["no memory"]
    vectors = positions["vision"]["memory, true item"] - positions["vision"]["no memory"]
    assert vectors == model.config.num_memory_tokens
    assert all(positions["vision"][way] < positions["memory"][way] for way in ("no memory", "RAG, true item"))


def test_more_items_than_the_model_has_slots_for_are_refused_before_the_first_way(
    tiny_processor, bank, questions, monkeypatch
):
    model = make_model(ffn_memory_config={**SLOTS, "num_slots": 16, "source": "memory"})
    (score,) = evaluate(model, tiny_processor, bank, questions, ways=["memory, top-k"], max_new_tokens=2)
    assert len(score.answers) == len(questions)  # of two items each
    monkeypatch.setattr(type(model), "generate", pytest.fail)
    with pytest.raises(ValueError, match="`top_k` 3 needs 24 slots, but this model has 16, enough for 2 items"):
        evaluate(model, tiny_processor, bank, questions, top_k=3)


def test_a_model_without_a_memory_encoder_is_scored_on_the_ways_that_it_has(
    tiny_processor, bank, model, questions, tmp_path
):
    tower = make_model(num_memory_tokens=0, vision_memory_config={})
    unattached = MemoryBank.from_pretrained(bank.folder)
    scores = evaluate(tower, tiny_processor, unattached, questions, max_new_tokens=2)
    assert [score.way for score in scores] == ["no memory", "RAG, true item"]
    items = [bank[item_id] for item_id in bank.ids]
    options = {"model": model, "processor": tiny_processor, "output_dir": tmp_path / "bank"}
    by_colour = MemoryBank.build(items, **options, embedder=Colours())
    scores = evaluate(tower, tiny_processor, by_colour, questions, max_new_tokens=2, top_k=2)
    assert [score.way for score in scores] == ["no memory", "RAG, true item", "RAG, top-k"]
    assert ways_of(model, bank) == WAYS
    with pytest.raises(ValueError, match="`ways` must be among .* with this model and bank, got 'memory, top-k'"):
        evaluate(tower, tiny_processor, by_colour, questions, ways=["memory, top-k"])
