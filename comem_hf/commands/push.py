"""`comem push`: a memory bank or a model to the Hub."""

from pathlib import Path
from typing import Annotated

import typer


def push(
    folder: Annotated[Path, typer.Argument(help="Folder of a memory bank or a model.")],
    repo_id: Annotated[str, typer.Argument(help="Repository on the Hub, made if it is not there.")],
    repo_type: Annotated[
        str | None, typer.Option(help="Kind of repository for a bank: 'dataset' or 'model'. [default: dataset]")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    license: Annotated[str | None, typer.Option(help="Licence of a bank's items, such as 'cc-by-sa-4.0'.")] = None,
    revision: Annotated[str | None, typer.Option(help="Branch to push to. [default: the main one]")] = None,
    message: Annotated[str | None, typer.Option(help="First line of the commit.")] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request with a bank instead.")] = False,
) -> None:
    """Push a memory bank or a model to the Hub.

    Of a bank only files that changed are uploaded; an interrupted push goes on when it is called again.

    Example:

        comem push my-bank me/my-bank --license cc-by-sa-4.0
    """
    from comem_hf.bank import MemoryBank
    from comem_hf.bank.config import CONFIG_NAME

    if not folder.is_dir():
        raise ValueError(f"There is no folder {str(folder)!r}.")
    options = {"private": private or None, "revision": revision, "commit_message": message}
    if (folder / CONFIG_NAME).is_file():
        commit = MemoryBank.from_pretrained(folder).push_to_hub(
            repo_id, repo_type=repo_type or "dataset", license=license, create_pr=create_pr, **options
        )
    else:
        for name, value in (("repo-type", repo_type), ("license", license), ("create-pr", create_pr)):
            if value:
                raise ValueError(f"--{name} is for banks, but {str(folder)!r} has no {CONFIG_NAME}.")
        commit = _push_model(folder, repo_id, **options)
    typer.echo(f"Pushed {folder} to {commit.pr_url or commit.commit_url}.")


def _push_model(folder: Path, repo_id: str, **options):
    """Push model and processor, memory-only if the model was saved so; the second commit."""
    from .loading import load_model

    model, processor = load_model(folder)
    model.push_to_hub(repo_id, memory_only=model.config.memory_only, **options)
    return processor.push_to_hub(repo_id, **options)
