"""`comem ask`: a question about a picture, answered without and with memory."""

from pathlib import Path
from typing import Annotated

import typer

from .output import JsonOption


def ask(
    question: Annotated[str, typer.Argument(help="What to ask about the picture.")],
    image: Annotated[Path, typer.Option(help="The picture.")],
    model: Annotated[str | None, typer.Option(help="Model folder or Hub id [default: the embedded model].")] = None,
    bank: Annotated[str | None, typer.Option(help="Bank folder or Hub id [default: the embedded bank].")] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Memory items to retrieve.")] = 3,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 32,
    json: JsonOption = False,
) -> None:
    """Ask a question about a picture, and see the answer without and with memory.

    Finds the items of a memory bank that look like the picture and gives their stored memory vectors to the model.

    Example:

        comem ask --image flag.png "What is the currency of this country?"
    """
    if not question.strip():
        raise ValueError("The question is empty.")

    from comem_hf.answering import generate_answers, question_inputs
    from comem_hf.modeling.memory_item import load_image

    from .loading import load_model, open_bank
    from .output import HIT_COLUMNS, hit_rows, hits_for_json, print_json, print_table
    from .stopwatch import Stopwatch

    picture = load_image(image)
    watch = Stopwatch()
    with watch.step("load the model"):
        loaded, processor = load_model(model)
    with watch.step("open the bank"):
        memory = open_bank(bank).attach(loaded, processor)
    with watch.step("retrieve"):
        hits = memory.search(image=picture, k=top_k)
        memory_inputs = memory.memory_inputs([hits])
    with watch.step("answer without memory"):
        inputs = question_inputs(processor, [question], [picture])
        [without] = generate_answers(loaded, processor, inputs, max_new_tokens)
    with watch.step("answer with memory"):
        inputs = question_inputs(processor, [question], [picture], memory_inputs=memory_inputs)
        [answer] = generate_answers(loaded, processor, inputs, max_new_tokens)

    if json:
        answers = {"without_memory": without, "with_memory": answer}
        print_json({"question": question, **answers, "memory": hits_for_json(hits), "seconds": dict(watch.steps)})
        return
    print_table("answer", ("", question), [("without memory", without), ("with memory", answer)])
    print_table("memory", HIT_COLUMNS, hit_rows(hits))
    print_table("time", ("step", "time"), watch.rows())
