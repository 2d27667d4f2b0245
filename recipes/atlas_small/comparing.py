"""Weights to start from with which a model compares pictures before its first step.

What has to be learned otherwise takes several layers at once, each useless without the others: tokens that carry the
picture they stand behind and the words before them, and heads that look for tokens which carry what the question does.
From random weights that did not come about in the time that a CPU allows (`README.md`).
"""

import torch
from torch import nn
from transformers import TrainerCallback


REGISTER = 64  # channels, the first of every token, that hold the latest picture until it is compared
# A head that looks at the latest picture: `logit - slope * sin(angle)`, of a pair of rotary channels whose angle is
# below a quarter turn over ten items. Near a picture the second term is small, whatever the size of its vector.
PICTURE_PAIR, PICTURE_SLOPE = 8, 80.0
PRESENT_PAIR, PRESENT_LOGIT = 16, 20.0
SHARED = 2.0  # length of what pictures have in common, by which heads find them, against what tells them apart
# Heads that look at the latest words: a sum of cosines. A pair alone would confuse distances a full turn apart.
WORD_PAIRS, WORD_LOGIT = ((2, 4), (4, 6)), 6.0
COMPARING_HEADS = range(3)
# Pairs of these heads that compare pictures; their angles hardly change over ten items. Those after them are as
# steady, and free to learn to compare words: to find a fact, a head must do both.
STEADY_PAIRS = range(10, 21)
COMPARING_SCALE = 6.0
QUERY_SIZE = 0.3  # of the resampler's queries, so that what is copied outweighs them
QUERY_STD = 0.06  # a token's query meets its own key at a logit of about 4


@torch.no_grad()
def start_comparing(model: nn.Module) -> None:
    """Initialise the text model and the output layer of a Qwen2-VL.

    In every layer queries equal keys, so that heads compare contents, and outputs are the transposed values, so that
    they copy what they look at (compare https://huggingface.co/papers/2305.09828). The second half of the layers
    copies into another basis, a rotated one, and the output layer is the embeddings in that basis: what these layers
    copy is said, and what a token is itself is not.

    On top of that, a head of the first layer with constant queries looks at the latest picture (pictures share the
    embedding of `<|image_pad|>`, see `learning/eyes.py`) and copies a part of it into a register: channels that words
    and the first half of the layers leave alone. Heads of the second half compare the registers. One head in each of
    the first two layers looks at the latest words.

    Args:
        model (`nn.Module`): A `Qwen2VLForConditionalGeneration` as it was made.
    """
    text, config = model.model.language_model, model.config.text_config
    size, width, half = config.hidden_size, config.hidden_size // config.num_attention_heads, len(text.layers) // 2
    words = nn.init.normal_(text.embed_tokens.weight, std=1.0)
    shared = SHARED * words[model.config.image_token_id]
    words[:, :REGISTER] = 0.0
    words[model.config.image_token_id] = shared
    rotation = nn.init.orthogonal_(torch.empty(size, size))
    model.lm_head.weight.copy_(size**-0.5 * words @ rotation.T)
    for number, layer in enumerate(text.layers):
        attention = layer.self_attn
        attention.k_proj.weight.copy_(nn.init.normal_(attention.q_proj.weight, std=QUERY_STD))
        copied = nn.init.orthogonal_(attention.v_proj.weight).T
        attention.o_proj.weight.copy_(copied if number < half else rotation @ copied)
        if number < half:
            attention.o_proj.weight[:REGISTER] = 0.0
            layer.mlp.down_proj.weight[:REGISTER] = 0.0

    first, heads = text.layers[0].self_attn, REGISTER // width
    length = (size / (1 + SHARED**-2)) ** 0.5  # of a picture's component along `shared`, after the norm
    for head in range(heads):
        rows, keys = _rows(head, width), torch.zeros(width)
        keys[PICTURE_PAIR], keys[PRESENT_PAIR] = PICTURE_SLOPE, PRESENT_LOGIT
        direction = nn.functional.normalize(shared, dim=0)
        first.k_proj.weight[rows] = torch.outer(keys, direction / length)
        first.v_proj.weight[rows] -= torch.outer(first.v_proj.weight[rows] @ direction, direction)
        first.q_proj.weight[rows] = 0.0
        first.q_proj.bias[rows][[PICTURE_PAIR + width // 2, PRESENT_PAIR]] = width**0.5
        first.o_proj.weight[:, rows] = 0.0
        first.o_proj.weight[rows, rows] = (1 + SHARED**2) ** 0.5 * torch.eye(width)
    for layer, pairs in zip(text.layers, WORD_PAIRS, strict=False):
        attention, rows = layer.self_attn, _rows(heads, width)
        for projection, scale in ((attention.q_proj, width**0.5), (attention.k_proj, WORD_LOGIT)):
            projection.weight[rows] = 0.0
            projection.bias[rows][list(pairs)] = scale * len(pairs) ** -0.5
    for layer in text.layers[half:]:
        comparing = torch.cat([torch.arange(rows.start, rows.stop) for rows in _comparing_rows(width)])
        channels = torch.arange(len(comparing)) % REGISTER
        for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj):
            projection.weight[comparing] = 0.0
            projection.weight[comparing, channels] = COMPARING_SCALE


@torch.no_grad()
def start_copying(resampler: nn.Module, looked_for: torch.Tensor) -> None:
    """Initialise a resampler so that memory starts as what a reader of the item would see: a picture, then words.

    Each query looks for states of one kind, in a basis of its own so that the queries do not find each other, and its
    vector starts as a copy of what it finds. From random weights most queries settle on words that all items share,
    and where no vector is the picture, the reader has none to compare.

    Args:
        resampler (`nn.Module`): The resampler of a new memory encoder.
        looked_for (`torch.Tensor` of shape `(kinds, hidden)`): A direction for each kind. If there are fewer queries,
            each looks for several; if there are more, the others stay as they are.
    """
    for projection in (resampler.project_in, resampler.project_out):
        nn.init.eye_(projection.weight)
        nn.init.zeros_(projection.bias)
    basis = nn.init.orthogonal_(torch.empty(looked_for.shape[1], looked_for.shape[1]))
    for number, layer in enumerate(resampler.layers):
        attention = layer.attention
        attention.to_key.weight.copy_(attention.to_query.weight @ basis.T)
        copied = nn.init.orthogonal_(attention.to_value.weight).T
        attention.to_output.weight.copy_(copied if number == 0 else torch.zeros(()))
        nn.init.zeros_(layer.mlp.narrow.weight)
    kinds = nn.functional.rms_norm(looked_for @ basis, looked_for.shape[1:])
    queries = resampler.queries.weight
    for query, several in zip(queries, kinds.tensor_split(min(len(queries), len(kinds))), strict=False):
        query.copy_(several.mean(0))
    queries.mul_(QUERY_SIZE)


def held_parts(model: nn.Module) -> list[tuple[nn.Parameter, tuple]]:
    """Return the parameters, and an index into each, that training leaves as they started.

    Args:
        model (`nn.Module`): A `Qwen2VLForConditionalGeneration`.
    """
    text, config = model.model.language_model, model.config.text_config
    width, half = config.hidden_size // config.num_attention_heads, len(text.layers) // 2
    register, word = slice(0, REGISTER), _rows(REGISTER // width, width)
    first = text.layers[0].self_attn
    parts = [(text.embed_tokens.weight, (slice(None), register))]
    parts += [(first.v_proj.weight, (register,)), (first.v_proj.bias, (register,))]
    parts += [(first.o_proj.weight, (slice(None), register))]
    for layer in text.layers[:half]:
        parts += [(layer.self_attn.o_proj.weight, (register,)), (layer.mlp.down_proj.weight, (register,))]
    looking = [(first, register), *((layer.self_attn, word) for layer in text.layers[: len(WORD_PAIRS)])]
    comparing = [(layer.self_attn, rows) for layer in text.layers[half:] for rows in _comparing_rows(width)]
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
    """The channels of the comparing heads that compare pictures."""
    halves = [head * width + half for head in COMPARING_HEADS for half in (0, width // 2)]
    return [slice(start + STEADY_PAIRS.start, start + STEADY_PAIRS.stop) for start in halves]
