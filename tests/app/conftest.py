"""The page as it is served: `comem app` in a process of its own, on the embedded default."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from comem_hf.app import Comparer
from comem_hf.default import default_path


# Runs `comem` and writes down whom the process connects to.
WATCHED = """
import signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

def watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        print("connected to", arguments[1][0], file=sys.stderr, flush=True)

sys.addaudithook(watch)
from comem_hf.commands import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="session")
def comparer() -> Comparer:
    from comem_hf.commands.common.loading import load_model, open_bank

    model, processor = load_model(None)
    return Comparer(model, processor, open_bank(None).attach(model, processor))


@pytest.fixture(scope="session")
def greece():
    return default_path("examples") / "gr.png"


@pytest.fixture(scope="session")
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def address(free_port, tmp_path_factory):
    """Where the page is."""
    pytest.importorskip("gradio", reason="the page needs gradio: the extra `app`")
    folder = tmp_path_factory.mktemp("temporary")
    command = [sys.executable, "-c", WATCHED, "app", "--port", str(free_port)]
    environment = {**os.environ, "TMPDIR": str(folder)}
    log = tmp_path_factory.mktemp("log") / "stderr"
    with log.open("w") as stderr:
        server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)
        line = server.stdout.readline()  # printed when the page can be opened; empty if the process has ended
        assert line.startswith(f"The page is at http://127.0.0.1:{free_port}/"), log.read_text()
        yield f"http://127.0.0.1:{free_port}"
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=30)
    assert server.returncode == 0, log.read_text()
    connections = {line for line in log.read_text().splitlines() if line.startswith("connected to")}
    assert connections == {"connected to 127.0.0.1"}
    assert not list(folder.glob("comem-*")), "uploads were left behind"
