"""What the resampler's queries look for at the start: the states of pictures, and of the words of each fact."""

import random
from dataclasses import dataclass
from pathlib import Path

import torch

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryItem
from recipes.atlas_small.comparing import start_copying
from recipes.atlas_small.data.countries import FIELDS
from recipes.atlas_small.data.invention import Inventor
from recipes.atlas_small.data.pictures import Motif
from recipes.atlas_small.data.wording import item_text


ITEMS = 128
LONGEST = "code"  # as many tokens as digits: two queries share them


@dataclass(frozen=True)
class Told:
    """An item, and the facts that it tells by field."""

    facts: dict[str, str]
    text: str
    picture: str


def told_items(inventor: Inventor, motifs: list[Motif], pictures: Path, seed: int = 0) -> list[Told]:
    """Make items that tell all facts.

    Args:
        inventor (`Inventor`): Source of facts.
        motifs (`list[Motif]`): Source of pictures.
        pictures (`Path`): Their folder.
        seed (`int`, *optional*, defaults to `0`): Seed of the items.
    """
    rng, items = random.Random(seed), []
    for _ in range(ITEMS):
        facts = inventor.facts(rng)
        items.append(Told(facts, item_text(facts, rng), str(pictures / rng.choice(rng.choice(motifs).files))))
    return items


@torch.no_grad()
def states_looked_for(
    model: CoMemForConditionalGeneration, processor: CoMemProcessor, items: list[Told]
) -> torch.Tensor:
    """Compute mean states of pictures and of the words of each fact, less the mean of all words.

    Args:
        model (`CoMemForConditionalGeneration`): An untrained memory encoder on the trained backbone.
        processor (`CoMemProcessor`): Its processor.
        items (`list[Told]`): Items.

    Returns:
        `torch.Tensor` of shape `(8, hidden)`: Of pictures, the six facts, and the last digits of calling codes.
    """
    read: list[torch.Tensor] = []
    handle = model.memory_encoder.resampler.project_in.register_forward_pre_hook(
        lambda _, states: read.append(*states)
    )
    words: list[torch.Tensor] = []
    kinds: list[list[torch.Tensor]] = [[] for _ in range(2 + len(FIELDS))]
    for item in items:
        inputs = processor.process_memories([[MemoryItem(image=item.picture, text=item.text)]])
        model.encode_memory(inputs)
        states, ids = read.pop()[0], inputs["input_ids"][0].tolist()
        words.append(states.mean(0))
        kinds[0].append(states[ids.index(model.config.backbone_config.image_token_id)])
        for number, field in enumerate(FIELDS, start=1):
            found = _words_of(item.facts[field], states, ids, processor)
            if found is None:
                continue
            if field == LONGEST:
                digits = found[1:]  # after the plus
                kinds[-1].append(digits[len(digits) // 2 :].mean(0))
                found = digits[: max(1, len(digits) // 2)]
            kinds[number].append(found.mean(0))
    handle.remove()
    return torch.stack([torch.stack(states).mean(0) for states in kinds]) - torch.stack(words).mean(0)


def _words_of(value: str, states: torch.Tensor, ids: list[int], processor: CoMemProcessor) -> torch.Tensor | None:
    """The states of a value's tokens; none where its last full stop is one token with the sentence's."""
    for written in (value, f" {value}"):  # most tokenizers have other tokens for a word with its space
        tokens = processor.tokenizer(written)["input_ids"]
        for start in range(len(ids)):
            if ids[start : start + len(tokens)] == tokens:
                return states[start : start + len(tokens)]
    return None


def start_from_facts(model: CoMemForConditionalGeneration, processor: CoMemProcessor, items: list[Told]) -> None:
    """Let the queries of an untrained resampler look for pictures and facts.

    Args:
        model (`CoMemForConditionalGeneration`): An untrained memory encoder on the trained backbone.
        processor (`CoMemProcessor`): Its processor.
        items (`list[Told]`): Items.
    """
    start_copying(model.memory_encoder.resampler, states_looked_for(model.eval(), processor, items))
