"""What is neither a folder nor a repository is told before anything is made."""

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
)

from comem_hf.conversion import convert_checkpoint, export_adapter, merge_encoder
from comem_hf.repository.readable import refuse_unreadable


FILES = ("config.json", "adapter_config.json")


def make(error: type[Exception], message: str) -> Exception:
    """An error of huggingface_hub's, whose constructors ask for the answers of various HTTP libraries."""
    made = error.__new__(error)
    made.args, made.response = (message,), None
    return made


@pytest.mark.parametrize("read", [convert_checkpoint, merge_encoder, export_adapter])
@pytest.mark.parametrize("name", ["./nosuch", "/no/such/folder", "a/b/c", ""])
def test_a_name_that_can_be_nothing_is_refused(tmp_path, read, name):
    argument = "source" if read is convert_checkpoint else "model"
    with pytest.raises(ValueError, match=rf"^`{argument}` '{name}' is neither a folder nor a Hub repository\.$"):
        read(name, tmp_path / "deep" / "out")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("read", [convert_checkpoint, merge_encoder, export_adapter])
def test_a_backbone_that_can_be_nothing_is_refused(tmp_path, read):
    with pytest.raises(ValueError, match=r"^`backbone` './nosuch' is neither a folder nor a Hub repository\.$"):
        read(tmp_path, tmp_path / "out", backbone="./nosuch")


def test_a_file_is_refused(tmp_path):
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ValueError, match="`source` .*model.safetensors' is a file; pass the folder that it lies in"):
        refuse_unreadable("source", tmp_path / "model.safetensors", FILES)


def test_offline_a_repository_that_is_not_at_hand_is_refused(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = r"^`source`: 'no/such' is neither a folder here nor .* cannot be reached \(HF_HUB_OFFLINE is set\)\.$"
    with pytest.raises(OSError, match=message):
        refuse_unreadable("source", "no/such", FILES)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (make(RepositoryNotFoundError, "404\nNot found"), "`source`: .* no repository of that name on the Hub"),
        (make(GatedRepoError, "403\nGated"), "`source`: Ask for access to 'some/one' on its page"),
        (LocalEntryNotFoundError("Cannot\nconnect."), "`source`: .* and the Hub cannot be reached"),
    ],
)
def test_the_hub_is_asked_once_and_its_answer_is_one_line(monkeypatch, answer, message):
    asked = []

    def download(*arguments):
        asked.append(arguments)
        raise answer

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(OSError, match=message) as caught:
        convert_checkpoint("some/one", "never-made")
    assert "\n" not in str(caught.value) and not str(caught.value).endswith("..")
    assert len(asked) == 1


def test_a_repository_without_a_configuration_may_be_an_adapter(monkeypatch):
    def download(*arguments):
        raise make(RemoteEntryNotFoundError, "404")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    refuse_unreadable("source", "some/adapter", FILES)
