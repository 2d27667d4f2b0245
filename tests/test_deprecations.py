"""Use of what transformers is about to drop fails the tests, be it warned about or logged."""

import warnings

import pytest
from transformers import Qwen2VLConfig
from transformers.utils import logging

from tests.deprecations import DeprecationLog


@pytest.fixture(autouse=True)
def no_deprecated_use():
    """Takes the place of the fixture of the same name, which would fail these tests."""


def test_what_transformers_logs_of_deprecation_is_caught_and_nothing_else():
    logger = logging.get_logger("transformers.models.qwen2_vl.modeling_qwen2_vl")
    with DeprecationLog() as log:
        logger.warning("Setting `pad_token_id` to `eos_token_id`")
        logger.warning("`cache_position` is deprecated and has no effect")
        Qwen2VLConfig().torch_dtype  # noqa: B018
    logger.warning("`x` is deprecated, but nobody listens")
    assert len(log.messages) in (1, 2), log.messages  # the second is logged once in a process
    assert "modeling_qwen2_vl: `cache_position` is deprecated" in log.messages[0]


@pytest.mark.parametrize("module", ["transformers.generation.utils", "peft.tuners.lora", "comem_hf.modeling"])
@pytest.mark.parametrize("category", [FutureWarning, DeprecationWarning, UserWarning])
def test_what_is_warned_of_deprecation_is_an_error(module, category):
    with pytest.raises(category, match="is deprecated"):
        warnings.warn_explicit("`x` is deprecated.", category, "file.py", 1, module=module)
