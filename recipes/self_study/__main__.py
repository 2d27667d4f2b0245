"""Synthesize, train, evaluate on the embedded default: `python -m recipes.self_study`, or `make self-study`.

Each stage is a command that a user would type, printed before it runs; what is there already is not made again. The
last stage writes `checksums.txt`: run again in another folder, it has the same lines.
"""

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryBank
from comem_hf.bank import BackboneEmbedder
from comem_hf.default import default_path
from comem_hf.files.whole_file import file_entry


ROOT = Path(__file__).resolve().parents[2]
MIXTURE = Path(__file__).with_name("mixture.yaml")


def comem(*words: str | Path) -> None:
    """Run `comem` with these words, and print the command line."""
    line = [str(word) for word in words]
    print(f"$ comem {shlex.join(line)}", flush=True)
    subprocess.run([sys.executable, "-m", "comem_hf", *line], check=True)


def stage(result: Path, make: Callable[[], object]) -> None:
    """Make a result, unless it is there."""
    if not result.exists():
        make()


def write_questions(data: Path, path: Path) -> None:
    """Write the held-out questions whose answers are known, without those that the model asked itself."""
    rows = [json.loads(line) for line in (data / "held_out.jsonl").read_text(encoding="utf-8").splitlines()]
    questions = [
        {name: row[name] for name in ("item_id", "question", "answer", "kind")}
        for row in rows
        if row["origin"] == "verified"
    ]
    text = "".join(json.dumps(question, ensure_ascii=False) + "\n" for question in questions)
    path.write_text(text, encoding="utf-8")


def build_bank(trained: Path, output: Path) -> None:
    """Encode the items of the embedded bank by the trained memory encoder; they are found as before."""
    model, processor = CoMemForConditionalGeneration.from_pretrained(trained), CoMemProcessor.from_pretrained(trained)
    bank = MemoryBank.from_pretrained(default_path("bank"))
    settings = bank.config.embedder
    embedder = BackboneEmbedder(model, processor, grid=settings["grid"], layer=settings["layer"])
    items = (bank[item_id] for item_id in bank.ids)
    MemoryBank.build(items, model=model, processor=processor, output_dir=output, embedder=embedder)


def write_checksums(work: Path) -> str:
    """Write the SHA-256 of data, weights, vectors and scores."""
    files = [path for path in sorted((work / "data").rglob("*")) if path.is_file()]
    files += [work / "trained" / "model.safetensors", *sorted((work / "bank").glob("*.safetensors"))]
    files += [work / "before.json", work / "after.json"]
    lines = [f"{file_entry(path)['sha256']}  {path.relative_to(work).as_posix()}\n" for path in files]
    (work / "checksums.txt").write_text("".join(lines), encoding="utf-8")
    return "".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Run the stages that are not done yet.

    Args:
        arguments (`list[str]`, *optional*): Those of the command line, by default the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m recipes.self_study", description=__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "self_study", help="folder for all stages")
    parser.add_argument("--mixture", type=Path, default=MIXTURE, help="settings of `comem synthesize`")
    parser.add_argument("--steps", type=int, default=20, help="updates")
    parser.add_argument("--batch-size", type=int, default=8, help="samples per update")
    arguments = parser.parse_args(arguments)
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    data, trained, questions = work / "data", work / "trained", work / "questions.jsonl"

    stage(data / "synthesis.json", lambda: comem("synthesize", arguments.mixture, "--output", data))
    training = ["--max-steps", arguments.steps, "--batch-size", arguments.batch_size]
    training += ["--gradient-accumulation", 1, "--learning-rate", "2e-5", "--seed", 1]
    stage(
        trained / "trainer_state.json",
        lambda: comem(
            *("train", "--model", default_path("model"), "--data", data / "train.jsonl"),
            *("--output-dir", trained, *training),
        ),
    )
    stage(questions, lambda: write_questions(data, questions))
    stage(work / "bank", lambda: build_bank(trained, work / "bank"))
    evaluate = ("evaluate", "--questions", questions, "--output")
    stage(work / "before.json", lambda: comem(*evaluate, work / "before.json"))
    stage(
        work / "after.json",
        lambda: comem(*evaluate, work / "after.json", "--model", trained, "--bank", work / "bank"),
    )
    write_checksums(work)
    for name in ("before", "after"):
        scores = json.loads((work / f"{name}.json").read_text(encoding="utf-8"))["scores"]
        shown = ", ".join(f"{score['way']} {score['exact_match']:.3f}" for score in scores)
        print(f"{name}: {shown}")
    print(f"Checksums: {work / 'checksums.txt'}")


if __name__ == "__main__":
    main()
