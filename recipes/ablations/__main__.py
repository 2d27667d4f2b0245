"""Compare objectives and memory encoders, trained alike: `python -m recipes.ablations`, or `make ablations`.

Every training leaves its settings and result in a folder of its own; run again, the command skips it, or goes on from
its last checkpoint. All rows get one seed, the best ones more. After each of them, `table.md`, `ablations.json` and
`ablations.png` hold what there is so far.
"""

import argparse
import json
from pathlib import Path

import torch
from transformers import AutoModelForImageTextToText

from comem_hf import CoMemProcessor
from comem_hf.files.whole_file import write_durably

from .asking import Asked, ask_trained
from .material import HeldOut, write_material
from .report import machine_and_versions, plot, score_of, table, write_section
from .rows import ROWS, Row
from .run import Run
from .training import facts_of_training, train


ROOT = Path(__file__).resolve().parents[2]
QUICK = {"steps": 2, "batch_size": 2, "num_questions": 4}
QUICK_ROWS = ("default", "mean-pooling")


def write_json(path: Path, value: dict) -> None:
    """Write a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    write_durably(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> dict | None:
    """Read a file that [`write_json`] has written; `None` if it is not there."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def result_of(row: Row, run: Run, seed: int, held_out: HeldOut) -> dict:
    """Return the result of a training, which is run and asked if it has none yet."""
    folder = run.folder(row, seed)
    path = folder / f"result-{run.num_questions or 'all'}.json"
    if not path.is_file():
        write_json(folder / "settings.json", run.settings(row, seed))
        trained = train(row, run, seed)
        write_json(path, {"seed": seed, **ask_trained(trained, row.lengths, held_out), **facts_of_training(trained)})
    return read_json(path)


def references_of(run: Run, held_out: HeldOut) -> dict:
    """Return what the backbone answers with the items in its prompt, and without any."""
    if not run.references.is_file():
        model = AutoModelForImageTextToText.from_pretrained(run.backbone).eval()
        asked = Asked(model, CoMemProcessor.from_pretrained(run.backbone), held_out)
        write_json(run.references, {"rag": asked.by_prompt(), "no_items": asked.without_items()})
    return read_json(run.references)


def report(run: Run, results: dict[str, list[dict]], references: dict, threads: int) -> str:
    """Write JSON, table and picture of the results there are; return the table."""
    settings = {"steps": run.steps, "batch_size": run.batch_size, "num_questions": references["num_questions"]}
    rows = [
        {"key": row.key, "note": row.note, "settings": row.settings(), "results": results[row.key]}
        for row in ROWS
        if results.get(row.key)
    ]
    result = {"run": settings | machine_and_versions(threads), "references": references, "rows": rows}
    write_json(run.work / "ablations.json", result)
    text = table(result)
    write_durably(run.work / "table.md", lambda path: path.write_text(text, encoding="utf-8"))
    plot(result, run.work / "ablations.png")
    return text


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    keys = [row.key for row in ROWS]
    parser = argparse.ArgumentParser(prog="python -m recipes.ablations", description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "ablations", help="folder for all stages")
    parser.add_argument("--backbone", type=Path, help="backbone and processor; by default the embedded default's")
    parser.add_argument("--steps", type=int, default=Run.steps, help="updates of each training")
    parser.add_argument("--batch-size", type=int, default=Run.batch_size, help="samples per update")
    parser.add_argument("--rows", nargs="+", choices=keys, default=keys, metavar="ROW", help=", ".join(keys))
    parser.add_argument("--best", type=int, default=4, help="number of rows that get more seeds")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the best rows")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    parser.add_argument("--page", type=Path, help="page whose marked section gets the table of a whole comparison")
    parser.add_argument("--quick", action="store_true", help="two rows, a few steps, one seed, to see that it runs")
    given = parser.parse_args(arguments)
    if given.backbone is not None and not (given.backbone / "config.json").is_file():
        parser.error(f"--backbone must be a folder with a model, got {str(given.backbone)!r}")
    if given.quick:
        given.rows, given.best, given.page = list(QUICK_ROWS), 0, None
        given.steps, given.batch_size = QUICK["steps"], QUICK["batch_size"]
    return given


def main(arguments: list[str] | None = None) -> None:
    """Run what is not done yet.

    Args:
        arguments (`list[str]`, *optional*): Those of the command line, by default the process's own.
    """
    given = parse(arguments)
    torch.set_num_threads(given.threads)
    num_questions = QUICK["num_questions"] if given.quick else None
    backbone = given.backbone and given.backbone.resolve()
    run = Run(given.work.resolve(), given.steps, given.batch_size, backbone, num_questions)
    run.work.mkdir(parents=True, exist_ok=True)
    write_material(run)
    held_out = HeldOut(run)
    references = references_of(run, held_out) | {"num_questions": len(held_out.questions)}
    rows = [row for row in ROWS if row.key in given.rows]
    results: dict[str, list[dict]] = {}
    for row in rows:
        results[row.key] = [result_of(row, run, 1, held_out)]
        report(run, results, references, given.threads)
    best = sorted(rows, key=lambda row: -score_of(results[row.key]))[: given.best]
    for seed in range(2, given.seeds + 1):
        for row in best:
            results[row.key].append(result_of(row, run, seed, held_out))
    text = report(run, results, references, given.threads)
    if given.page is not None and len(rows) == len(ROWS):
        write_section(given.page, text)
    print(text)


if __name__ == "__main__":
    main()
