"""What the tests of this folder share."""

import pytest
from huggingface_hub import close_session


@pytest.fixture
def pushed(comem, hub, model_folder, bank_folder):
    """The commits of a model `ann/model` and its bank `ann/model-bank`."""
    assert comem("push", model_folder, "ann/model", "--bank", bank_folder)[0] == 0
    return {kind: repository.branches["main"] for (kind, _), repository in hub.repositories.items()}


@pytest.fixture
def disconnect(hub, monkeypatch):
    """Ends the Hub, as if the network were gone."""

    def end():
        hub.shutdown()
        hub.server_close()
        close_session()  # connections that are open would be served to their end

    monkeypatch.setattr(hub, "shutdown", lambda shutdown=hub.shutdown: shutdown() if hub.socket.fileno() > 0 else None)
    return end


def facts(output: str) -> dict[str, str]:
    return dict(line.split("\t")[1:] for line in output.splitlines())


def sent(hub) -> list[str]:
    return [path.rpartition("/")[2] for method, path in hub.requests if method == "GET" and "/resolve/" in path]
