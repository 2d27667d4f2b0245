"""Time to the first token, prompt positions and operations: no memory, stored memory, encoding at once, plain RAG.

    python -m benchmarks.speed.first_token [--shape atlas-small] [--batch 8] [--device cuda]

Every way answers the same question about a picture of 512 x 512 pixels; items are such pictures with texts of 150
tokens, as in the published release. Stored memory is 8 vectors an item. An item that is encoded at once has its
picture scaled to 64 tokens, as the processor does it by default; in the prompt it has all 324. Time is that of
`generate` with one new token; *from the picture*, also of the processor and of searching a bank of twelve items by it.
Operations are counted on models of one and two layers, and computed for any depth.
"""

import tempfile
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

from benchmarks.speed.shared.arguments import parse
from benchmarks.speed.shared.measuring import Spread, count_flops, flops_by_depth, ratio, take_turns
from benchmarks.speed.shared.prompts import Prompts
from benchmarks.speed.shared.recording import Goal, record
from benchmarks.speed.shared.retrieval import PLAIN, SEARCHED, from_picture
from benchmarks.speed.shared.shapes import Shape, random_model


NONE, STORED, AT_ONCE, RAG = "no memory", "stored memory, {} items", "encoded at once, {} items", "RAG, {} items"
WHOLE_PICTURES = "encoded at once, {} items, whole pictures"
COUNTS = (3, 10, 50)
LONG = 10  # most items that are encoded at once or pasted
FIRST_TOKEN = {"max_new_tokens": 1, "do_sample": False, "pad_token_id": 0}


def ways(model, prompts: Prompts, batch: int = 1) -> dict[str, Callable[[], object]]:
    """Return the ways to a first token by name.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model.
        prompts ([`Prompts`]): Its inputs.
        batch (`int`, *optional*): Questions.
    """
    question = prompts.question(batch)

    def answer(inputs: Mapping, memory_inputs=None) -> Callable[[], object]:
        memory = {} if memory_inputs is None else {"memory_inputs": memory_inputs}
        return lambda: model.generate(**inputs, **memory, **FIRST_TOKEN)

    found = {NONE: answer(question)}
    found |= {STORED.format(count): answer(question, prompts.stored(count, batch)) for count in COUNTS}
    found[AT_ONCE.format(LONG)] = answer(question, prompts.raw(LONG, batch))
    found[WHOLE_PICTURES.format(LONG)] = answer(question, prompts.raw(LONG, batch, whole=True))
    found |= {RAG.format(count): answer(prompts.question(batch, count)) for count in COUNTS if count <= LONG}
    return found


def positions(shape: Shape) -> dict[str, int]:
    """Return the positions of a prompt and its memory, by way."""
    prompts = Prompts(shape)
    question, tokens = prompts.question()["input_ids"].shape[1], prompts.stored(1)["memory_embeds"].shape[2]
    found = {NONE: question}
    found |= {STORED.format(count): question + count * tokens for count in COUNTS}
    found |= {way.format(LONG): question + LONG * tokens for way in (AT_ONCE, WHOLE_PICTURES)}
    return found | {RAG.format(count): prompts.question(1, count)["input_ids"].shape[1] for count in COUNTS}


def count_ways(shape: Shape, names: Collection[str] | None = None) -> dict[str, int]:
    """Count the operations of ways on a model of this shape, for one question.

    Args:
        shape ([`Shape`]): The shape.
        names (`Collection[str]`, *optional*): The ways; all of them, if not given.
    """
    cases = ways(random_model(shape), Prompts(shape))
    counts = {name: count_flops(run) for name, run in cases.items() if names is None or name in names}
    if names is None:
        # Attention grows with the square of the items, the rest with their number: three counts give all others.
        ends = [counts[NONE], *(counts[RAG.format(count)] for count in COUNTS if count <= LONG)]
        counts[RAG.format(COUNTS[-1])] = _quadratic([0, *COUNTS[:2]], ends, COUNTS[-1])
    return counts


def _quadratic(places: list[int], values: list[int], place: int) -> int:
    """Return the value at `place` of the parabola through three points, which has whole values at whole places."""
    (a, b, c), (x, y, z) = places, values
    slope, next_slope = (y - x) / (b - a), (z - y) / (c - b)
    curve = (next_slope - slope) / (c - a)
    return round(x + slope * (place - a) + curve * (place - a) * (place - b))


def main() -> None:
    """Count, measure, record."""
    options = parse(__doc__, batch={"type": int, "default": 1, "help": "questions at once"})
    shape, batch = options.measured, options.batch
    taken = positions(shape)
    model = random_model(shape, options.device)
    cases, names = ways(model, Prompts(shape, options.device), batch), None
    del cases[WHOLE_PICTURES.format(LONG)]
    if batch > 1 and options.device == "cpu" and options.shape != "atlas-small":  # the others take minutes
        names = (NONE, STORED.format(LONG))
        cases = {name: cases[name] for name in names}
    flops = flops_by_depth(partial(count_ways, names=names), options.whole)
    measured, whole = flops.at(shape), flops.at(options.whole)
    at_most = {}
    if options.device == "cpu" and options.shape != "atlas-small":
        at_most = {AT_ONCE.format(LONG): 2, RAG.format(COUNTS[0]): 1, RAG.format(LONG): 1, PLAIN: 3, SEARCHED: 3}
    with tempfile.TemporaryDirectory() as folder:
        if batch == 1:
            cases |= from_picture(model, shape, Path(folder), FIRST_TOKEN)
        seconds = take_turns(cases, options.rounds, options.device, at_most)

    rows = []
    for name in whole:
        timed = name in seconds
        row = {
            "way": name,
            "positions": taken[name],
            "GFLOP": batch * whole[name] / 1e9,
            "x in FLOP": whole[name] / whole[NONE],
        }
        if shape != options.whole:
            row["x in FLOP, this depth"] = measured[name] / measured[NONE]
        row["ms"] = Spread.of(seconds[name]).median * 1e3 if timed else None
        row["x in time"] = ratio(seconds, name, NONE) if timed else None
        rows.append(row)
    rows += [
        {"way": name, "ms": Spread.of(seconds[name]).median * 1e3, "x in time": ratio(seconds, name, PLAIN)}
        for name in (PLAIN, SEARCHED)
        if name in seconds
    ]
    fewer = [f"{way} ({rounds})" for way, rounds in at_most.items() if way in seconds]
    notes = [f"In fewer than {options.rounds} rounds: {'; '.join(fewer)}."] if fewer else []
    about = f"Time to the first token, batch {batch}; medians and quartiles of ratios within a round;"
    goals = goals_of(seconds, measured, batch) if options.shape != "atlas-small" else []
    record("first_token", about, options, rows, goals, notes, part=f"batch {batch}")


def goals_of(seconds: Mapping[str, list[float]], flops: Mapping[str, int], batch: int) -> list[Goal]:
    """Compare the goals with what was measured, given the operations at the depth that was measured."""
    stored, rag = STORED.format(LONG), RAG.format(LONG)
    in_time, in_flops = ratio(seconds, stored, NONE).median, flops[stored] / flops[NONE]
    goals = [
        Goal(f"{stored}: time / that of no memory", in_time, 1.10),
        Goal(f"{stored}: time ratio / FLOP ratio to no memory", in_time / in_flops, 1.02),
    ]
    if rag in seconds:
        goals.append(Goal(f"{stored}: time / that of RAG", ratio(seconds, stored, rag).median, 1 / 8))
    return goals


if __name__ == "__main__":
    main()
