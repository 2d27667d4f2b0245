"""`comem evaluate` without a benchmark: questions about items of the bank."""

import hashlib
from json import dumps
from pathlib import Path

import typer


def evaluate_own_questions(
    model: str | None,
    bank: str | None,
    reader: str,
    questions: Path | None,
    top_k: int | None,
    batch_size: int,
    output: Path | None,
    json: bool,
) -> None:
    """Score a model and its bank on questions about items of the bank, and print the scores.

    Args:
        model (`str`, *optional*): Model folder or Hub id; the embedded model if not given.
        bank (`str`, *optional*): Bank folder or Hub id; the embedded bank if not given.
        reader (`str`): As for `from_pretrained`.
        questions (`Path`, *optional*): JSONL of the questions; those of the embedded default if not given.
        top_k (`int`, *optional*): Items that the top-k ways retrieve.
        batch_size (`int`): Questions answered at a time.
        output (`Path`, *optional*): File to write scores and answers to.
        json (`bool`): Whether to print JSON.

    Raises:
        ValueError: If model, bank and questions do not fit each other.
    """
    from comem_hf.answering import WITHOUT_ENCODER
    from comem_hf.cards.results import summary
    from comem_hf.commands.common.loading import load_model, open_bank
    from comem_hf.commands.common.output import print_json, print_table
    from comem_hf.commands.common.written_command import written_command
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
        "command": written_command(
            "evaluate",
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


def _share(way, questions, kind: str) -> float:
    from comem_hf.evaluation import exact_match

    of_kind = [
        exact_match(answer, question.answer)
        for answer, question in zip(way.answers, questions, strict=True)
        if question.kind == kind
    ]
    return sum(of_kind) / len(of_kind)
