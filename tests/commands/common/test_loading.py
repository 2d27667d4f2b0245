"""What loading a model shows, and what it leaves as it was."""

import importlib
import warnings

import pytest
from huggingface_hub.utils import are_progress_bars_disabled
from transformers.utils import logging

from comem_hf.commands.common.loading import load_model, without_loading_bar


def test_the_bar_of_reading_weights_is_hidden_and_those_of_downloads_are_not():
    assert logging.is_progress_bar_enabled()
    with pytest.raises(KeyboardInterrupt), without_loading_bar():
        assert (logging.is_progress_bar_enabled(), are_progress_bars_disabled()) == (False, False)
        raise KeyboardInterrupt
    assert (logging.is_progress_bar_enabled(), are_progress_bars_disabled()) == (True, False)


def test_bars_that_the_environment_forbids_stay_off_without_a_warning(model_folder, monkeypatch):
    monkeypatch.setattr(importlib.import_module("huggingface_hub.utils.tqdm"), "HF_HUB_DISABLE_PROGRESS_BARS", True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        load_model(model_folder)
    assert are_progress_bars_disabled()
