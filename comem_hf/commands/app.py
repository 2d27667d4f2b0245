"""The `comem` application: every command that works, and no other."""

from typing import Annotated

import typer

from .ask import ask
from .build_bank import build_bank
from .convert import convert
from .evaluate import evaluate
from .info import info
from .merge import merge
from .search import search
from .train import train


app = typer.Typer(
    name="comem",
    help="Continuous memory for vision-language models: ask about pictures with the help of a memory bank.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@app.callback()
def common(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error. Works at any place.")
    ] = False,
) -> None:
    pass


for _command in (ask, build_bank, search, train, convert, merge, evaluate, info):
    app.command(name=_command.__name__.replace("_", "-"))(_command)
