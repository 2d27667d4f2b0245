"""Weights to start from with which a model compares pictures and copies words before its first step.

What has to be learned otherwise takes several layers at once, each useless without the others: tokens that carry the
picture they stand behind and the words before them, and heads that look for tokens which carry what the question does.
From random weights that did not come about in the time that a CPU allows (`README.md`).
"""

from collections.abc import Sequence

import torch
from torch import nn
from transformers import TrainerCallback


PICTURE_HEADS = range(4)  # of the first layer: they look at the latest picture
WORD_HEAD = 4  # of the first two layers: it looks at the latest words
# Pairs of rotary channels whose angles tell near from far, and the logit at no distance.
LATEST_PICTURE = ((3, 4, 5, 6), 30.0)
LATEST_WORDS = (((1, 2), 6.0), ((3, 4), 6.0))
STEADY_PAIRS = 8  # from this pair on, angles hardly change over ten items
COMPARING_SCALE = 5.0
QUERY_STD = 0.06  # a token's query meets its own key at a logit of about 4


@torch.no_grad()
def start_comparing(model: nn.Module) -> None:
    """Initialise the text model and the output layer of a Qwen2-VL.

    In every layer queries equal keys, so that heads compare contents, and outputs are the transposed values, so that
    they copy what they look at (compare https://huggingface.co/papers/2305.09828). The second half of the layers
    copies into another basis, a rotated one, and the output layer is the embeddings in that basis: what these layers
    copy is said, and what a token is itself is not. On top of that, in the first layer heads with constant queries
    look at the latest picture (pictures share the embedding of `<|image_pad|>`, see `learning/eyes.py`), and in
    the first two one looks at the latest words. The heads of the second half compare the pictures that tokens carry.

    Args:
        model (`nn.Module`): A `Qwen2VLForConditionalGeneration` as it was made.
    """
    text, config = model.model.language_model, model.config.text_config
    size, width, half = config.hidden_size, config.hidden_size // config.num_attention_heads, len(text.layers) // 2
    words = nn.init.normal_(text.embed_tokens.weight, std=1.0)
    rotation = nn.init.orthogonal_(torch.empty(size, size))
    model.lm_head.weight.copy_(size**-0.5 * words @ rotation.T)
    for number, layer in enumerate(text.layers):
        attention = layer.self_attn
        attention.k_proj.weight.copy_(nn.init.normal_(attention.q_proj.weight, std=QUERY_STD))
        copied = nn.init.orthogonal_(attention.v_proj.weight).T
        if number < half:  # heads that compare whole tokens would mix the pictures of items with the same words
            speaking = (*PICTURE_HEADS, WORD_HEAD) if number == 0 else (WORD_HEAD,)
            attention.o_proj.weight.zero_()
            for rows in (_rows(head, width) for head in speaking):
                attention.o_proj.weight[:, rows] = copied[:, rows]
        else:
            attention.o_proj.weight.copy_(rotation @ copied)

    first = text.layers[0].self_attn
    shared = nn.functional.normalize(words[model.config.image_token_id], dim=0)
    length = (size / 2) ** 0.5  # of a picture's component along `shared`, after the norm
    for head in PICTURE_HEADS:
        rows, (pairs, logit) = _rows(head, width), LATEST_PICTURE
        _look_back(first, rows, pairs, logit)
        first.k_proj.weight[rows] = torch.outer(first.k_proj.bias[rows], shared / length)
        first.k_proj.bias[rows] = 0.0
    for layer, (pairs, logit) in zip(text.layers, LATEST_WORDS, strict=False):
        _look_back(layer.self_attn, _rows(WORD_HEAD, width), pairs, logit)
    for number, layer in enumerate(text.layers[half:]):
        for rows in _comparing_rows(width):
            shift = STEADY_PAIRS * (number % 2)  # every other layer compares the other channels of what is copied
            compared = COMPARING_SCALE * first.v_proj.weight[rows.start - shift : rows.stop - shift]
            layer.self_attn.q_proj.weight[rows] = layer.self_attn.k_proj.weight[rows] = compared


def held_parts(model: nn.Module) -> list[tuple[nn.Parameter, tuple]]:
    """Return the parameters, and an index into each, of the heads above; training leaves them as they started.

    Args:
        model (`nn.Module`): A `Qwen2VLForConditionalGeneration`.
    """
    text, config = model.model.language_model, model.config.text_config
    width, parts = config.hidden_size // config.num_attention_heads, []
    pictures, word = slice(0, len(PICTURE_HEADS) * width), _rows(WORD_HEAD, width)
    first = text.layers[0].self_attn
    parts += [(first.v_proj.weight, (pictures,)), (first.v_proj.bias, (pictures,))]
    parts += [(first.o_proj.weight, (slice(None), pictures))]
    looking = [(first, pictures), *((layer.self_attn, word) for layer in text.layers[: len(LATEST_WORDS)])]
    comparing = [
        (layer.self_attn, rows) for layer in text.layers[len(text.layers) // 2 :] for rows in _comparing_rows(width)
    ]
    for attention, rows in looking + comparing:
        for projection in (attention.q_proj, attention.k_proj):
            parts += [(projection.weight, (rows,)), (projection.bias, (rows,))]
    return parts


class Hold(TrainerCallback):
    """Callback that keeps parts of parameters as they are.

    Args:
        parts (`list[tuple[nn.Parameter, tuple]]`): Parameters, and an index into each.
    """

    def __init__(self, parts: list[tuple[nn.Parameter, tuple]]):
        self.parts = [(parameter, index, parameter.detach()[index].clone()) for parameter, index in parts]

    @torch.no_grad()
    def on_pre_optimizer_step(self, *args, **kwargs):
        """Take their gradients away: Muon gives all directions of a gradient the same size."""
        for parameter, index, _ in self.parts:
            if parameter.grad is not None:
                parameter.grad[index] = 0.0

    @torch.no_grad()
    def on_optimizer_step(self, *args, **kwargs):
        """Undo the weight decay."""
        for parameter, index, values in self.parts:
            parameter[index] = values


def _rows(head: int, width: int) -> slice:
    return slice(head * width, (head + 1) * width)


def _comparing_rows(width: int) -> list[slice]:
    """The channels of the comparing heads whose angles hardly change; their others are free to compare words."""
    halves = [head * width + half for head in PICTURE_HEADS for half in (0, width // 2)]
    return [slice(start + STEADY_PAIRS, start + width // 2) for start in halves]


def _look_back(attention: nn.Module, rows: slice, pairs: Sequence[int], logit: float) -> None:
    """Make queries and keys of a head constant, so that its logits fall with the distance, from `logit` on."""
    constant = torch.zeros(rows.stop - rows.start)
    constant[list(pairs)] = len(pairs) ** -0.5
    for projection, scale in ((attention.q_proj, len(constant) ** 0.5), (attention.k_proj, logit)):
        projection.weight[rows] = 0.0
        projection.bias[rows] = scale * constant
