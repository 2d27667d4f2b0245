"""lmms-eval finds the model by its entry point."""

from importlib.metadata import entry_points

import pytest


pytest.importorskip("lmms_eval", reason="lmms-eval is not installed: make test-lmms")

from lmms_eval.models import get_model, get_model_manifest

from comem_hf.lmms.model import CoMem


def test_the_entry_point_names_our_model():
    (point,) = entry_points(group="lmms_eval.models", name="comem")
    assert point.load()() == get_model_manifest("comem")
    assert get_model("comem") is CoMem
