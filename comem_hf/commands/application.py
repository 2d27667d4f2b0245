"""The `comem` application with all its commands."""

import signal
import sys
import threading
from typing import Annotated

import typer

from comem_hf.commands.bank.add import add
from comem_hf.commands.bank.export import export
from comem_hf.commands.bank.get import get
from comem_hf.commands.bank.remove import remove
from comem_hf.commands.bank.update import update
from comem_hf.commands.make.build_bank import build_bank
from comem_hf.commands.make.calibrate import calibrate
from comem_hf.commands.make.convert import convert
from comem_hf.commands.make.index_words import index_words
from comem_hf.commands.make.merge import merge
from comem_hf.commands.share.info import info
from comem_hf.commands.share.pull import pull
from comem_hf.commands.share.push import push
from comem_hf.commands.training.synthesize import synthesize
from comem_hf.commands.training.train import PASSED_ON, train
from comem_hf.commands.use.app import app
from comem_hf.commands.use.ask import ask
from comem_hf.commands.use.evaluate import evaluate
from comem_hf.commands.use.search import search


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
    """Set up the clean-up that all commands share."""
    _clean_up_when_terminated(context)


def _clean_up_when_terminated(context: typer.Context) -> None:
    # A signal raises an exception instead of ending the process at once, so that half-written files are removed.
    # Ignored signals stay ignored.
    if threading.current_thread() is not threading.main_thread():
        return
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda received, frame: sys.exit(128 + received))
            context.call_on_close(lambda number=number: signal.signal(number, signal.SIG_DFL))


_SETTINGS = {train: PASSED_ON}
for _command in (
    ask,
    build_bank,
    calibrate,
    index_words,
    search,
    synthesize,
    train,
    convert,
    merge,
    push,
    pull,
    evaluate,
    info,
    app,
):
    _name = _command.__name__.replace("_", "-")
    application.command(name=_name, context_settings=_SETTINGS.get(_command))(_command)

bank = typer.Typer(
    name="bank", help="Change a memory bank, or read its items.", no_args_is_help=True, rich_markup_mode="markdown"
)
for _command in (add, update, remove, get, export):
    bank.command()(_command)
application.add_typer(bank)
