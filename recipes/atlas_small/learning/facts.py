"""What the resampler's queries look for at the start: the states of pictures, and of the words of each fact."""

import random
from pathlib import Path

import torch

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryItem
from recipes.atlas_small.data.countries import FIELDS
from recipes.atlas_small.data.invention import Inventor
from recipes.atlas_small.data.pictures import Motif
from recipes.atlas_small.data.wording import item_text


ITEMS = 128
LONGEST = "code"  # has as many tokens as digits: two queries share them


@torch.no_grad()
def states_looked_for(
    model: CoMemForConditionalGeneration,
    processor: CoMemProcessor,
    inventor: Inventor,
    motifs: list[Motif],
    pictures: Path,
    seed: int = 0,
) -> torch.Tensor:
    """Compute mean states of pictures and of the words of each fact, less the mean of all words.

    Args:
        model (`CoMemForConditionalGeneration`): An untrained memory encoder on the trained backbone.
        processor (`CoMemProcessor`): Its processor.
        inventor (`Inventor`): Source of facts.
        motifs (`list[Motif]`): Source of pictures.
        pictures (`Path`): Their folder.
        seed (`int`, *optional*, defaults to `0`): Seed of the items.

    Returns:
        `torch.Tensor` of shape `(8, hidden)`: Of pictures, the six facts, and the last tokens of calling codes.
    """
    rng, seen = random.Random(seed), []
    handle = model.memory_encoder.resampler.project_in.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    kinds: list[list[torch.Tensor]] = [[] for _ in range(2 + len(FIELDS))]
    words = []
    for _ in range(ITEMS):
        facts = inventor.facts(rng)
        picture = pictures / rng.choice(rng.choice(motifs).files)
        inputs = processor.process_memories([[MemoryItem(image=picture, text=item_text(facts, rng))]])
        model.encode_memory(inputs)
        (states,) = seen.pop()
        ids = inputs["input_ids"][0].tolist()
        words.append(states.mean(0))
        kinds[0].append(states[ids.index(model.config.backbone_config.image_token_id)])
        for number, field in enumerate(FIELDS, start=1):
            value = processor.tokenizer(facts[field])["input_ids"]
            start = next((at for at in range(len(ids)) if ids[at : at + len(value)] == value), None)
            if start is None:  # its last full stop is one token with the sentence's
                continue
            found = states[start : start + len(value)]
            if field == LONGEST:
                digits = found[1:]  # after the plus
                kinds[-1].append(digits[len(digits) // 2 :].mean(0))
                found = digits[: max(1, len(digits) // 2)]
            kinds[number].append(found.mean(0))
    handle.remove()
    return torch.stack([torch.stack(states).mean(0) for states in kinds]) - torch.stack(words).mean(0)
