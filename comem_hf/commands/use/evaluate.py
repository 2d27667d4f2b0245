"""`comem evaluate`: the same questions without memory, with the items in the prompt, and with memory."""

import hashlib
import shlex
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from comem_hf.commands.common.loading import ReaderOption
from comem_hf.commands.common.output import JsonOption


def evaluate(
    model: Annotated[str | None, typer.Option(help="Model folder or Hub id [default: the embedded model].")] = None,
    bank: Annotated[str | None, typer.Option(help="Bank folder or Hub id [default: the embedded bank].")] = None,
    reader: ReaderOption = "adapter",
    questions: Annotated[
        Path | None, typer.Option(help="JSONL of item_id, question, answer [default: the held-out countries].")
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(min=1, help="Items that the top-k ways retrieve. [default: 3, or what the model has slots for]"),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions answered at a time.")] = 16,
    output: Annotated[
        Path | None,
        typer.Option(help="Also write scores and answers here, as JSON; evaluation.json of a model goes on its card."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Score a model and its memory bank on questions with known answers.

    Exact match after lower-casing and stripping, greedy decoding, the same questions in all rows. Each question's
    picture is disturbed, so that a search never sees a stored one. A model without a memory encoder takes no bank: it
    is scored on the held-out countries, alone and with the embedded bank's items in its prompt.

    Example:
        comem evaluate --output evaluation.json
    """
    from comem_hf.answering import WITHOUT_ENCODER
    from comem_hf.cards.results import summary
    from comem_hf.commands.common.loading import load_model, open_bank
    from comem_hf.commands.common.output import print_json, print_table
    from comem_hf.default import default_path
    from comem_hf.evaluation import evaluate as score
    from comem_hf.evaluation import load_questions, needs_own_model, recall_at_1
    from comem_hf.modeling.top_k_comem import default_top_k

    if output is not None:  # fails before minutes of work are lost
        output.parent.mkdir(parents=True, exist_ok=True)
    file = questions or default_path("questions.jsonl")
    asked = load_questions(file)
    loaded, processor = load_model(model, reader, takes_items=bank is not None, top_k=top_k)
    usual = default_top_k(loaded.config)
    top_k = top_k or usual
    memory = open_bank(bank)
    takes_items = loaded.config.num_memory_tokens > 0
    if takes_items:
        memory.attach(loaded, processor)
    else:
        typer.echo(WITHOUT_ENCODER, err=True)
    scores = score(loaded, processor, memory, asked, top_k=top_k, batch_size=batch_size)
    recall = recall_at_1(memory) if takes_items or not needs_own_model(memory) else {}

    retrieves = any(way.way.endswith("top-k") for way in scores)
    result = {
        "command": _command(
            model=model,
            bank=bank,
            questions=questions,
            top_k=None if top_k == usual else top_k,
            reader=None if reader == "adapter" else reader,
        ),
        "model": {"memory_fingerprint": loaded.memory_fingerprint()},
        "bank": {"items": len(memory)},
        "data": {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()},
        "questions": len(asked),
        "top_k": top_k if retrieves else None,
        "scores": [{"way": way.way, "exact_match": way.exact_match, "positions": way.positions} for way in scores],
        "recall_at_1": recall,
        "answers": [
            {"item_id": question.item_id, "question": question.question, "expected": question.answer}
            | {way.way: way.answers[number] for way in scores}
            for number, question in enumerate(asked)
        ],
    }
    if output is not None:
        text = dumps(result, indent=1, ensure_ascii=False) + "\n"
        output.write_text(text, encoding="utf-8")
    if json:
        print_json(result)
        return

    rows = [(way.way, f"{way.exact_match:.3f}", f"{way.positions:.0f}") for way in scores]
    title = summary(len(asked), result["top_k"], len(memory))
    print_table(title, ("way", "exact match", "prompt positions"), rows)
    kinds = sorted({question.kind for question in asked if question.kind})
    if kinds:
        rows = [(way.way, *(f"{_share(way, asked, kind):.2f}" for kind in kinds)) for way in scores]
        print_table("exact match by kind of question", ("way", *kinds), rows)
    if recall:
        print_table("retrieval recall@1", ("disturbance", "recall@1"), [(k, f"{v:.3f}") for k, v in recall.items()])


def _command(**options: object) -> str:
    """Return the command line, without defaults and without paths of this machine."""
    from comem_hf.modeling.local_paths_comem import public_name

    words = ["comem", "evaluate"]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", public_name(str(value))]
    return shlex.join(words)


def _share(way, questions, kind: str) -> float:
    from comem_hf.evaluation import exact_match

    of_kind = [
        exact_match(answer, question.answer)
        for answer, question in zip(way.answers, questions, strict=True)
        if question.kind == kind
    ]
    return sum(of_kind) / len(of_kind)
