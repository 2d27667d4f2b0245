"""A command `comem` that starts at once: it runs in a fork of a process that has imported torch and transformers.

A page has several command lines, each in a process of its own; their imports would take longer than all they do.
"""

import contextlib
import importlib
import json
import multiprocessing
import os
import socket
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path


PREPARED = ("torch", "transformers.models.qwen2_vl.modeling_qwen2_vl")  # and nothing of ours, which pages import
CLIENT = """\
#!{python} -SE
import json, os, socket, sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode())
    server.shutdown(socket.SHUT_WR)
    sys.exit(int(server.recv(8) or 1))
"""


@contextlib.contextmanager
def prepared_command() -> Iterator[str]:
    """Starts the server, and yields the folder of its `comem`, for `PATH`."""
    for name in PREPARED:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        address = str(Path(folder, "socket"))
        listening.bind(address)
        listening.listen()
        command = Path(folder, "comem")
        command.write_text(CLIENT.format(python=sys.executable, address=address))
        command.chmod(0o755)
        server = multiprocessing.get_context("fork").Process(target=_serve, args=(listening,))
        server.start()
        try:
            yield folder
        finally:
            server.terminate()
            server.join()


def _serve(listening: socket.socket) -> None:
    while True:
        connection, _ = listening.accept()
        child = os.fork()
        if child == 0:
            os._exit(_answer(connection))
        connection.close()
        os.waitpid(child, 0)


def _answer(connection: socket.socket) -> int:
    """Runs one command line, and returns its exit code."""
    _, streams, *_ = socket.recv_fds(connection, 1, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    with connection.makefile("rb") as file:
        words, folder, environment = json.load(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    code = 1
    try:
        from comem_hf.commands import main

        main(words)
    except SystemExit as exit:
        code = exit.code
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    connection.sendall(str(code).encode())
    return code
