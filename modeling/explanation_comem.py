"""Which memory item decided an answer: how much less likely the answer is when an item is left out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F

from .ffn_memory_comem import FfnMemory
from .memory_inputs import MemoryInputs, as_memory_inputs, pad_items
from .prompt_with_memory_comem import PromptWithMemory
from .query_pictures_comem import rows_of_pictures


# In nats: the answer is a tenth likelier with the item. Rounding in half precision reaches a few hundredths.
LEAST_INFLUENCE = 0.1

TEXT_INPUTS = ("input_ids", "attention_mask", "mm_token_type_ids")
PICTURE_INPUTS = {"image": ("pixel_values", "image_grid_thw"), "video": ("pixel_values_videos", "video_grid_thw")}
KNOWN_INPUTS = (*TEXT_INPUTS, *PICTURE_INPUTS["image"], *PICTURE_INPUTS["video"], "second_per_grid_ts")


@torch.no_grad()
def item_influences(
    model,
    inputs: Mapping[str, Any],
    sequences: torch.LongTensor,
    *,
    eos_token_id: int | Sequence[int] | None = None,
    batch_size: int = 8,
) -> torch.Tensor:
    """Compute how much each memory item made the answers likelier than they are without it.

    With `y` an answer of the tokens `y_1 .. y_T`, `x` its prompt and `M` the prompt's items, the influence of item `i`
    is

        influence_i = log p(y | x, M) - log p(y | x, M without i),
        log p(y | x, M) = sum over t of log p(y_t | x, M, y_1 .. y_t-1),

    in nats, with the model's own probabilities: temperature, penalties and other settings of sampling are not in them.
    An item left out is one that was never there: the items after it and the prompt move up, as if they had been given
    alone, and where it was the only one there is no memory. It is left out as a whole: its vectors are of its text and
    all its pictures together, and none is of one picture. Items that say the same replace each other, and so none of
    them has much influence.

    The answer is read with all items and without each of them, in one batch of a row for each. The prompt's pictures
    go through the vision tower once, not once a row, and raw items are encoded once. Everything is read as `generate`
    reads it: `memory_order`, `decode_position_offset`, memory in the layers and a text-only reader included.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model.
        inputs (mapping): What `generate` got, with `memory_inputs`; not changed.
        sequences (`torch.LongTensor` of shape `(answers, length)`): What `generate` returned, prompts and answers;
            with several answers to each prompt, these follow one another. An answer ends with its first token of
            `eos_token_id`.
        eos_token_id (`int` or `Sequence[int]`, *optional*): Tokens that end answers; by default those of the model's
            `generation_config`.
        batch_size (`int`, *optional*, defaults to 8): Most rows of a forward pass. A row has memory, prompt and
            answer, and logits for each token of the answer.

    Returns:
        `torch.Tensor` of shape `(answers, items)`: Influences in nats, in float32 on the CPU, in the order in which
        the items were given, 0 where a prompt has fewer items than the one with the most.

    Raises:
        ValueError: If there is no memory, if sequences and prompts do not belong together, or if an input is one that
            the answer cannot be read with.
    """
    memory_inputs, prompts = inputs.get("memory_inputs"), {k: v for k, v in inputs.items() if k != "memory_inputs"}
    unknown = [name for name, value in prompts.items() if name not in KNOWN_INPUTS and value is not None]
    input_ids = inputs.get("input_ids")
    if memory_inputs is None or input_ids is None or unknown:
        raise ValueError(
            "Answers are explained with what the processor gives, `input_ids` and `memory_inputs` among it, and with "
            f"no other inputs than {list(KNOWN_INPUTS)}, got {sorted(inputs)}."
        )
    if len(sequences) == 0 or len(sequences) % len(input_ids) or sequences.shape[1] < input_ids.shape[1]:
        raise ValueError(
            f"`sequences` must be what `generate` returned for these {len(input_ids)} prompts of "
            f"{input_ids.shape[1]} tokens, the prompts included, got shape {tuple(sequences.shape)}."
        )
    memory = as_stored(model, memory_inputs, len(input_ids))
    embeds, item_mask = memory["memory_embeds"], memory["item_mask"].to(memory["memory_embeds"].device)
    influences = torch.zeros(len(sequences), embeds.shape[1])
    answers_each = len(sequences) // len(input_ids)
    for number, prompt in enumerate(_alone(model, prompts)):
        items = embeds[number : number + 1, item_mask[number]]
        if "num_memory_tokens" in memory:
            items = items[:, :, : int(memory["num_memory_tokens"][number])]
        if items.shape[1] == 0:
            continue
        read = model._prepend_memory({"memory_embeds": items}, **prompt)
        rows = _rows(model, read, items)
        for row in range(number * answers_each, (number + 1) * answers_each):
            answer = _answer(model, sequences[row, input_ids.shape[1] :], eos_token_id)
            log_probs = torch.cat([_log_probs(model, part, answer) for part in _parts(rows, batch_size)]).cpu()
            influences[row, item_mask[number].cpu()] = log_probs[0] - log_probs[1:]
    return influences


def shares_of(influences: torch.Tensor) -> torch.Tensor:
    """Return each item's share in an answer: the positive part of its influence, divided by the sum of these.

        share_i = max(influence_i, 0) / (sum over j of max(influence_j, 0))

    Influences of 0.1 nats and less count as 0: they may be rounding, and hardly matter. If no item has more, all
    shares are 0: no single item decided.

    Args:
        influences (`torch.Tensor` of shape `(..., items)`): What [`item_influences`] returns.

    Returns:
        `torch.Tensor` of the same shape, from 0 to 1, with the sum 1 or 0.
    """
    positive = influences.where(influences > LEAST_INFLUENCE, 0)
    total = positive.sum(dim=-1, keepdim=True)
    return (positive / total).where(total > 0, 0)


@torch.no_grad()
def as_stored(model, memory_inputs: Any, batch_size: int) -> MemoryInputs:
    """Return memory in the stored form, raw items encoded, so that it can be read again and again.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model.
        memory_inputs (mapping or `torch.Tensor`): Memory of each prompt (see [`MemoryInputs`]).
        batch_size (`int`): Number of prompts.

    Returns:
        [`MemoryInputs`]: `memory_embeds`, `item_mask` and, if given, `num_memory_tokens`, on the model's device;
        generating with them gives what generating with the raw items does.
    """
    memory = as_memory_inputs(memory_inputs, batch_size, model.config)
    if not memory.is_stored:
        embeds, mask = pad_items(model.encode_memory(memory), memory["item_counts"])
        lengths = {name: memory[name] for name in ("num_memory_tokens",) if name in memory}
        memory = MemoryInputs({"memory_embeds": embeds, "item_mask": mask, **lengths})
    return MemoryInputs({name: value.to(model.device) for name, value in memory.items()})


def _alone(model, prompts: dict[str, Any]) -> Iterator[dict[str, torch.Tensor]]:
    """Yield the prompts of a batch one by one, each with its own pictures and without padding."""
    input_ids, mask = prompts["input_ids"], prompts.get("attention_mask")
    if mask is None:
        mask, _ = model._find_padding(input_ids)
    mask, config = mask.bool(), model.config.backbone_config
    pictures = {}
    for kind, (pixels, grid) in PICTURE_INPUTS.items():
        if prompts.get(pixels) is not None:
            lengths = prompts[grid].prod(dim=-1)
            is_kind = (input_ids == getattr(config, f"{kind}_token_id")) & mask
            rows = rows_of_pictures(is_kind, lengths // config.vision_config.spatial_merge_size**2)
            pictures[kind] = rows, prompts[pixels].split(lengths.tolist())
    for number, keep in enumerate(mask):
        given = [name for name in TEXT_INPUTS if prompts.get(name) is not None]
        prompt = {name: prompts[name][number : number + 1, keep] for name in given}
        prompt["attention_mask"] = torch.ones_like(prompt["input_ids"])
        for kind, (rows, patches) in pictures.items():
            own = (rows == number).nonzero()[:, 0].tolist()
            if own:
                pixels, grid = PICTURE_INPUTS[kind]
                prompt |= {pixels: torch.cat([patches[n] for n in own]), grid: prompts[grid][own]}
                if kind == "video" and prompts.get("second_per_grid_ts") is not None:
                    prompt["second_per_grid_ts"] = torch.as_tensor(prompts["second_per_grid_ts"])[own]
        yield prompt


def _rows(model, prompt: PromptWithMemory, items: torch.Tensor) -> PromptWithMemory:
    """Return a row with all items and one without each of them, for one prompt without padding.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model.
        prompt ([`PromptWithMemory`]): The prompt with all items, `(1, memory + prompt)`.
        items (`torch.Tensor` of shape `(1, items, memory tokens, hidden)`): Its items, as they were given.
    """
    count = items.shape[1]
    kept = torch.cat([torch.ones(1, count), 1 - torch.eye(count)]).bool()
    memory, mask = model._memory_vectors(
        {"memory_embeds": items.expand(count + 1, -1, -1, -1), "item_mask": kept}, count + 1
    )
    ffn_memory = prompt.ffn_memory
    if model.config.ffn_source == "memory":
        ffn_memory, mask = model.ffn_memory(memory, mask).to(prompt.inputs_embeds), mask[:, :0]
    elif ffn_memory is not None:
        ffn_memory = _of_rows(ffn_memory, [0] * (count + 1))
    mask = mask.to(prompt.attention_mask.device)
    after = prompt.attention_mask[:, mask.shape[1] :].expand(count + 1, -1)
    attention_mask = torch.cat([mask.to(after.dtype), after], dim=1)
    # Positions count what is there: each follows on the last one that is.
    moved = (attention_mask == 0).cumsum(dim=1)
    return replace(
        prompt,
        inputs_embeds=prompt.inputs_embeds.expand(count + 1, -1, -1),
        attention_mask=attention_mask,
        position_ids=(prompt.position_ids - moved.to(prompt.position_ids.device)).clamp(min=0),
        memory_lengths=mask.sum(dim=1, keepdim=True),
        ffn_memory=ffn_memory,
    )


def _parts(rows: PromptWithMemory, size: int) -> Iterator[PromptWithMemory]:
    for numbers in torch.arange(len(rows.inputs_embeds)).split(size):
        part = numbers.tolist()
        yield replace(
            rows,
            inputs_embeds=rows.inputs_embeds[part],
            attention_mask=rows.attention_mask[part],
            position_ids=rows.position_ids[..., part, :],
            memory_lengths=rows.memory_lengths[part],
            ffn_memory=None if rows.ffn_memory is None else _of_rows(rows.ffn_memory, part),
        )


def _of_rows(memory: FfnMemory, rows: list[int]) -> FfnMemory:
    return FfnMemory(memory.keys[rows], memory.values[rows], memory.scale, memory.dropout)


def _answer(model, new_tokens: torch.LongTensor, eos_token_id: int | Sequence[int] | None) -> torch.LongTensor:
    """Return an answer without the padding after it, but with the token that ends it."""
    settings = model.generation_config
    ends = settings.eos_token_id if eos_token_id is None else eos_token_id
    ends = [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
    is_end = torch.isin(new_tokens, new_tokens.new_tensor(ends))
    if is_end.any():
        return new_tokens[: int(is_end.int().argmax()) + 1]
    is_answer = new_tokens != (-1 if settings.pad_token_id is None else settings.pad_token_id)  # after a stop string
    return new_tokens[: int(is_answer.nonzero().max()) + 1 if is_answer.any() else 0]


def _log_probs(model, rows: PromptWithMemory, answer: torch.LongTensor) -> torch.Tensor:
    """Return the log-probability of an answer in each row, in float32."""
    if len(answer) == 0:
        return torch.zeros(len(rows.inputs_embeds))
    # The last token is only predicted. The others follow the prompt as in decoding.
    new = model._embed(answer[None, :-1]).to(rows.inputs_embeds).expand(len(rows.inputs_embeds), -1, -1)
    text = SimpleNamespace()
    model._remember_memory(text, rows)
    attention_mask, position_ids = text.memory_in_cache.continue_after(None, rows.inputs_embeds.shape[1], new)
    in_layers = (
        {} if rows.ffn_memory is None else {"ffn_keys": rows.ffn_memory.keys, "ffn_values": rows.ffn_memory.values}
    )
    logits = model(
        inputs_embeds=torch.cat([rows.inputs_embeds, new], dim=1),
        attention_mask=attention_mask,
        position_ids=torch.cat([rows.position_ids, position_ids.to(rows.position_ids.device)], dim=-1),
        use_cache=False,
        logits_to_keep=len(answer),
        **in_layers,
    ).logits
    answer = answer.to(logits.device)
    # Row by row: in float32, the logits of a long answer take much memory.
    return torch.stack([-F.cross_entropy(row.float(), answer, reduction="sum") for row in logits])


__all__ = ["LEAST_INFLUENCE", "as_stored", "item_influences", "shares_of"]
