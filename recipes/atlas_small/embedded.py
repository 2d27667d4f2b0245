"""Make the embedded default of a trained model: its bank, the held-out questions, and example pictures."""

import json
import random
from pathlib import Path

from PIL import Image
from transformers import AutoProcessor

from comem_hf import CoMemForConditionalGeneration, MemoryBank, MemoryItem
from comem_hf.bank import BackboneEmbedder
from comem_hf.evaluation import DISTURBANCES
from comem_hf.files.whole_folder import whole_folder
from recipes.atlas_small.data.countries import FIELDS, Country, flatten
from recipes.atlas_small.data.wording import QUESTIONS, item_text


EXAMPLES = 3


def make_default(
    output: Path, model_dir: Path, countries: list[Country], held_out: list[Country], flags: Path, seed: int = 0
) -> None:
    """Write `model`, `bank`, `questions.jsonl` and `examples` under `output`, replacing all files there.

    Args:
        output (`Path`): Folder of the default, `comem_hf/default/atlas-small` in a checkout.
        model_dir (`Path`): The trained model with its processor.
        countries (`list[Country]`): All countries; each becomes an item.
        held_out (`list[Country]`): The countries that the questions are about.
        flags (`Path`): Folder of flags.
        seed (`int`, *optional*, defaults to `0`): Seed of the choice of wordings.
    """
    with whole_folder(output, "output", overwrite=True) as folder:
        model = CoMemForConditionalGeneration.from_pretrained(model_dir)
        processor = AutoProcessor.from_pretrained(model_dir)
        model.save_pretrained(folder / "model")
        processor.save_pretrained(folder / "model")

        pictures = {}
        for country in countries:
            with Image.open(flags / f"{country.id.lower()}.png") as image:
                pictures[country.id] = flatten(image)
        items = [
            MemoryItem(
                image=pictures[country.id],
                text=item_text(country.facts()),
                id=country.id,
                metadata={"held_out": country in held_out},
            )
            for country in countries
        ]
        # Flags differ in the places of their colours, and similar ones in details: a fine grid, an early layer.
        embedder = BackboneEmbedder(model, processor, grid=4, layer=0)
        bank = MemoryBank.build(items, model=model, processor=processor, output_dir=folder / "bank", embedder=embedder)
        bank.calibrate(pictures=len(items))  # a build samples fewer

        rng = random.Random(seed)
        with (folder / "questions.jsonl").open("w", encoding="utf-8") as file:
            for country in sorted(held_out, key=lambda country: country.id):
                for name in FIELDS:
                    row = {
                        "item_id": country.id,
                        "question": rng.choice(QUESTIONS[name]),
                        "answer": country.facts()[name],
                        "kind": name,
                    }
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        (folder / "examples").mkdir()
        for country in sorted(held_out, key=lambda country: country.id)[:: len(held_out) // EXAMPLES][:EXAMPLES]:
            picture = DISTURBANCES["crop"](pictures[country.id])
            picture.save(folder / "examples" / f"{country.id.lower()}.png")
