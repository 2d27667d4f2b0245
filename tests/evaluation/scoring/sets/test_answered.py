import pytest

from comem_hf.evaluation.scoring.sets.answered import reference_of


def test_a_lacking_part_of_a_reference_is_named(asked):
    assert reference_of(asked(answer=["x"], other=1), "other", "answer") == (1, ["x"])
    with pytest.raises(ValueError, match="question 'q' has no `answer_eval`"):
        reference_of(asked(answer=["x"]), "answer_eval")
