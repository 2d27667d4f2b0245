"""The picture of a run's losses and scores."""

import logging
import sys

from PIL import Image
from transformers import TrainerControl, TrainerState

from comem_hf.training.watching.loss_curve import LossCurve, draw_curve


HISTORY = [
    {"step": 1, "loss": 2.0, "learning_rate": 1e-3},
    {"step": 2, "loss": 1.0, "learning_rate": 5e-4},
    {"step": 2, "eval_loss": 1.5, "eval_exact_match": 0.25},
]


def test_there_is_a_panel_for_each_kind_of_value_in_the_log(tmp_path):
    widths = []
    for history in (HISTORY, HISTORY[:2], [{"step": 1, "loss": 2.0}]):
        draw_curve(history, tmp_path / "loss.png")
        widths.append(Image.open(tmp_path / "loss.png").width)
    assert widths == [3 * widths[2], 2 * widths[2], widths[2]]
    (tmp_path / "loss.png").unlink()
    draw_curve([{"step": 1, "train_runtime": 3.0}], tmp_path / "loss.png")
    assert not (tmp_path / "loss.png").exists()


def test_it_is_drawn_by_the_first_process_when_there_is_something_new(make_arguments, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "comem_hf.training.watching.loss_curve.draw_curve", lambda log, path: drawn.append((len(log), path))
    )
    args, control = make_arguments(output_dir=str(tmp_path)), TrainerControl()
    state = TrainerState(log_history=HISTORY[:2])
    curve = LossCurve()
    curve.on_train_begin(args, state, control)
    curve.on_save(args, state, control)
    curve.on_train_end(args, state, control)
    state.log_history.append(HISTORY[2])
    curve.on_train_end(args, state, control)
    LossCurve().on_save(args, TrainerState(log_history=HISTORY, is_world_process_zero=False), control)
    assert drawn == [(2, tmp_path / "loss.png"), (3, tmp_path / "loss.png")]


def test_without_matplotlib_the_log_says_what_to_install(make_arguments, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    curve, args, state = LossCurve(), make_arguments(), TrainerState(log_history=HISTORY)
    monkeypatch.setattr("comem_hf.training.watching.loss_curve.logger", logging.getLogger("curve"))
    with caplog.at_level("WARNING"):
        curve.on_train_begin(args, state, TrainerControl())
        curve.on_train_end(args, state, TrainerControl())
    assert [record.message for record in caplog.records] == [
        'loss.png is not drawn without matplotlib: `pip install ".[eval]"` in a clone of the comem_hf repository.'
    ]
