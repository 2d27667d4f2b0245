"""`comem push`: a model, a memory bank, or both, to the Hub."""

from pathlib import Path
from typing import Annotated

import typer

from comem_hf.commands.common.output import JsonOption


def push(
    folder: Annotated[Path, typer.Argument(help="Folder of a model or a memory bank.")],
    repo_id: Annotated[str, typer.Argument(help="Repository on the Hub, made if it is not there.")],
    bank: Annotated[Path | None, typer.Option(help="With a model: folder of a bank that fits it.")] = None,
    bank_repo: Annotated[
        str | None, typer.Option(help="Where that bank goes. [default: the model's repository, with '-bank']")
    ] = None,
    repo_type: Annotated[
        str | None, typer.Option(help="Kind of repository for a bank: 'dataset' or 'model'. [default: dataset]")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make new repositories private.")] = False,
    results: Annotated[
        Path | None,
        typer.Option(help="What 'comem evaluate --output' wrote. [default: evaluation.json of a model, if any]"),
    ] = None,
    license: Annotated[
        str | None, typer.Option(help="Licence of a model, or of a bank's items, such as 'cc-by-sa-4.0'.")
    ] = None,
    language: Annotated[list[str] | None, typer.Option(help="Language of a model, such as 'en'; repeatable.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="What a model was trained on; repeatable.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch to push to. [default: the main one]")] = None,
    message: Annotated[str | None, typer.Option(help="First line of the commit.")] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead.")] = False,
    json: JsonOption = False,
) -> None:
    """Push a model or a memory bank to the Hub, in one commit per repository.

    A model goes with its processor, the source files that load it, and its card: README.md of the folder or of the
    repository if somebody has written one, else one that is made of what lies in the folder. Only what changed is
    uploaded; an interrupted push goes on when it is called again.

    Example:
        comem push my-model me/my-model --bank my-bank --license apache-2.0
    """
    from comem_hf.bank.format.config import CONFIG_NAME
    from comem_hf.cards.licenses import check_license
    from comem_hf.commands.common.output import print_json

    check_folder(folder)
    if license is not None:
        check_license(license)
    options = {
        "private": private or None,
        "revision": revision,
        "commit_message": message,
        "create_pr": create_pr,
    }
    if (folder / CONFIG_NAME).is_file():
        for_models = {"bank": bank, "bank-repo": bank_repo, "results": results, "language": language}
        for name, value in {**for_models, "dataset": dataset}.items():
            if value:
                raise ValueError(f"--{name} is for models, but {str(folder)!r} has a {CONFIG_NAME}.")
        pushed = [(folder, push_bank(folder, repo_id, repo_type=repo_type, license=license, **options))]
    else:
        if repo_type:
            raise ValueError(f"--repo-type is for banks, but {str(folder)!r} has no {CONFIG_NAME}.")
        if bank_repo and bank is None:
            raise ValueError("--bank-repo says where a bank goes, but no --bank is given.")
        card = {"results": results, "license": license, "languages": language or (), "datasets": dataset or ()}
        pushed = push_model(folder, repo_id, bank, bank_repo or f"{repo_id}-bank", card, options)
    if json:
        print_json([{"folder": str(path), "url": commit.pr_url or commit.commit_url} for path, commit in pushed])
        return
    for path, commit in pushed:
        typer.echo(f"Pushed {path} to {commit.pr_url or commit.commit_url}.")


def check_folder(folder: Path) -> None:
    """Raise a `ValueError` if a folder holds neither a model nor a memory bank.

    Raises:
        ValueError: If there is no such folder, or it holds something else.
    """
    from comem_hf.bank.format.config import CONFIG_NAME

    if not folder.is_dir():
        raise ValueError(f"There is no folder {str(folder)!r}.")
    if not any((folder / name).is_file() for name in (CONFIG_NAME, "config.json")):
        raise ValueError(f"{str(folder)!r} is neither a model nor a memory bank: no config.json, no {CONFIG_NAME}.")


def push_bank(folder: Path, repo_id: str, repo_type: str | None = None, license: str | None = None, **options):
    """Push a bank."""
    from comem_hf.bank import MemoryBank

    bank = MemoryBank.from_pretrained(folder)
    return bank.push_to_hub(repo_id, repo_type=repo_type or "dataset", license=license, **options)


def push_model(folder: Path, repo_id: str, bank: Path | None, bank_repo: str, card: dict, options: dict) -> list:
    """Push a model and, if given, a bank that fits it; both are checked before anything is uploaded."""
    from comem_hf.bank.encoding.fit import refuse_other_processor
    from comem_hf.bank.format.config import BankConfig
    from comem_hf.cards.bank_card import own_card
    from comem_hf.hub.describe import read_processor
    from comem_hf.hub.place import MODEL, Place
    from comem_hf.hub.push_model import ModelPublisher

    publisher = ModelPublisher(folder)
    if bank is None:
        return [(folder, publisher.push(repo_id, **card, **options))]
    config = BankConfig.load(bank)
    names = f"the model {str(folder)!r}", str(bank)
    config.refuse_other_model(publisher.memory_fingerprint, *names)
    if publisher.has_processor:
        refuse_other_processor(config, read_processor(Place(str(folder), MODEL, folder)), *names)
    own_card(bank, config)  # if it is refused, the model is not pushed either
    pushed = publisher.push(repo_id, bank_id=bank_repo, **card, **options)
    # The merge of a pull request will be another commit.
    of_model = {"model_id": pushed.repo_url.repo_id, "model_revision": None if pushed.pr_url else pushed.oid}
    return [(folder, pushed), (bank, push_bank(bank, bank_repo, **of_model, **options))]
