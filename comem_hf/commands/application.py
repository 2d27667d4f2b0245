"""The `comem` application: every command that works, and no other."""

import signal
import sys
import threading
from typing import Annotated

import typer

from .app import app
from .ask import ask
from .build_bank import build_bank
from .convert import convert
from .evaluate import evaluate
from .info import info
from .merge import merge
from .pull import pull
from .push import push
from .search import search
from .train import train


application = typer.Typer(
    name="comem",
    help="Continuous memory for vision-language models: ask about pictures with the help of a memory bank.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


@application.callback()
def common(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error. Works at any place.")
    ] = False,
) -> None:
    _clean_up_when_terminated(context)


def _clean_up_when_terminated(context: typer.Context) -> None:
    # An exception, and not the end at once: what was half written gets removed. A signal that is ignored stays so.
    if threading.current_thread() is not threading.main_thread():
        return
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda received, frame: sys.exit(128 + received))
            context.call_on_close(lambda number=number: signal.signal(number, signal.SIG_DFL))


for _command in (ask, build_bank, search, train, convert, merge, push, pull, evaluate, info, app):
    application.command(name=_command.__name__.replace("_", "-"))(_command)
