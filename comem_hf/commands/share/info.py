"""`comem info`: what a model or a memory bank is, in a folder or on the Hub."""

from pathlib import Path
from typing import Annotated, Any

import typer

from comem_hf.commands.common.output import JsonOption


def info(
    name: Annotated[str, typer.Argument(help="Folder or Hub id of a model or a memory bank.")],
    bank: Annotated[
        str | None, typer.Option(help="Folder or Hub id of a bank: say whether it fits the model.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw scores and probabilities of a bank's hits, true and false, into this file."),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read the whole bank and check it.")] = False,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of a repository.")] = None,
    repo_type: Annotated[
        str | None, typer.Option(help="'model' or 'dataset'. [default: a model repository, else a data set]")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what a model or a memory bank is: sizes, fingerprints and what fits together.

    Read from configurations and headers: no weights are loaded, and of a repository none are downloaded. A bank fits
    the model with the same memory fingerprint, if its processor prepares pictures and texts as it did for the bank.

    Example:
        comem info my-model --bank my-bank
        comem info my-bank --plot scores.png
    """
    from comem_hf.bank.format.config import BankConfig
    from comem_hf.commands.common.output import print_json, print_table
    from comem_hf.hub.describe import describe_bank, describe_model
    from comem_hf.hub.place import BANK, find_place

    place = find_place(name, revision, repo_type)
    found = {"name": name, "kind": place.kind}
    if place.kind == BANK:
        if bank is not None:
            raise ValueError(f"--bank is for models, but {name!r} is a memory bank.")
        described = BankConfig.load(place.folder)
        facts = describe_bank(described, place.commit)
        rows = bank_rows(facts)
        if verify:
            facts["verified"] = verify_bank(place)
            rows.append(("verified", "{files} files, all {rows} rows".format(**facts["verified"])))
        if plot is not None:
            from comem_hf.bank.scores.plot_calibration import plot_calibration

            plot_calibration(described.readable_calibration, described.metric, plot)
        found |= facts
    elif verify or plot is not None:
        raise ValueError(f"{name!r} is no memory bank: only banks can be {'verified' if verify else 'plotted'}.")
    else:
        facts = describe_model(place)
        rows = model_rows(facts)
        found |= facts
    if bank is not None:
        config = BankConfig.load(find_place(bank, kind=BANK).folder)
        fits, problem = fit_of(place, facts["memory_fingerprint"], config, bank)
        found |= {"bank": {"name": bank, "memory_fingerprint": config.memory_fingerprint}, "fits": fits}
        words = {True: "yes", False: "no"}.get(fits, "unknown")
        rows += [("fingerprint of the bank", config.memory_fingerprint), ("fits", words)]
    if json:
        print_json(found)
    else:
        print_table(place.kind, ("", name), rows)
    if bank is not None and problem is not None:
        raise problem


def fit_of(place, fingerprint: str | None, config, bank: str) -> tuple[bool | None, ValueError | None]:
    """Return whether a bank fits a model (`None`: it cannot be told), and the error that attaching it would raise."""
    from comem_hf.bank.encoding.fit import expected_settings, refuse_other_model, refuse_without_encoder
    from comem_hf.hub.checkpoint import read_config
    from comem_hf.hub.describe import read_processor

    try:
        refuse_without_encoder(read_config(place.folder, place.name), repr(place.name))
    except ValueError as error:
        return False, error
    is_same = fingerprint == config.memory_fingerprint
    processor = read_processor(place) if is_same and expected_settings(config) else None
    try:
        refuse_other_model(config, fingerprint, processor, f"the model {place.name!r}", bank)
    except ValueError as error:
        is_unknown = fingerprint is None or is_same and processor is None
        return None if is_unknown else False, error
    return True, None


def bank_rows(facts: dict[str, Any]) -> list[tuple[str, object]]:
    """Turn the facts of `describe_bank` into rows for `print_table`."""
    fit = facts["calibration"]
    probabilities = "none" if fit is None else "Brier score {brier:.3f}, fitted to {pictures} pictures".format(**fit)
    recall = "" if facts["recall"] is None else f", recall {facts['recall']:.3f}"
    rows = [
        ("items", facts["items"]),
        ("removed items", facts["removed_items"]),
        *([("items with a cut text", facts["cut_texts"])] if facts["cut_texts"] else []),
        ("generation", facts["generation"]),
        ("memory per item", f"{facts['memory_tokens']} x {facts['hidden_size']} {facts['dtype']}"),
        *([("made in", f"{facts['precision']}, not exact")] if facts["precision"] != "float32" else []),
        ("picture rules", facts["picture_rules"]),
        ("processor settings", "known" if facts["processor_known"] else "unknown: an older version made the bank"),
        ("shards", facts["shards"]),
        ("index", f"{facts['index']}, {facts['metric']}{recall}"),
        ("words of texts", "indexed" if facts["words_indexed"] else "indexed in memory when they are searched for"),
        ("probabilities of hits", probabilities),
        ("size on disk", _mebibytes(facts["bytes"])),
        *((f"size of {part}", _mebibytes(facts[f"bytes_of_{part}"])) for part in ("memory", "items", "index")),
        ("embedder", facts["embedder"]),
        ("model", facts["model"] or "not on the Hub"),
        ("licence", facts["license"] or "not stated"),
        ("memory fingerprint", facts["memory_fingerprint"]),
    ]
    return rows + _commit(facts)


def model_rows(facts: dict[str, Any]) -> list[tuple[str, object]]:
    """Turn the facts of `describe_model` into rows for `print_table`."""
    rows = [("checkpoint", facts["checkpoint"]), ("backbone", facts["backbone"])]
    for name in ("backbone_name", "backbone_revision"):
        if facts[name]:
            rows.append((name.replace("_", " "), facts[name]))
    encoder = facts["encoder"] or "none: the model takes no items"
    rows.append(("memory encoder", encoder + (f" of rank {facts['encoder_rank']}" if facts["encoder_rank"] else "")))
    rows += [(f"memory enters the {place}", description) for place, description in facts["places"].items()]
    rows.append(("reader", facts["reader"]))
    if facts["memory_tokens"]:
        rows.append(("memory per item", f"{facts['memory_tokens']} x {facts['hidden_size']}"))
    if "parameters" in facts:
        share = f"{facts['memory_parameters']:,} ({facts['memory_parameters'] / facts['parameters']:.2%})"
        rows += [
            ("parameters", f"{facts['parameters']:,}"),
            ("of the memory", share),
            ("size", _mebibytes(facts["bytes"])),
        ]
    else:
        rows.append(("size", "unknown: the Hub cannot be reached"))
    if facts["encoder"]:  # else no bank has to know the model
        rows.append(("memory fingerprint", facts["memory_fingerprint"] or "not noted in config.json"))
    return rows + _commit(facts)


def verify_bank(place) -> dict[str, int]:
    """Read a whole bank and check it.

    Raises:
        ValueError: If it is damaged.
    """
    from comem_hf.bank import MemoryBank

    bank = MemoryBank.from_pretrained(place.name, repo_type=place.repo_type or "dataset", **place.of_hub)
    report = bank.verify()
    return {"files": report["files"], "rows": report["items"] + report["removed"]}


def _commit(facts: dict[str, Any]) -> list[tuple[str, object]]:
    return [("commit", facts["commit"])] if facts["commit"] else []


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
