"""The card that goes along when a model is pushed by transformers' own ways."""

import pytest
from huggingface_hub import ModelCard

from comem_hf import CoMemForConditionalGeneration
from comem_hf.cards import render_model_card
from comem_hf.cards.generated import is_generated
from tests.conftest import make_model
from tests.local_hub.card_rules import problems_of_card
from tests.local_hub.repository import File


@pytest.fixture(scope="module")
def model():
    return make_model()


def card_in(hub) -> str:
    return hub.repositories["model", "ann/model"].files("main")["README.md"].content.decode()


def test_a_pushed_model_gets_our_card(hub, model, tmp_path):
    model.push_to_hub("ann/model", tags=["flags"])
    pushed = card_in(hub)
    model.save_pretrained(tmp_path / "saved", push_to_hub=True, repo_id="ann/model")
    for text in (pushed, card_in(hub)):
        assert is_generated(text) and 'from_pretrained("ann/model")' in text
        assert f"| memory fingerprint | `{model.memory_fingerprint()}` |" in text
        assert problems_of_card(text) == []
    assert ModelCard(pushed).data.tags == ["comem", "memory", "qwen2_vl", "flags"]
    assert "_upload_modified_files" not in vars(model)


def test_a_processor_pushed_after_the_model_leaves_the_card_as_it_is(hub, model, tiny_processor):
    tiny_processor.push_to_hub("ann/model")
    assert "library_name: transformers" in card_in(hub)
    model.push_to_hub("ann/model")
    text = card_in(hub)
    assert "library_name: comem_hf" in text
    tiny_processor.push_to_hub("ann/model")
    assert card_in(hub) == text


def test_a_card_that_the_repository_has_of_its_own_stays(hub, model):
    model.push_to_hub("ann/model")
    mine = "---\nlicense: mit\n---\n\n# Mine\n"
    hub.repositories["model", "ann/model"].commit("main", {"README.md": File(mine.encode())})
    model.push_to_hub("ann/model")
    assert card_in(hub) == mine


def test_what_was_stated_in_a_generated_card_stays_when_it_is_written_anew(hub, model, tmp_path):
    model.save_pretrained(tmp_path)
    text = render_model_card(tmp_path, "ann/model", license="mit", languages=["en"], tags=["flags"])
    model.push_to_hub("ann/model")
    hub.repositories["model", "ann/model"].commit("main", {"README.md": File(text.encode())})
    model.push_to_hub("ann/model")
    metadata = ModelCard(card_in(hub)).data
    assert (metadata.license, metadata.language) == ("mit", ["en"])
    assert metadata.tags == ["comem", "memory", "qwen2_vl", "flags"]


def test_a_card_that_the_folder_has_of_its_own_is_pushed(hub, model, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "README.md").write_text("---\nlicense: mit\n---\n\n# Mine\n")
    model.save_pretrained(folder, push_to_hub=True, repo_id="ann/model")
    assert card_in(hub) == (folder / "README.md").read_text() == "---\nlicense: mit\n---\n\n# Mine\n"


def test_a_bad_card_is_refused_before_anything_is_uploaded(hub, model, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "README.md").write_text("---\nlicense: my-own\n---\n")
    with pytest.raises(ValueError, match="The metadata of the card README.md is not valid: `license` 'my-own' is not"):
        model.save_pretrained(folder, push_to_hub=True, repo_id="ann/model")
    assert hub.committed == [] and not any(method == "PUT" for method, _ in hub.requests)


def test_a_model_class_without_the_hook_pushes_the_card_of_transformers(hub, model, monkeypatch):
    monkeypatch.setattr(CoMemForConditionalGeneration, "card_writer", None)
    model.push_to_hub("ann/model")
    assert "library_name: transformers" in card_in(hub)
