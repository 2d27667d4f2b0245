"""`comem pull`: a model or a memory bank from the Hub."""

from pathlib import Path
from typing import Annotated

import typer

from comem_hf.commands.common.output import JsonOption


def pull(
    repo_id: Annotated[str, typer.Argument(help="Repository on the Hub.")],
    folder: Annotated[
        Path | None, typer.Argument(help="Where to copy it to, new or empty. [default: the cache alone]")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit. [default: the main branch]")] = None,
    repo_type: Annotated[
        str | None, typer.Option(help="'model' or 'dataset'. [default: a model repository, else a data set]")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Download a model or a memory bank, check every file, and say where it is.

    What is in the cache of the Hub's client is not downloaded again. A memory-only model fetches its backbone when it
    is loaded.

    Example:
        comem pull me/my-model my-copy
    """
    from comem_hf.commands.common.output import print_json, print_table
    from comem_hf.hub.pull import pull as pull_repository

    place, path = pull_repository(repo_id, folder, revision, repo_type)
    if json:
        print_json({"kind": place.kind, "repo_type": place.repo_type, "commit": place.commit, "folder": str(path)})
    else:
        print_table(place.kind, ("", repo_id), [("commit", place.commit), ("folder", path)])
