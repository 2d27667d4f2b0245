"""A contrastive loss: an item's memory is nearer to the question about it than to the others of the batch."""

from typing import Any

import torch
import torch.nn.functional as F

from comem_hf.modeling import CoMemForConditionalGeneration
from comem_hf.training.data.chat import IGNORE_INDEX


def contrastive_loss(
    model: CoMemForConditionalGeneration,
    states: torch.Tensor,
    inputs: dict[str, Any],
    true_items: torch.Tensor,
    shares: torch.Tensor,
    *,
    layer: int,
    temperature: float,
) -> torch.Tensor:
    """Compute InfoNCE (van den Oord et al. 2018) in both directions, as in CLIP (Radford et al. 2021, figure 3).

    With `m_i` the mean of the states of the true item's vectors after a layer of the frozen backbone that reads memory
    and prompt, and `q_i` the mean of the states of question `i` after the same layer of the backbone that reads the
    prompt without memory, no gradients, the loss of sample `i` is half of

        - log softmax_j(cos(m_i, q_j) / t)[i] - log softmax_j(cos(m_j, q_i) / t)[i].

    The tokens of a question are those in front of the first answer, from the start of the first picture on if there is
    one. Samples with the same true item are not compared, samples without items neither compared nor counted. The
    others of a sample are those of its batch on its own process: neither accumulation nor more processes add any.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model.
        states (`torch.Tensor` of shape `(batch, memory + length, hidden)`): Its states after the layer.
        inputs (`dict`): Its inputs, with `labels` and raw `memory_inputs`.
        true_items (`torch.Tensor` of shape `(batch, 2)`): `true_items` of a [`MemoryCollator`].
        shares (`torch.Tensor` of shape `(batch,)`): How much each sample counts (see [`answer_shares`]).
        layer (`int`): The layer.
        temperature (`float`): The temperature `t`.

    Returns:
        `torch.Tensor`: The sum over the samples, in nats.
    """
    rows = (true_items[:, 0] >= 0).nonzero()[:, 0]
    if len(rows) < 2:
        return states.float().sum() * 0.0
    places, numbers = true_items[rows].unbind(dim=1)
    memory = _of_items(model, states, inputs, rows, places)
    question = _of_questions(model, inputs, layer)[rows]
    similar = F.normalize(memory, dim=-1) @ F.normalize(question, dim=-1).T / temperature
    same = (numbers[:, None] == numbers).fill_diagonal_(False)
    similar = similar.masked_fill(same.to(similar.device), float("-inf"))
    right = torch.arange(len(rows), device=similar.device)
    losses = sum(F.cross_entropy(scores, right, reduction="none") for scores in (similar, similar.T)) / 2
    return (losses * shares.to(losses.device)[rows]).sum()


def _of_items(
    model: CoMemForConditionalGeneration,
    states: torch.Tensor,
    inputs: dict[str, Any],
    rows: torch.Tensor,
    places: torch.Tensor,
) -> torch.Tensor:
    """Return the mean state of the vectors of each true item, `(rows, hidden)`, in float32."""
    memory = inputs["memory_inputs"]
    most = int(memory["item_counts"].max())
    states = states[:, : states.shape[1] - inputs["input_ids"].shape[1]].unflatten(1, (most, -1)).float()
    if model.config.memory_order == "reversed":
        places = most - 1 - places
    vectors = states[rows, places]
    lengths = memory.get("num_memory_tokens")
    if lengths is None:
        return vectors.mean(dim=1)
    lengths = lengths.to(vectors.device)[rows][:, None]
    used = torch.arange(vectors.shape[1], device=vectors.device) < lengths
    return (vectors * used[..., None]).sum(dim=1) / lengths


@torch.no_grad()
def _of_questions(model: CoMemForConditionalGeneration, inputs: dict[str, Any], layer: int) -> torch.Tensor:
    """Return the mean state of each question, read without memory, `(batch, hidden)`, in float32."""
    names = ("input_ids", "attention_mask", "mm_token_type_ids", "pixel_values", "image_grid_thw")
    prompt = {name: inputs[name] for name in names if name in inputs}
    output = model.backbone.model(**prompt, use_cache=False, output_hidden_states=True)
    states = output.hidden_states[layer].float()
    asked = (inputs["labels"] != IGNORE_INDEX).cumsum(dim=1) == 0
    asked &= inputs["attention_mask"].bool()
    begun = (inputs["mm_token_type_ids"] != 0).cumsum(dim=1) > 0
    asked &= begun | ~begun.any(dim=1, keepdim=True)
    asked = asked.to(states.device)[..., None]
    return (states * asked).sum(dim=1) / asked.sum(dim=1).clamp(min=1)
