"""What a model, its configuration and its processor save is enough where this package cannot be imported."""

import builtins
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer
from transformers.dynamic_module_utils import get_imports, get_relative_imports

import comem_hf.modeling
from comem_hf import CoMemConfig, CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.conversion import convert_checkpoint
from tests.conftest import make_model
from tests.hub.conftest import ANSWER, greedy_tokens, needs_whole_copy, question_about
from tests.modeling.test_reader import make_language_model
from tests.processes.alone import run_alone


MODELING = Path(comem_hf.modeling.__file__).parent
CODE = {path.name: path.read_bytes() for path in MODELING.glob("*.py") if path.name != "__init__.py"}
MAY_IMPORT = {"PIL", "huggingface_hub", "numpy", "safetensors", "torch", "transformers"}
CONFIG_MAP = {"AutoConfig": "configuration_comem.CoMemConfig"}
MODEL = "modeling_comem.CoMemForConditionalGeneration"
MODEL_MAP = {**CONFIG_MAP, "AutoModel": MODEL, "AutoModelForImageTextToText": MODEL}
PROCESSOR_MAP = {"AutoProcessor": "processing_comem.CoMemProcessor"}


def code_in(*folders: str | Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for folder in folders for path in Path(folder).glob("*.py")}


def custom_pipelines_in(folder: str | Path) -> dict:
    return json.loads(Path(folder, "config.json").read_text())["custom_pipelines"]


def auto_map_in(folder: str | Path, file: str = "config.json") -> dict[str, str]:
    return json.loads(Path(folder, file).read_text())["auto_map"]


def test_model_and_processor_carry_all_of_modeling_as_it_is(saved):
    assert code_in(saved.full) == CODE
    assert code_in(saved.memory_only, saved.processor) == CODE
    assert "processing_comem.py" not in code_in(saved.memory_only)
    assert "modeling_comem.py" not in code_in(saved.processor)


def test_a_configuration_carries_its_own_files(tmp_path):
    CoMemConfig().save_pretrained(tmp_path)
    files = ("configuration_comem.py", "field_checks_comem.py", "site_configuration_comem.py")
    assert code_in(tmp_path) == {name: CODE[name] for name in files}
    assert auto_map_in(tmp_path) == CONFIG_MAP


def test_a_converted_checkpoint_carries_what_a_saved_one_does(saved, tmp_path):
    published = Path(__file__).parents[1] / "golden" / "qwen2_vl" / "merged_full"
    convert_checkpoint(published, tmp_path / "out", resampler={"num_attention_heads": 4, "head_dim": 16})
    assert code_in(tmp_path / "out") == code_in(saved.memory_only)
    assert auto_map_in(tmp_path / "out") == MODEL_MAP
    assert custom_pipelines_in(tmp_path / "out") == custom_pipelines_in(saved.full) != {}


def test_auto_classes_are_told_where_to_look(saved):
    assert auto_map_in(saved.full) == auto_map_in(saved.memory_only) == MODEL_MAP
    for folder in (saved.full, saved.processor):
        assert auto_map_in(folder, "processor_config.json") == PROCESSOR_MAP
        assert "AutoTokenizer" not in auto_map_in(folder, "tokenizer_config.json")


def test_modeling_imports_nothing_that_a_repository_does_not_carry():
    for path in MODELING.glob("*.py"):
        assert set(get_imports(path)) <= MAY_IMPORT | sys.stdlib_module_names, path.name
        assert {f"{name}.py" for name in get_relative_imports(path)} <= CODE.keys(), path.name


def test_where_the_package_is_installed_it_is_used_without_a_question_or_a_warning(saved, monkeypatch, caplog):
    monkeypatch.setattr(builtins, "input", lambda prompt: pytest.fail(prompt))
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    for trust in ({}, {"trust_remote_code": True}):
        assert type(AutoConfig.from_pretrained(saved.full, **trust)) is CoMemConfig
        for auto_class in (AutoModel, AutoModelForImageTextToText):
            model = auto_class.from_pretrained(saved.full, **trust)
            assert type(model) is CoMemForConditionalGeneration
        for folder in (saved.full, saved.processor):
            assert type(AutoProcessor.from_pretrained(folder, **trust)) is CoMemProcessor
        AutoTokenizer.from_pretrained(saved.full, **trust)
    assert greedy_tokens(model, CoMemProcessor.from_pretrained(saved.full), saved.picture) == saved.answer
    assert [record.getMessage() for record in caplog.records] == []


def load_and_answer(saved) -> dict:
    from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor, pipeline

    auto_classes = (AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor)
    refusals = []
    for auto_class in auto_classes:
        try:
            auto_class.from_pretrained(saved["full"])
        except ValueError as error:
            refusals.append(str(error))
    trust = {"trust_remote_code": True}
    config, model, same_model, processor = (cls.from_pretrained(saved["full"], **trust) for cls in auto_classes)
    assert type(AutoModel.from_config(config, **trust)) is type(model)
    processor_alone = AutoProcessor.from_pretrained(saved["processor"], **trust)
    memory_only = AutoModel.from_pretrained(saved["memory_only"], backbone=saved["backbone"], **trust)
    pairs = ((model, processor), (same_model, processor_alone), (memory_only, processor_alone))
    ask = pipeline("image-text-to-text", model=saved["full"], **trust)
    conversation, memories = question_about(saved["picture"])
    greedy = {"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False}
    (asked,) = ask(
        text=conversation, processor_kwargs={"memories": memories}, generate_kwargs=greedy, return_tensors=True
    )
    return {
        "answer of a pipeline": asked["generated_token_ids"][-8:].tolist(),
        "refusals": refusals,
        "classes": [type(part).__name__ for part in (config, model, same_model, processor)],
        "answers": [greedy_tokens(model, processor, saved["picture"]) for model, processor in pairs],
    }


@needs_whole_copy
def test_saved_folders_load_and_answer_where_the_package_cannot_be_imported(saved, tmp_path):
    done = run_alone(load_and_answer, asdict(saved), folder=tmp_path, uses=ANSWER)
    model = "CoMemForConditionalGeneration"
    assert done.result["classes"] == ["CoMemConfig", model, model, "CoMemProcessor"]
    assert done.result["answers"] == [saved.answer] * 3
    assert done.result["answer of a pipeline"] == saved.answer
    assert len(done.result["refusals"]) == 4
    assert all("Please pass the argument `trust_remote_code=True`" in error for error in done.result["refusals"])


SLOTS = {"num_slots": 64, "projector_hidden": 8, "scale": 1.0, "value_scale": 1.0, "vision_adapter_rank": 2}
PLACES = {
    "slots of pictures": {"num_memory_tokens": 0, "ffn_memory_config": SLOTS},
    "slots of items": {"ffn_memory_config": {**SLOTS, "source": "memory"}},
    "tower": {"num_memory_tokens": 0, "vision_memory_config": {}},
    "input and slots of pictures": {"ffn_memory_config": SLOTS},
}


def answers_of(asked, processor, picture) -> list[list[int]]:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    trust = {"trust_remote_code": True}
    processor = AutoProcessor.from_pretrained(processor, **trust)
    models = (AutoModelForImageTextToText.from_pretrained(folder, **options, **trust) for folder, options in asked)
    return [greedy_tokens(model, processor, picture, model.config.num_memory_tokens > 0) for model in models]


@needs_whole_copy
def test_memory_in_the_layers_and_readers_answer_where_the_package_cannot_be_imported(saved, tmp_path):
    answers, processor = [], CoMemProcessor.from_pretrained(saved.processor)
    for place, config in PLACES.items():
        model = make_model("qwen2_5_vl", **config)
        plain = greedy_tokens(model, processor, saved.picture, with_items=model.config.num_memory_tokens > 0)
        for parameter in model.site_parameters().values():  # what starts as no change, too
            torch.nn.init.normal_(parameter)
        model.save_pretrained(tmp_path / place)
        answers.append(greedy_tokens(model, processor, saved.picture, with_items=model.config.num_memory_tokens > 0))
        assert answers[-1] != plain, place
    model = make_model("qwen2_5_vl", reader=make_language_model("llama", width=48))
    model.save_pretrained(tmp_path / "reader")
    answers.append(greedy_tokens(model, processor, saved.picture))
    model = CoMemForConditionalGeneration.from_pretrained(saved.full)
    model.add_reader_adapter(r=2)
    for name, factor in model.reader_adapter.factors.items():
        if name.endswith("/B"):
            torch.nn.init.normal_(factor, std=0.5)
    model.eval().save_pretrained(tmp_path / "adapter")
    answers += [greedy_tokens(model, processor, saved.picture), saved.answer]
    assert answers[-2] != saved.answer
    asked = [(str(tmp_path / name), {}) for name in (*PLACES, "reader")]
    asked += [(str(tmp_path / "adapter"), {"reader": reader}) for reader in ("adapter", "plain")]
    done = run_alone(answers_of, asked, saved.processor, saved.picture, folder=tmp_path, uses=ANSWER)
    assert done.result == answers
