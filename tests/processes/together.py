"""Functions of a test, run in two processes that work together, as `torchrun` would start them."""

import faulthandler
import io
import multiprocessing
import os
import socket
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from typing import Any

import torch

from comem_hf.commands import main


LONGEST = 300
"""Seconds after which a process that waits for the other one says where, and ends."""

# Processes are forked off one that has imported everything and done nothing else: three imports fewer at each start.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["comem_hf.training.train", "comem_hf.synthesis.synthesize", "tests.conftest"])


def run_together(function: Callable, *arguments: Any) -> list[Any]:
    """Runs a function in two processes at once (gloo).

    Args:
        function (`Callable`): A function of a module.
        *arguments: Its arguments, which are pickled.

    Returns:
        `list`: What it returned in the first process, and in the second.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ProcessPoolExecutor(2, mp_context=CONTEXT) as pool:
        started = [pool.submit(_run, rank, port, function, arguments) for rank in range(2)]
        return [each.result() for each in started]


def command_line(*words: Any) -> tuple[int, str]:
    """Runs `comem`, and returns its exit code and what it printed."""
    output = io.StringIO()
    try:
        with redirect_stdout(output):
            main([str(word) for word in words])
    except SystemExit as exit:
        return exit.code, output.getvalue()
    raise AssertionError("`main` returned")


def _run(rank: int, port: int, function: Callable, arguments: tuple) -> Any:
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    torch.set_num_threads(1)
    try:
        return function(*arguments)
    finally:  # the other process gets an error then, instead of waiting
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        faulthandler.cancel_dump_traceback_later()
