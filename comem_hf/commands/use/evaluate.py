"""`comem evaluate`: the same questions without memory, with items in the prompt, and with memory."""

from pathlib import Path
from typing import Annotated

import typer

from comem_hf.commands.benchmarks.choice import WITHOUT_BENCHMARKS, Choice
from comem_hf.commands.common.loading import ReaderOption
from comem_hf.commands.common.output import JsonOption


def evaluate(
    benchmarks: Annotated[
        list[str] | None,
        typer.Argument(help="Benchmarks, or 'all' [default: questions about the items of the bank].", metavar="NAME"),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model folder or Hub id [default: the embedded model].")] = None,
    bank: Annotated[str | None, typer.Option(help="Bank folder or Hub id [default: the embedded bank].")] = None,
    reader: ReaderOption = "adapter",
    questions: Annotated[
        Path | None, typer.Option(help="JSONL of item_id, question, answer [default: the held-out countries].")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Benchmarks: folder of the files, or one with a folder NAME for each.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="Benchmarks: retrieved items of the CoMEM release, in place of a bank.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Benchmarks: score this file of predictions, and ask nothing.")
    ] = None,
    multiple_choice: Annotated[
        bool, typer.Option("--multiple-choice", help="A-OKVQA: --predictions name one of the choices.")
    ] = False,
    way: Annotated[
        list[str] | None, typer.Option(help="Benchmarks: 'no memory', 'RAG' or 'memory' [default: all three].")
    ] = None,
    top_k: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            help="Items that are retrieved; benchmarks take several. "
            "[default: 3, benchmarks 10, or what the model has slots for]",
        ),
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="Benchmarks: 'equal' terms for all ways, or the settings of the CoMEM 'release'.")
    ] = "equal",
    split: Annotated[str | None, typer.Option(help="Benchmarks: split [default: the one that papers score].")] = None,
    language: Annotated[list[str] | None, typer.Option(help="Benchmarks: only this language; repeatable.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Benchmarks: only so many questions, the first.")] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="Benchmarks: longest answer [default: 512, of the release 1000].")
    ] = None,
    vocabulary: Annotated[
        Path | None, typer.Option(help="OVEN: vocab.txt of bert-base-uncased [default: in the folder, or the Hub's].")
    ] = None,
    published: Annotated[
        Path | None, typer.Option(help="Benchmarks: JSON of published numbers to print beside ours.")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Questions answered at a time.")] = 16,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Also write scores and answers here, as JSON; evaluation.json of a model goes on its card. "
            "Benchmarks: folder of predictions and report; a run that was interrupted goes on there."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Score a model, with and without a memory bank, on questions with known answers.

    Without a benchmark: exact match on questions about items of the bank, greedy decoding, the same questions in all
    rows. Each question's picture is disturbed, so that a search never sees a stored one. A model without a memory
    encoder takes no bank: it is scored on the held-out countries, alone and with the embedded bank's items in its
    prompt.

    With benchmarks (infoseek, oven, mrag, okvqa, aokvqa, viquae, cvqa, infoseek_multilingual): each by its own scorer
    and by the CoMEM release's, with confidence intervals; several processes share the work under `accelerate launch`.

    Example:
        comem evaluate --output evaluation.json

        comem evaluate okvqa viquae --data benchmarks --output runs/mine --top-k 1 --top-k 3
    """
    choice = Choice(
        names=tuple(benchmarks or ()),
        model=model,
        bank=bank,
        reader=reader,
        data=data,
        records=records,
        predictions=predictions,
        multiple_choice=multiple_choice,
        ways=tuple(way or ()),
        top_k=tuple(top_k or ()),
        protocol=protocol,
        split=split,
        languages=tuple(language or ()),
        limit=limit,
        max_new_tokens=max_new_tokens,
        vocabulary=vocabulary,
        published=published,
        batch_size=batch_size,
        output=output,
    )
    if benchmarks:
        from comem_hf.commands.benchmarks.evaluate import evaluate_benchmarks

        if questions is not None:
            raise ValueError("`--questions` are asked without a benchmark; a benchmark has its own.")
        evaluate_benchmarks(choice, json)
        return
    from comem_hf.commands.use.own_questions import evaluate_own_questions

    given = [f"--{name.replace('_', '-')}" for name in choice.given() if name not in WITHOUT_BENCHMARKS]
    if given:
        raise ValueError(f"`{given[0]}` is for benchmarks: name one, such as `comem evaluate okvqa {given[0]} ...`.")
    if top_k and len(top_k) > 1:
        raise ValueError(f"`--top-k` may be given several times for benchmarks only, got {top_k}.")
    evaluate_own_questions(model, bank, reader, questions, top_k[0] if top_k else None, batch_size, output, json)
