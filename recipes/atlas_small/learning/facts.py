"""What the resampler's queries look for at the start: pictures, and the words of each fact."""

import random
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryItem
from recipes.atlas_small.comparing import start_copying
from recipes.atlas_small.data.samples.pictures import Motif
from recipes.atlas_small.data.shared.topic import FactMaker

from .looking import STEPS, Kinds, directions_of_kinds, look_at_kinds


ITEMS = 128  # of each topic
# Numbers of queries for the words of each fact of a topic; the last one of a fact takes the rest of its words. The
# reader says one word after the other, and cannot tell from a vector of several which comes next (`README.md`).
WORDS = (2, 2, 2, 3, 2, 4)
FEWER = (1, 1, 1, 1, 1, 2)  # where there are not as many queries


@dataclass(frozen=True)
class Told:
    """An item, and the facts that it tells by field."""

    facts: dict[str, str]
    text: str
    picture: str


def told_items(inventors: list[FactMaker], motifs: list[Motif], pictures: Path, seed: int = 0) -> list[Told]:
    """Make items that tell all facts.

    Args:
        inventors (`list[FactMaker]`): Sources of facts, one for each topic.
        motifs (`list[Motif]`): Source of pictures.
        pictures (`Path`): Their folder.
        seed (`int`, *optional*, defaults to `0`): Seed of the items.
    """
    rng, items = random.Random(seed), []
    for inventor in inventors:
        shown = [motif for motif in motifs if motif.topic == inventor.topic.name]
        for _ in range(ITEMS):
            facts, picture = inventor.facts(rng), rng.choice(rng.choice(shown).files)
            items.append(Told(facts, inventor.topic.item_text(facts, rng), str(pictures / picture)))
    return items


@torch.no_grad()
def kinds_of_tokens(model: CoMemForConditionalGeneration, processor: CoMemProcessor, items: list[Told]) -> Kinds:
    """Read items with an untrained memory encoder, and find their pictures and the words of their facts.

    Args:
        model (`CoMemForConditionalGeneration`): An untrained memory encoder on the trained backbone.
        processor (`CoMemProcessor`): Its processor.
        items (`list[Told]`): Items.
    """
    slots = WORDS if sum(WORDS) < model.config.num_memory_tokens else FEWER
    read: list[torch.Tensor] = []
    handle = model.memory_encoder.resampler.project_in.register_forward_pre_hook(
        lambda _, states: read.append(states[0][0])
    )
    kinds: list[torch.Tensor] = []
    for item in items:
        inputs = processor.process_memories([[MemoryItem(image=item.picture, text=item.text)]])
        model.encode_memory(inputs)
        ids = inputs["input_ids"][0].tolist()
        of_item = torch.zeros(len(ids), 1 + sum(slots))
        of_item[ids.index(model.config.backbone_config.image_token_id), 0] = 1
        first = 1
        for fact, count in zip(item.facts.values(), slots, strict=True):
            places = _places_of(fact, ids, processor)
            if fact.startswith("+"):  # a calling code: its digits alone
                places = places[1:]
            for number, place in enumerate(places):
                of_item[place, first + min(number, count - 1)] = 1
            first += count
        kinds.append(of_item)
    handle.remove()
    there = pad_sequence([torch.ones(len(states), dtype=torch.bool) for states in read], batch_first=True)
    return Kinds(pad_sequence(read, batch_first=True), there, pad_sequence(kinds, batch_first=True))


def _places_of(value: str, ids: list[int], processor: CoMemProcessor) -> list[int]:
    """Find the places of a value's tokens; none where its last full stop is one token with the sentence's."""
    for written in (value, f" {value}"):  # most tokenizers have other tokens for a word with its space
        tokens = processor.tokenizer(written)["input_ids"]
        for start in range(len(ids)):
            if ids[start : start + len(tokens)] == tokens:
                return list(range(start, start + len(tokens)))
    return []


def start_from_facts(
    model: CoMemForConditionalGeneration, processor: CoMemProcessor, items: list[Told], steps: int = STEPS
) -> list[float]:
    """Let the queries of an untrained resampler look for pictures and facts.

    Args:
        model (`CoMemForConditionalGeneration`): An untrained memory encoder on the trained backbone.
        processor (`CoMemProcessor`): Its processor.
        items (`list[Told]`): Items.
        steps (`int`, *optional*, defaults to 200): Updates of queries and keys.

    Returns:
        `list[float]`: For each query, the share of its attention that goes to what it looks for.
    """
    kinds, resampler = kinds_of_tokens(model.eval(), processor, items), model.memory_encoder.resampler
    start_copying(resampler, directions_of_kinds(kinds))
    return look_at_kinds(resampler, kinds, steps)
