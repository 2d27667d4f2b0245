"""A picture of a run's losses and scores, drawn while it goes on."""

from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.utils import logging

from comem_hf.modeling.installation_comem import how_to_install


logger = logging.get_logger(__name__)

CURVE_NAME = "loss.png"
# Panels, each with lines: the key in the log, label, colour.
PANELS = {
    "loss": (("loss", "training", "#0284c7"), ("eval_loss", "evaluation", "#ea580c")),
    "exact match": (("eval_exact_match", "evaluation", "#ea580c"),),
    "learning rate": (("learning_rate", "training", "#0284c7"),),
}


class LossCurve(TrainerCallback):
    """Draws `loss.png` in the output folder, at each save and at the end.

    It shows the loss in training and evaluation, the share of exact answers and the learning rate, whatever of it is
    in the log. Without matplotlib nothing is drawn, and the log says so.
    """

    def __init__(self):
        self.drawn = 0

    def on_train_begin(self, args, state, control, **kwargs):
        if state.is_world_process_zero and not _can_draw():
            logger.warning(f"{CURVE_NAME} is not drawn without matplotlib: {how_to_install('eval')}.")

    def on_save(self, args, state, control, **kwargs):
        self._draw(args, state)

    def on_train_end(self, args, state, control, **kwargs):
        self._draw(args, state)

    def _draw(self, args, state) -> None:
        if state.is_world_process_zero and len(state.log_history) > self.drawn and _can_draw():
            draw_curve(state.log_history, Path(args.output_dir, CURVE_NAME))
            self.drawn = len(state.log_history)


def draw_curve(history: list[dict[str, Any]], path: Path) -> None:
    """Draw the curves of a run, a panel for each kind of value that its log has.

    Args:
        history (`list[dict]`): The log: `log_history` of a `TrainerState`.
        path (`Path`): The PNG to write.
    """
    from matplotlib.figure import Figure  # without pyplot, which would choose a window system

    lines = {
        title: [(points, label, colour) for key, label, colour in panel if (points := _points(history, key))]
        for title, panel in PANELS.items()
    }
    lines = {title: panel for title, panel in lines.items() if panel}
    if not lines:
        return
    figure = Figure(figsize=(5.5 * len(lines), 4), layout="constrained")
    for axes, (title, panel) in zip(figure.subplots(1, len(lines), squeeze=False)[0], lines.items(), strict=True):
        for points, label, colour in panel:
            axes.plot(*zip(*points, strict=True), label=label, color=colour, marker="." if len(points) < 30 else None)
        axes.set(title=title, xlabel="update")
        axes.grid(alpha=0.3)
        if title == "exact match":
            axes.set_ylim(-0.03, 1.03)
        if len(panel) > 1:
            axes.legend()
    figure.savefig(path, dpi=120)


def _points(history: list[dict[str, Any]], key: str) -> list[tuple[int, float]]:
    return [(row["step"], float(row[key])) for row in history if key in row]


def _can_draw() -> bool:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True
