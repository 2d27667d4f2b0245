from comem_hf.evaluation.asking.prediction import Prediction
from comem_hf.synthesis.answers.dialogues import SEEDS, dialogue_candidates, to_be_written, with_questions
from comem_hf.synthesis.settings.source import KINDS, SourceSettings


def test_dialogues_of_an_item_are_of_different_kinds_and_the_seed_draws_them(bank):
    source = SourceSettings("study", dialogues=4)
    candidates, without = dialogue_candidates(source, bank, seed=0)
    assert len(candidates) == 4 * len(bank) and without == 0 and set(SEEDS) == set(KINDS)
    for item_id in bank.ids:
        of_item = [each for each in candidates if each.item_id == item_id]
        assert {each.question.kind for each in of_item} == set(KINDS)
    pair = SourceSettings("study", dialogues=1, candidates=4)
    texts = [[each.question.question for each in dialogue_candidates(pair, bank, seed)[0]] for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    few = SourceSettings("study", dialogues=1, candidates=3, kinds=("facts",))
    assert len(dialogue_candidates(few, bank, seed=0)[0]) == 3


def test_a_question_that_the_model_wrote_takes_the_place_of_its_seed_and_an_empty_one_ends_the_dialogue(bank):
    candidates, _ = dialogue_candidates(SourceSettings("study", dialogues=4), bank, seed=0)
    writing = to_be_written(candidates)
    assert {each.question.kind for each in writing} == {"facts", "comparison"}
    written = {each.id: Prediction(each.id, f" Why {number}? ", ("x",), 1) for number, each in enumerate(writing)}
    written[writing[0].id] = Prediction(writing[0].id, "  ", ("x",), 1)
    asked = {each.id: each.question.question for each in with_questions(candidates, written)}
    assert len(asked) == len(candidates) - 1 and asked[writing[1].id] == "Why 1?"
    given = {each.id: each.question.question for each in candidates if each not in writing}
    assert given.items() <= asked.items()
