"""Speed-up of building a bank by batches of items of about the same length.

    python benchmarks/bank/batches.py [--items 256]

The embedded model encodes the embedded bank's items with texts from a few words to a few hundred (log-normal, as
descriptions on Wikipedia are), in batches of 32: once in the given order, once sorted by length.
"""

import argparse
import math
import random
import time

import torch
from transformers.utils import logging

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryBank, MemoryItem
from comem_hf.bank.encoding.embedder import BackboneEmbedder
from comem_hf.bank.encoding.item_encoder import ItemEncoder
from comem_hf.bank.format.record import ItemRecord
from comem_hf.default import default_path


def main():
    """Encode both ways, compare, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=256)
    number = parser.parse_args().items
    logging.disable_progress_bar()
    model = CoMemForConditionalGeneration.from_pretrained(default_path("model")).eval()
    processor = CoMemProcessor.from_pretrained(default_path("model"))
    bank, draw = MemoryBank.from_pretrained(default_path("bank")), random.Random(0)
    images = [bank[item_id].image for item_id in bank.ids]
    words = " ".join(bank[item_id].text for item_id in bank.ids).split()
    records = []
    for place in range(number):
        length = min(400, int(draw.lognormvariate(math.log(40), 0.9)))
        text = " ".join(draw.choices(words, k=max(3, length)))
        records.append(ItemRecord.from_item(MemoryItem(image=images[place % len(images)], text=text, id=str(place))))
    encoder = ItemEncoder(model, processor, BackboneEmbedder(model, processor), 32, "float32")
    encoder.encode(records[:32])  # warm
    seconds, results = {}, {}
    lengths = encoder.lengths
    for order in ("as they come", "by length"):
        encoder.lengths = lengths if order == "by length" else lambda records, sizes: [0] * len(records)
        began = time.process_time()
        results[order] = torch.stack([one.memory for one in encoder.encode(records)])
        seconds[order] = time.process_time() - began
        print(f"{order:<14}{seconds[order]:>7.1f} s of processor time{number / seconds[order]:>7.1f} items/s")
    sorted_memory, memory = results["by length"], results["as they come"]
    largest = ((sorted_memory - memory).abs().max() / memory.abs().max()).item()
    print(f"{seconds['as they come'] / seconds['by length']:.2f} times as fast")
    print(f"vectors differ by at most {largest:.1e} of the largest number")


if __name__ == "__main__":
    main()
