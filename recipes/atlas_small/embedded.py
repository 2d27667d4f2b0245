"""Make the embedded default of a trained model: its bank, the held-out questions, and example pictures."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from transformers import AutoProcessor

from comem_hf import CoMemForConditionalGeneration, MemoryBank, MemoryItem
from comem_hf.bank import BackboneEmbedder
from comem_hf.evaluation import DISTURBANCES
from comem_hf.files.whole_folder import whole_folder
from recipes.atlas_small.data.collection import Collection, Thing


EXAMPLES = {"flags": 3, "emoji": 1}  # pictures by topic


def make_default(output: Path, model_dir: Path, collections: Sequence[Collection], seed: int = 0) -> None:
    """Write `model`, `bank`, `questions.jsonl` and `examples` under `output`, replacing all files there.

    Args:
        output (`Path`): Folder of the default, `comem_hf/default/atlas-small` in a checkout.
        model_dir (`Path`): The trained model with its processor.
        collections (`Sequence[Collection]`): Countries and emoji; each becomes an item, and the questions are about
            those that are held out.
        seed (`int`, *optional*, defaults to `0`): Seed of the choice of wordings.
    """
    with whole_folder(output, "output", overwrite=True) as folder:
        model = CoMemForConditionalGeneration.from_pretrained(model_dir)
        processor = AutoProcessor.from_pretrained(model_dir)
        model.save_pretrained(folder / "model")
        processor.save_pretrained(folder / "model")

        items = [item for collection in collections for item in items_of(collection)]
        # Flags differ in the places of their colours, and similar ones in details: a fine grid, an early layer.
        embedder = BackboneEmbedder(model, processor, grid=4, layer=0)
        bank = MemoryBank.build(items, model=model, processor=processor, output_dir=folder / "bank", embedder=embedder)
        bank.calibrate(pictures=len(items))  # a build samples fewer

        rng = random.Random(seed)
        with (folder / "questions.jsonl").open("w", encoding="utf-8") as file:
            for collection in collections:
                for row in questions_of(collection, rng):
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        (folder / "examples").mkdir()
        for collection in collections:
            count = EXAMPLES[collection.inventor.topic.name]
            for thing in _held_out(collection)[:: len(collection.held_out) // count][:count]:
                picture = DISTURBANCES["crop"](collection.picture(thing).convert("RGB"))
                picture.save(folder / "examples" / f"{thing.id.lower()}.png")


def items_of(collection: Collection) -> list[MemoryItem]:
    """Return the items of a bank, one for each thing."""
    topic, held_out = collection.inventor.topic, {thing.id for thing in collection.held_out}
    return [
        MemoryItem(
            image=collection.picture(thing),
            text=topic.item_text(thing.facts()),
            id=thing.id,
            metadata={"topic": topic.name, "held_out": thing.id in held_out},
        )
        for thing in collection.things
    ]


def questions_of(collection: Collection, rng: random.Random) -> list[dict]:
    """Return a question about each fact of each held-out thing; those about emoji are of kinds of their own."""
    topic = collection.inventor.topic
    prefix = "" if topic.name == "flags" else f"{topic.name} "
    return [
        {
            "item_id": thing.id,
            "question": rng.choice(topic.questions[field]),
            "answer": thing.facts()[field],
            "kind": prefix + field,
        }
        for thing in _held_out(collection)
        for field in topic.fields
    ]


def _held_out(collection: Collection) -> list[Thing]:
    return sorted(collection.held_out, key=lambda thing: thing.id)
