"""A training run in a line or two, for its end."""

from pathlib import Path

from transformers import TrainerState


def run_summary(state: TrainerState, loss: float, *, keeps_best: bool, metric: str | None) -> str:
    """Say how many steps a run took, its mean loss and last exact match, and whether and with what it stopped early.

    Args:
        state (`TrainerState`): The state at the end.
        loss (`float`): The mean loss.
        keeps_best (`bool`): Whether the best checkpoint is the result (`load_best_model_at_end`).
        metric (`str`, *optional*): The metric of the best checkpoint.
    """
    matches = [row["eval_exact_match"] for row in state.log_history if "eval_exact_match" in row]
    match = f", last exact match {matches[-1]:.4g}" if matches else ""
    lines = [f"Trained for {state.global_step} steps: mean loss {loss:.4g}{match}."]
    best = f"{Path(state.best_model_checkpoint).name}, " if state.best_model_checkpoint else ""
    kept = f"kept {best}{(metric or 'loss').removeprefix('eval_')} {state.best_metric:.4g}" if best else ""
    if state.global_step < state.max_steps:
        after = f"; {kept}" if keeps_best and kept else ""
        lines.append(f"Stopped early at step {state.global_step}{after}.")
    elif keeps_best and kept:
        lines.append(f"{kept[0].upper()}{kept[1:]}.")
    return "\n".join(lines)
