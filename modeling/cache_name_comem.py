"""The name of the key-value cache, which transformers 5.24 has changed from `past_key_values` to `cache`."""

import warnings
from dataclasses import fields

from transformers.modeling_outputs import CausalLMOutputWithPast


CACHE_NAME = "cache" if "cache" in {field.name for field in fields(CausalLMOutputWithPast)} else "past_key_values"
"""Name of the cache among the arguments and outputs of the installed transformers' models."""


def given_cache(cache, past_key_values):
    """Return the cache that a caller passed by its new or its old name; `None` if there is none.

    From transformers 5.24 on the old name warns, as the backbone's `forward` does.

    Raises:
        ValueError: If two different caches are given.
    """
    if cache is not None and past_key_values is not None and cache is not past_key_values:
        raise ValueError("`cache` and `past_key_values` are two names of one argument, got two different caches.")
    if past_key_values is not None and CACHE_NAME == "cache":
        warnings.warn("`past_key_values` is deprecated, use `cache` instead.", FutureWarning, stacklevel=3)
    return past_key_values if cache is None else cache


def refuse_filled_cache(cache):
    """Refuse to put memory in front of a text that is already in a cache.

    Raises:
        ValueError: If there is anything in the cache.
    """
    if cache is not None and cache.get_seq_length() > 0:
        raise ValueError(
            f"`memory_inputs` belong in front of the whole prompt, but `{CACHE_NAME}` already holds "
            f"{cache.get_seq_length()} positions; continue without `memory_inputs`."
        )


__all__ = ["CACHE_NAME", "given_cache", "refuse_filled_cache"]
