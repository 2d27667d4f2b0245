"""`comem ask`: questions about a picture, answered without and with memory."""

import sys
from typing import Annotated

import typer

from comem_hf.commands.common.conditions import WHERE_HELP, read_conditions
from comem_hf.commands.common.loading import ReaderOption
from comem_hf.commands.common.output import JsonOption, MinScoreOption


def ask(
    question: Annotated[
        str | None,
        typer.Argument(help="What to ask about the picture. [default: what is typed, or the lines of a pipe]"),
    ] = None,
    image: Annotated[str | None, typer.Option(metavar="PATH", help="The picture.")] = None,
    model: Annotated[str | None, typer.Option(help="Model folder or Hub id [default: the embedded model].")] = None,
    bank: Annotated[str | None, typer.Option(help="Bank folder or Hub id [default: the embedded bank].")] = None,
    reader: ReaderOption = "adapter",
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Memory items to retrieve. [default: 3, or what the model has slots for]")
    ] = None,
    where: Annotated[list[str] | None, typer.Option(help=WHERE_HELP)] = None,
    min_score: MinScoreOption = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 32,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also say which item decided: each one's share, by leaving it out.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Ask about a picture, and see the answers without and with memory.

    Finds the items of a memory bank that look like the picture and gives their stored memory vectors to the model.
    Without a picture, the bank is searched for the question: by its words in the items' texts, or by an embedder that
    has a text side. A model without a memory encoder takes no items and answers without a bank. With `--min-score`,
    items that probably show another thing are not used; if none is left, there is only the answer without memory.
    Without a question, it asks for questions until an empty line or Ctrl-D; from a pipe, it reads one question per
    line.

    Example:
        comem ask --image flag.png "What is the currency of this country?"

    With items of one source only:
        comem ask --image flag.png "What is the currency of this country?" --where source=test
    """
    if question is not None and not question.strip():
        raise ValueError("The question is empty.")

    from comem_hf.answering import (
        WITHOUT_BANK,
        WITHOUT_ENCODER,
        WITHOUT_WORDS,
        generate_answers,
        generate_sequences,
        question_inputs,
        read_answers,
        refuse_too_long,
    )
    from comem_hf.commands.common.loading import load_model, open_bank
    from comem_hf.commands.common.output import (
        hit_columns,
        hit_rows,
        hits_for_json,
        nothing_found,
        on_terminal,
        print_json,
        print_table,
    )
    from comem_hf.commands.common.questions import piped_questions, typed_questions
    from comem_hf.commands.common.stopwatch import Stopwatch
    from comem_hf.modeling.explanation_comem import item_influences, shares_of
    from comem_hf.modeling.picture_comem import MAX_ASPECT_RATIO, load_image
    from comem_hf.modeling.top_k_comem import default_top_k

    picture = None if image is None else load_image(image, max_aspect_ratio=MAX_ASPECT_RATIO)
    is_typed = question is None and sys.stdin.isatty()
    if question is None:
        questions = typed_questions() if is_typed else piped_questions()
    else:
        questions = [question]
    watch = Stopwatch()
    with watch.step("load the model"):
        loaded, processor = load_model(model, reader, takes_items=bank is not None, top_k=top_k)
    takes_items = loaded.config.num_memory_tokens > 0
    top_k = top_k or default_top_k(loaded.config)
    memory = None
    if takes_items:
        with watch.step("open the bank"):
            memory = open_bank(bank).attach(loaded, processor)
        memory.check_min_score(min_score)
    least = {} if min_score is None else {"min_score": min_score}
    conditions = read_conditions(where, memory.metadata_kinds) if takes_items else None
    if conditions is not None:
        memory.check_where(conditions)
    options = {"k": top_k, **({} if conditions is None else {"where": conditions}), **least}
    by_text = takes_items and picture is None and memory.searches_text
    hits = []
    if not takes_items:
        typer.echo(WITHOUT_ENCODER, err=True)
    elif picture is not None:
        with watch.step("retrieve"):
            hits = memory.search(image=picture, **options)
        if least and not hits:
            typer.echo(nothing_found(memory, picture, min_score, conditions), err=True)
        elif question is None and not json and not explain:
            print_table("memory", hit_columns(hits), hit_rows(memory, hits))
    elif not by_text:
        typer.echo(WITHOUT_BANK, err=True)
    answered = []
    for asked in questions:
        steps = Stopwatch(watch.steps)
        answer, influences, shares = None, [], []
        try:
            if by_text:
                with steps.step("retrieve"):
                    hits = memory.search(text=asked, **options)
                if not hits:
                    typer.echo(WITHOUT_WORDS, err=True)
            with steps.step("answer without memory" if takes_items else "answer"):
                inputs = question_inputs(processor, [asked], [picture])
                refuse_too_long(loaded, inputs)
                [without] = generate_answers(loaded, processor, inputs, max_new_tokens)
            if hits:
                with steps.step("answer with memory"):
                    inputs = question_inputs(processor, [asked], [picture], memory_inputs=memory.memory_inputs([hits]))
                    refuse_too_long(loaded, inputs)
                    sequences = generate_sequences(loaded, inputs, max_new_tokens)
                    [answer] = read_answers(processor, inputs, sequences)
                if explain:
                    with steps.step("explain"):
                        found = item_influences(loaded, inputs, sequences)[0]
                        influences, shares = found.tolist(), shares_of(found).tolist()
        except ValueError as error:
            if not is_typed:
                raise
            typer.echo(f"Error: {error}", err=True)  # the next question may be answered
            continue
        answers = {"question": asked, "without_memory": without, "with_memory": answer}
        shown = hits_for_json(memory, hits) if hits else []
        for hit, influence, share in zip(shown[: len(shares)], influences, shares, strict=True):
            hit |= {"influence": influence, "share": share}
        answered.append({**answers, "memory": shown, "seconds": dict(steps.steps)})
        if not json:
            rows = [
                ("without memory" if takes_items else "answer", without),
                *([] if answer is None else [("with memory", answer)]),
            ]
            if question is None and not on_terminal():  # where the heading of the table is not shown
                rows.insert(0, ("question", asked))
            print_table("answer", ("", asked), rows)
            if question is None and hits and (by_text or shares):
                print_table("memory", *_with_shares(hit_columns(hits), hit_rows(memory, hits), shares))
            sys.stdout.flush()

    if json:
        print_json(answered if question is None else answered[0])
    elif question is not None:
        if hits:
            print_table("memory", *_with_shares(hit_columns(hits), hit_rows(memory, hits), shares))
        print_table("time", ("step", "time"), steps.rows())


def _with_shares(columns: tuple[str, ...], rows: list[tuple], shares: list[float]) -> tuple[tuple, list[tuple]]:
    """Return columns and rows with each item's share before its text, or as they are if there are no shares."""
    if not shares:
        return columns, rows
    rows = [(*row[:-1], f"{share:.0%}", row[-1]) for row, share in zip(rows, shares, strict=True)]
    return (*columns[:-1], "share", columns[-1]), rows
