"""Compare the places where memory enters a model: `python -m recipes.sites`, or `make sites`.

Every stage leaves its result in the work folder; run again, the command skips or resumes it. Its stages: write the
embedded default's backbone, pictures and training rows; train each way; ask each the held-out questions; measure times
of all in turns; write `table.md`, `sites.json` and `sites.png`.
"""

import argparse
import json
from pathlib import Path

import torch

from comem_hf import CoMemProcessor
from comem_hf.files.whole_file import write_durably
from comem_hf.training import trainable_share
from recipes.sites.measures.asking import AskedWay, HeldOut, ask
from recipes.sites.measures.timing import REPETITIONS, measure
from recipes.sites.report.plots import plot
from recipes.sites.report.table import table, what_was_run

from .material import write_backbone, write_material
from .models import load_model, new_model
from .run import Run
from .training import log_of, train
from .ways import WAYS, Way


ROOT = Path(__file__).resolve().parents[2]


def stage(path: Path, make) -> dict | list:
    """Return the result that a stage has left at `path`, or let `make()` compute it and leave it there."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(make(), indent=1, ensure_ascii=False) + "\n"
        write_durably(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))
    return json.loads(path.read_text(encoding="utf-8"))


def facts_of_training(way: Way, run: Run) -> dict:
    """Return what is known of a way after training: parameters, time, loss."""
    if way.config is None:
        return {"trainable_parameters": 0, "training_seconds": 0.0, "final_loss": None, "log": []}
    log = log_of(train(way, run))
    last = [row["loss"] for row in log][-5:]
    return {
        "trainable_parameters": trainable_share(new_model(way, run)).trainable,
        "training_seconds": sum(row["seconds"] for row in log),
        "final_loss": sum(last) / len(last),
        "log": [{name: row[name] for name in ("step", "loss", "seconds")} for row in log],
    }


def main(arguments: list[str] | None = None) -> None:
    """Run the stages that are not done yet.

    Args:
        arguments (`list[str]`, *optional*): Those of the command line, by default the process's own.
    """
    keys = [way.key for way in WAYS]
    parser = argparse.ArgumentParser(prog="python -m recipes.sites", description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "sites", help="folder for all stages")
    parser.add_argument("--steps", type=int, default=Run.steps, help="updates of each trained way")
    parser.add_argument("--batch-size", type=int, default=Run.batch_size, help="samples per update")
    parser.add_argument("--seed", type=int, default=Run.seed, help="seed of samples and new weights")
    parser.add_argument("--ways", nargs="+", choices=keys, default=keys, metavar="WAY", help=", ".join(keys))
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="questions per measured time")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    arguments = parser.parse_args(arguments)
    torch.set_num_threads(arguments.threads)
    run = Run(arguments.work.resolve(), arguments.steps, arguments.batch_size, arguments.seed)
    ways = [way for way in WAYS if way.key in arguments.ways]

    write_backbone(run)
    write_material(run)
    facts = {
        way.key: stage(run.folder(way) / "training.json", lambda way=way: facts_of_training(way, run)) for way in ways
    }

    held_out, processor = HeldOut(), CoMemProcessor.from_pretrained(run.backbone)
    asked = [AskedWay(way, load_model(way, run), processor) for way in ways]
    for one in asked:
        facts[one.way.key] |= stage(run.folder(one.way) / "scores.json", lambda one=one: ask(one, held_out))
    times = stage(run.times(ways, arguments.repetitions), lambda: measure(asked, held_out, arguments.repetitions))
    for way in ways:
        facts[way.key] |= times[way.key]

    result = {"run": what_was_run(run, arguments.repetitions, arguments.threads), "ways": []}
    for way in ways:
        result["ways"].append({"key": way.key, "name": way.name, "settings": way.settings(), **facts[way.key]})
    (run.work / "sites.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (run.work / "table.md").write_text(table(result), encoding="utf-8")
    plot(result, run.work / "sites.png")
    print(table(result))


if __name__ == "__main__":
    main()
