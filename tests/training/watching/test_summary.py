"""A run in a line or two."""

import pytest
from transformers import TrainerState

from comem_hf.training.watching.summary import run_summary


@pytest.mark.parametrize(
    ("steps", "keeps_best", "lines"),
    [
        (3, True, "Stopped early at step 3; kept checkpoint-1, exact_match 1."),
        (3, False, "Stopped early at step 3."),
        (8, True, "Kept checkpoint-1, exact_match 1."),
        (8, False, ""),
    ],
)
def test_the_end_of_a_run_is_said_in_a_line_or_two(steps, keeps_best, lines):
    state = TrainerState(global_step=steps, max_steps=8, best_metric=1.0, best_model_checkpoint="out/checkpoint-1")
    state.log_history = [{"eval_exact_match": 1.0}, {"loss": 2.0}, {"eval_exact_match": 0.75}]
    said = run_summary(state, 1.23456, keeps_best=keeps_best, metric="eval_exact_match")
    assert said == f"Trained for {steps} steps: mean loss 1.235, last exact match 0.75.\n{lines}".rstrip("\n")
