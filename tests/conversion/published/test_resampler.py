"""Sizes and ranks that cannot be, given or found in a file, are refused in one sentence."""

import pytest
import torch

from tests.conversion.conftest import edit, replaced


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("latents", torch.flatten, r"has shape \(512,\), which must be \(1, memory tokens, hidden size\)"),
        ("latents", lambda latents: latents.repeat(2, 1, 1), r"has shape \(2, 8, 64\), which must be \(1,"),
        ("layers.0.to_q.weight", torch.flatten, r"has shape \(4096,\), but must be a matrix"),
        ("layers.0.to_kv.weight", torch.flatten, r"has shape \(8192,\), but must be a matrix"),
    ],
)
def test_a_resampler_of_another_shape_is_told(refused, key, change, message):
    key = f"knowledge_processor.{key}"
    refused(f"{key} in .* {message}", lambda folder: edit(folder, replaced(key, change)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"resampler": {"num_attention_heads": 0}},
            r"`resampler\['num_attention_heads'\]` must be .* got 0",
        ),
        ({"resampler": {"head_dim": "4"}}, r"`resampler\['head_dim'\]` must be a positive integer, got '4'"),
        ({"resampler": {"num_hidden_layers": 0}}, r"`resampler\['num_hidden_layers'\]` must be a positive integer"),
        (
            {"rank": 2, "encoder": "separate"},
            "`rank` .* is for recovering the encoder's adapter, and .*'separate' has none",
        ),
        (
            {"rank": 64},
            r"`rank` \(--rank\) 64 is too large: an adapter of .* \(.* x .*\) is smaller .* only below \d+",
        ),
        ({"rank": 0}, "`rank` must be a positive integer, got 0"),
        ({"max_error": float("nan")}, "`max_error` must be 0 or more, got nan"),
        ({"encoder": "both"}, r"`encoder` must be one of \['adapter', 'separate'\], got 'both'"),
        (
            {"resampler": {"num_attention_heads": 4, "head_dim": 32}},
            "`num_attention_heads` times `head_dim` must be 64, .* got 4 times 32",
        ),
    ],
)
def test_values_out_of_range_are_refused(refused, arguments, message):
    refused(message, **arguments)
