"""Gives transformers' tests what they miss, and compares what ours pass with what Qwen2-VL passes."""

from pathlib import Path

import stubs
from comparison import Comparison, read_exceptions
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES


def pytest_configure(config):
    stubs.install(config.rootpath / "../../build/peer/packages")
    # Some of the tests skip classes that are not in the library's own table.
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES["comem"] = "CoMemForConditionalGeneration"
    if not hasattr(config, "workerinput"):  # not in pytest-xdist's workers, which report to one process
        config.pluginmanager.register(Comparison(read_exceptions(Path(__file__).with_name("README.md"))))
