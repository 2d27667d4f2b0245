"""`comem synthesize`: training data that a backbone makes for its own memory."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comem_hf.commands.common.output import JsonOption


if TYPE_CHECKING:
    from comem_hf.bank import MemoryBank
    from comem_hf.modeling import CoMemForConditionalGeneration, CoMemProcessor
    from comem_hf.synthesis import SynthesisSettings


def synthesize(
    config: Annotated[
        str | None, typer.Argument(help="YAML file of all settings, or a shipped mixture: comem-paper.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the result, new or of an interrupted run.")] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Who answers: a comem model or a backbone, folder or Hub id [default: the embedded model]."),
    ] = None,
    bank: Annotated[str | None, typer.Option(help="Bank folder or Hub id [default: the embedded bank].")] = None,
    questions: Annotated[Path | None, typer.Option(help="A source: JSONL of questions.")] = None,
    benchmark: Annotated[
        list[str] | None, typer.Option(help="A source: a benchmark's training set; repeatable.")
    ] = None,
    dialogues: Annotated[
        int | None, typer.Option(min=1, help="A source: so many self-study dialogues about each item.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the benchmarks' files.")] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Items of a row. [default: 3]")] = None,
    held_out: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of the entities that are held out. [default: 0.1]")
    ] = None,
    shuffle_items: Annotated[
        bool | None, typer.Option("--shuffle-items", help="Put the items of rows to train on in random order.")
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="Translate rows into this language, too; repeatable.")
    ] = None,
    per_language: Annotated[int | None, typer.Option(min=1, help="Rows of each language. [default: 200]")] = None,
    translator: Annotated[
        str | None, typer.Option(metavar="MODULE:FUNCTION", help="Callable translate(texts, language).")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Questions answered at a time. [default: 16]")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer, in tokens. [default: 64]")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Decides the split and all that is drawn. [default: 0]")
    ] = None,
    license: Annotated[str | None, typer.Option(help="Licence of the data, by the Hub's identifier.")] = None,
    json: JsonOption = False,
) -> None:
    """Make training data: retrieve, answer by the backbone with the items in its prompt, keep what is right.

    A question is {"question": "...", "answer": "...", "item_id": "..."} or has an "image" in place of the item; one
    without an answer gets the backbone's. Written are train.jsonl and held_out.jsonl, which share no entity, their
    pictures, and a data card with the counts of each step. A YAML file has more settings, and several sources.

    Run the same command again to go on with an interrupted run. Under `torchrun -m comem_hf synthesize ...` or
    `accelerate launch` the processes share the answering; the result is the same.

    Example:
        comem synthesize --questions questions.jsonl --output made

        comem synthesize --dialogues 1 --output studied --seed 1
    """
    from comem_hf.commands.common.output import print_json, print_table
    from comem_hf.evaluation.asking.processes import this_process
    from comem_hf.synthesis import read_settings
    from comem_hf.synthesis import synthesize as make

    sources = [
        *([{"name": "questions", "questions": str(questions)}] if questions else []),
        *({"name": name, "benchmark": name} for name in benchmark or ()),
        *([{"name": "dialogues", "dialogues": dialogues}] if dialogues else []),
    ]
    if config is None and (output is None or not sources):
        raise ValueError(
            "Name a YAML file of settings, or `--output` and a source: `--questions`, `--benchmark` or `--dialogues`."
        )
    settings = read_settings(
        config,
        output=None if output is None else str(output),
        model=model,
        bank=bank,
        data=None if data is None else str(data),
        sources=sources or None,
        top_k=top_k,
        held_out=held_out,
        shuffle_items=shuffle_items,
        languages=language,
        per_language=per_language,
        translator=translator,
        batch_size=batch_size,
        max_new_tokens=max_new_tokens,
        seed=seed,
        license=license,
    )
    processes = this_process()  # before the model is put on a device
    loaded, processor, opened = _load(settings)
    result = make(loaded, processor, opened, settings, processes=processes)
    if processes.index:
        return
    if json:
        print_json(result)
        return
    from comem_hf.synthesis.output.counts import STEPS

    counts = result["counts"]
    rows = [(text, *(of_source[step] for of_source in counts.values())) for step, text in STEPS.items()]
    print_table("made", ("step", *counts), [row for row in rows if any(row[1:])])
    for name, file in result["files"].items():
        typer.echo(f"{settings.output / name}: sha256 {file['sha256']}", err=True)


def _load(
    settings: "SynthesisSettings",
) -> "tuple[CoMemForConditionalGeneration, CoMemProcessor, MemoryBank]":
    """The model that answers, its processor, and the bank, ready to be searched."""
    from comem_hf.commands.common.loading import load_model, open_bank
    from comem_hf.evaluation import needs_own_model

    bank = open_bank(settings.bank)
    plain = _load_backbone(settings)
    if plain is None:
        model, processor = load_model(settings.model)
        if model.config.num_memory_tokens:
            bank.attach(model, processor)
            return model, processor, bank
    if needs_own_model(bank):
        raise ValueError(
            "The bank is searched with the model that made it, which this one is not: give that model, or a bank that "
            "was built with another embedder (`comem build-bank ... --embedder`)."
        )
    return *(plain or (model, processor)), bank


def _load_backbone(settings: "SynthesisSettings") -> "tuple[CoMemForConditionalGeneration, CoMemProcessor] | None":
    """A plain backbone, as a model whose new memory encoder is not used; `None` if it is another model, or none."""
    import torch
    from transformers import AutoConfig, set_seed

    from comem_hf.commands.common.loading import load_processor, without_loading_bar
    from comem_hf.modeling import CoMemConfig, CoMemForConditionalGeneration

    if settings.model is None:
        return None
    try:
        config = AutoConfig.from_pretrained(settings.model)
    except (OSError, ValueError):
        return None  # `load_model` says why
    if isinstance(config, CoMemConfig):
        return None
    set_seed(settings.seed)
    with without_loading_bar():
        model = CoMemForConditionalGeneration.from_backbone(settings.model).eval()
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), load_processor(settings.model)
