"""Cards that are generated: what they say, and that they run."""

import json

import pytest
from huggingface_hub import ModelCard

from comem_hf import CoMemForConditionalGeneration
from comem_hf.cards import Results, check_card, render_model_card
from comem_hf.cards.generated import is_generated
from tests.conftest import make_model
from tests.modeling.test_reader import make_language_model


@pytest.fixture(scope="module")
def memory_only(tmp_path_factory):
    model = make_model()
    model.config.backbone_name_or_path, model.config.backbone_revision = "ann/backbone", "a" * 40
    folder = tmp_path_factory.mktemp("memory")
    model.save_pretrained(folder, memory_only=True)
    return folder


@pytest.fixture
def results(full, tmp_path):
    """A file as `comem evaluate --output` writes it."""
    scores = [{"way": "no memory", "exact_match": 0.25, "positions": 10.0}]
    scores.append({"way": "memory, top-k", "exact_match": 2 / 3, "positions": 34.0})
    model = CoMemForConditionalGeneration.from_pretrained(full)
    found = {
        "command": "comem evaluate --model full",
        "model": {"memory_fingerprint": model.memory_fingerprint()},
        "bank": {"items": 4},
        "data": {"file": "flags.jsonl", "sha256": "f" * 64},
        "questions": 12,
        "top_k": 3,
        "scores": scores,
    }
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(found))
    return path


def test_metadata_of_a_full_model(full):
    text = render_model_card(
        full, "ann/model", license="mit", languages=["en"], datasets=["ann/flags"], tags=["flags"]
    )
    check_card(text, "card")
    assert ModelCard(text).data.to_dict() == {
        "library_name": "comem_hf",
        "pipeline_tag": "image-text-to-text",
        "license": "mit",
        "language": ["en"],
        "datasets": ["ann/flags"],
        "tags": ["comem", "memory", "qwen2_vl", "flags"],
    }
    assert "Nothing is recorded about the training" in text and "No evaluation came with" in text
    assert "a licence" not in text


def test_a_memory_only_model_is_an_adapter_of_its_backbone(memory_only):
    text = render_model_card(memory_only, "ann/memory", has_processor=False)
    metadata = ModelCard(text).data
    assert (metadata.base_model, metadata.base_model_relation) == ("ann/backbone", "adapter")
    assert 'AutoProcessor.from_pretrained("ann/backbone")' in text
    assert f"| its revision | `{'a' * 40}` |" in text
    assert "Nobody has stated a licence" in text and metadata.license is None


def test_the_example_of_a_generated_card_runs(full, run_example):
    text = render_model_card(full, "ann/model").replace('"ann/model"', repr(str(full)))
    assert run_example(text).startswith("['")


SLOTS = {"num_slots": 24, "projector_hidden": 8, "vision_adapter_rank": 2}
PLACES = [
    ({}, ["input"], "which stand in front of the prompt"),
    ({"ffn_memory_config": {**SLOTS, "source": "memory"}}, ["feed-forward layers"], "which fill slots of the"),
    ({"ffn_memory_config": SLOTS}, ["input", "feed-forward layers"], "The pictures of a prompt leave the sequence"),
    ({"vision_memory_config": {}}, ["input", "vision tower"], "depend on the question"),
    ({"num_memory_tokens": 0, "ffn_memory_config": SLOTS}, ["feed-forward layers"], "takes no memory items"),
    ({"num_memory_tokens": 0, "vision_memory_config": {}}, ["vision tower"], "takes no memory items"),
]


@pytest.mark.parametrize("config, places, words", PLACES)
def test_the_card_says_where_memory_enters_and_its_example_runs(
    config, places, words, tiny_processor, run_example, tmp_path
):
    model = make_model(**config)
    model.save_pretrained(tmp_path / "model")
    tiny_processor.save_pretrained(tmp_path / "model")
    text = render_model_card(tmp_path / "model", "ann/model")
    check_card(text, "card")
    rows = dict(
        line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ") and line != "| | |"
    )
    assert [key.removeprefix("memory enters the ") for key in rows if key.startswith("memory enters")] == places
    assert words in text
    assert ("Without memory the model is its backbone" in text) == (words in (PLACES[0][2], PLACES[1][2]))
    assert rows["parameters of the memory"] == f"{sum(p.numel() for p in model.own_parameters().values()):,}"
    for place, part in (("feed-forward layers", model.ffn_memory), ("vision tower", model.vision_memory)):
        if part is not None:
            size = sum(parameter.numel() for parameter in part.parameters())
            assert rows[f"memory enters the {place}"].endswith(f"; {size:,} parameters")
    takes_items = model.config.num_memory_tokens > 0
    assert ("memories=memories" in text, "its parameters" in rows) == (takes_items, takes_items)
    assert ("memory fingerprint" in rows) == takes_items
    assert run_example(text.replace('"ann/model"', repr(str(tmp_path / "model")))).startswith("['")


@pytest.mark.parametrize("memory_only", [False, True])
def test_the_card_tells_of_a_text_only_reader(memory_only, tmp_path):
    model = make_model(reader=make_language_model("llama", width=48))
    if memory_only:
        model.config.backbone_name_or_path = "ann/backbone"
        model.config.reader_name_or_path = "ann/reader"
    model.save_pretrained(tmp_path, memory_only=memory_only)
    text = " ".join(render_model_card(tmp_path, "ann/model").split())
    name = "[ann/reader](https://huggingface.co/ann/reader)" if memory_only else "a `llama`"
    where = "not in this repository" if memory_only else "in this repository"
    assert f"reads memory and prompt and answers, {name}, frozen, too, and {where}." in text
    assert (
        "The backbone and the text-only reader are fetched by themselves, and refused if their" in text
    ) == memory_only
    assert "Those of the backbone and of the text-only reader hold" in text
    assert "layers of width 48; vocabulary: its own; it reads the whole prompt |" in text
    assert "Without memory the model is its backbone" not in text


def test_results_are_listed_with_their_command(full, results):
    text = render_model_card(full, "ann/model", results=Results.load(results))
    check_card(text, "card")
    first, second = ModelCard(text).data.eval_results
    assert (first.metric_value, second.metric_value) == (0.25, 0.6667)
    assert (second.metric_name, second.dataset_name) == (
        "exact match, memory, top-k",
        "12 questions, top-3 of 4 items",
    )
    assert second.dataset_args == {"top_k": 3, "command": "comem evaluate --model full"}
    assert "| memory, top-k | 0.667 | 34 |" in text
    assert "Measured by `comem evaluate --model full`." in text


def test_results_of_another_model_are_refused(memory_only, results, full, tmp_path):
    make_model(seed=5).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="The results are of another model: .* memory fingerprint [0-9a-f]{64}, and"):
        render_model_card(tmp_path, "ann/model")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"scores": [{"way": "a", "exact_match": "much"}]}'])
def test_a_file_without_results_is_refused(content, tmp_path):
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(ValueError, match="evaluation.json' holds no results of `comem evaluate --output`"):
        Results.load(tmp_path / "evaluation.json")


def test_settings_of_a_finished_training_are_told(full, tmp_path):
    for path in full.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    settings = {"learning_rate": 5e-5, "seed": 42, "bf16": True, "world_size": 2, "max_memories": None}
    settings |= {"trained_parts": ["memory_encoder", "ffn_memory"], "items_in_prompt": False}
    record = {"settings": settings, "finished": False}
    (tmp_path / "training_settings.json").write_text(json.dumps(record))
    assert "Nothing is recorded" in render_model_card(tmp_path, "ann/model")
    (tmp_path / "training_settings.json").write_text(json.dumps(record | {"finished": True}))
    history = [{"loss": 3.0, "step": 10}, {"loss": 0.5, "step": 20}, {"train_loss": 1.0}]
    state = {"global_step": 1200, "epoch": 1.5, "log_history": history}
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    text = render_model_card(tmp_path, "ann/model")
    for row in (
        "| updates | 1,200 (1.5 epochs) |",
        "| loss | 3 first, 0.5 last logged |",
        "| learning rate | 5e-05 |",
        "| trained | memory encoder, feed-forward layers |",
    ):
        assert row in text
    assert "| seed | 42 |" in text and "| precision | bf16 mixed |" in text and "items per sample" not in text


def test_a_generated_card_knows_itself_from_an_edited_one(full):
    text = render_model_card(full, "ann/model")
    assert is_generated(text) and is_generated(str(ModelCard(text))) and is_generated(text.replace("\n", "\r\n"))
    assert not is_generated(text.replace("Limits", "Bounds"))
    assert not is_generated("# A card of my own\n")
