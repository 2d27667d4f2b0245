"""Ctrl-C at a moment that the test chooses."""

import subprocess
import sys

import pytest

from comem_hf.default import default_path


# Commands import what they need when they run; so an interrupt falls into an import more often than not.
INTERRUPTED_COMMAND = """
import os, signal, sys
import wrapt
from comem_hf.commands import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
wrapt.register_post_import_hook(lambda module: os.kill(os.getpid(), signal.SIGINT), sys.argv[1])
main(sys.argv[2:])
"""


@pytest.mark.parametrize("debug", [(), ("--debug",)])
@pytest.mark.parametrize("moment", ["typer.models", "PIL.ImageOps", "torch.nn", "transformers.configuration_utils"])
def test_ctrl_c_while_a_command_starts_ends_it_in_silence(tmp_path, moment, debug):
    command = ("ask", "--image", str(default_path("examples") / "gr.png"), "What is the capital?", *debug)
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_COMMAND, moment, *command], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_error_on_the_way_out_of_an_interrupt_is_not_shown(comem, monkeypatch):
    def fail(*arguments, **options):
        try:
            raise KeyboardInterrupt
        finally:
            raise OSError("a file that was half written")

    monkeypatch.setattr("comem_hf.commands.application.application", fail)
    assert comem("info", "anything") == (130, "", "")
