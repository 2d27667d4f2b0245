"""`comem app`: what is said before a page is there."""

import importlib.util
import socket

import pytest

from comem_hf.modeling.installation_comem import how_to_install


def test_without_gradio_the_extra_is_named(comem, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "gradio" else find_spec(name))
    assert comem("app") == (2, "", f"Error: The page needs gradio: {how_to_install('app')}.\n")


@pytest.mark.slow
def test_a_port_in_use_is_named(comem):
    pytest.importorskip("gradio")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        code, output, error = comem("app", "--port", port)
    assert (code, output) == (2, "")
    assert (
        error == f"Error: Cannot listen on 127.0.0.1:{port}: give a free `--port`, and an address of this machine.\n"
    )


def test_an_address_of_another_kind_is_refused(comem):
    pytest.importorskip("gradio")
    assert comem("app", "--host", "::1")[2].splitlines()[-1] == (
        "Error: `host` must be a name or an IPv4 address, got '::1'."
    )
