"""`comem train`, from folders and files."""

import copy
import json

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor
from comem_hf.commands.training.train import train
from comem_hf.training.parts.freezing import PARTS
from tests.training.conftest import needs_muon


@pytest.fixture
def backbone_dir(tiny_backbone, tiny_processor, tmp_path):
    """A plain backbone as it comes from the Hub: model, image processor and tokenizer."""
    folder = tmp_path / "backbone"
    copy.deepcopy(tiny_backbone).save_pretrained(folder)
    tiny_processor.image_processor.save_pretrained(folder)
    tiny_processor.tokenizer.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(tiny_processor.chat_template)
    return folder


@pytest.fixture
def run(backbone_dir, data_file, tmp_path):
    """Runs the command for two updates."""

    def run(**options):
        defaults = {"model": str(backbone_dir), "data": data_file, "output_dir": tmp_path / "out", "max_steps": 2}
        words = []
        for name, value in {**defaults, "batch_size": 2, "gradient_accumulation": 1, **options}.items():
            option = f"--{name.replace('_', '-')}"
            for one in value if isinstance(value, list) else [value]:
                words += [option] if one is True else [option, str(one)]
        train(words)
        return CoMemForConditionalGeneration.from_pretrained(tmp_path / "out")

    return run


def test_backbone_folder_becomes_a_trained_model(run, tiny_backbone, tmp_path, capsys):
    model = run(lora_rank=2, num_memory_tokens=4)
    assert (model.config.lora_config["r"], model.config.lora_config["lora_alpha"]) == (2, 32)
    assert model.config.num_memory_tokens == 4
    assert CoMemProcessor.from_pretrained(tmp_path / "out").chat_template
    for name, tensor in tiny_backbone.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], tensor), name
    assert "4 samples; trainable parameters: " in capsys.readouterr().out


def test_trained_model_is_trained_further(run, tmp_path):
    first = run()
    (tmp_path / "out").rename(tmp_path / "first")
    second = run(model=str(tmp_path / "first"), learning_rate=1e-2)
    name, tensor = next(iter(first.memory_encoder_parameters().items()))
    assert not torch.equal(tensor, second.memory_encoder_parameters()[name])


def test_the_reader_is_trained_on_request_and_trained_further(run, tiny_backbone, tmp_path):
    model = run(train_reader=True, lora_rank=2, learning_rate=1e-2)
    assert (model.config.reader_lora_config["r"], model.config.reader_lora_config["merged"]) == (2, True)
    weight = "model.language_model.layers.0.self_attn.q_proj.weight"
    before = tiny_backbone.state_dict()
    assert not torch.equal(model.backbone.state_dict()[weight], before[weight])
    plain = CoMemForConditionalGeneration.from_pretrained(tmp_path / "out", reader="plain")
    for name, tensor in before.items():
        assert torch.equal(plain.backbone.state_dict()[name], tensor), name
    (tmp_path / "out").rename(tmp_path / "first")
    further = run(model=str(tmp_path / "first"), train_reader=True, learning_rate=1e-2)
    for name, tensor in model.reader_adapter.named_parameters():
        assert not torch.equal(further.reader_adapter.get_parameter(name), tensor), name
    assert further.config.backbone_checksum == model.config.backbone_checksum is not None


def test_same_command_twice_gives_the_same_model(run, tmp_path):
    first = run().memory_encoder_parameters()
    (tmp_path / "out").rename(tmp_path / "first")
    for name, tensor in run().memory_encoder_parameters().items():
        assert torch.equal(tensor, first[name]), name


@needs_muon
def test_attention_and_optimizer_are_chosen(run, monkeypatch):
    chosen = []
    monkeypatch.setattr(
        "comem_hf.commands.training.run.train_memory_encoder",
        lambda model, processor, dataset, args, **_: chosen.extend(
            (model.backbone.config._attn_implementation, model.memory_encoder.model.config._attn_implementation, args)
        ),
    )
    with pytest.raises(OSError, match="out"):  # nothing was saved
        run(attn_implementation="eager", muon_learning_rate=1e-3)
    assert chosen[:2] == ["eager", "eager"]
    assert chosen[2].muon_learning_rate == 1e-3


def test_new_encoder_options_on_a_trained_model_are_refused(run, tmp_path):
    run()
    with pytest.raises(ValueError, match="has a memory encoder already; --lora-rank can"):
        run(model=str(tmp_path / "out"), output_dir=tmp_path / "second", lora_rank=4)
    assert not (tmp_path / "second").exists()


def test_bad_data_is_refused_before_anything_is_written(run, data_file, tmp_path):
    rows = [json.loads(line) for line in data_file.read_text().splitlines()]
    for change, message in [
        ({"image": "none.png"}, r"train.jsonl, row 3: `image` names no file"),
        ({"question": ""}, r"train.jsonl, row 3: `question` must be a text"),
        ({"answer": None}, r"train.jsonl, row 3: `answer` must be a text"),
        ({"memories": [{}]}, r"train.jsonl, row 3: `memories\[0\]` is no memory item"),
    ]:
        changed = [*rows[:2], {**rows[2], **change}, rows[3]]
        data_file.write_text("\n".join(json.dumps(row) for row in changed))
        with pytest.raises(ValueError, match=message):
            run()
    data_file.write_text("\n".join(json.dumps({**row, "memories": []}) for row in rows))
    with pytest.raises(ValueError, match="has memory items"):
        run()
    assert not (tmp_path / "out").exists()


def test_unreadable_image_stops_the_run_with_its_name(run, data_file):
    (data_file.parent / "2.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"train.jsonl, row 3: .*2.png' is not a readable picture"):
        run()


# Memory in the layers

SLOTS = '{"num_slots": 24, "projector_hidden": 8, "source": "%s"}'


def test_new_places_on_a_backbone_are_trained(run, data_file):
    model = run(ffn_memory=SLOTS % "memory", vision_memory="{}", learning_rate=1e-2)
    assert (model.config.ffn_memory_config["num_slots"], model.config.ffn_source) == (24, "memory")
    assert model.config.vision_memory_config["pooling"] == "mean_max"
    assert model.ffn_memory.value_positions.weight.any()
    assert model.vision_memory.gate.delta_out.weight.any()


def test_a_model_without_a_memory_encoder_is_trained_on_rows_without_items_or_with_items_in_the_prompt(run, data_file):
    options = {"num_memory_tokens": 0, "ffn_memory": SLOTS % "vision"}
    with pytest.raises(ValueError, match="train.jsonl, row 1 has memory items, .*`--items-in-prompt`"):
        run(**options)
    model = run(**options, items_in_prompt=True)
    assert model.memory_encoder_parameters() == {} and model.ffn_memory.value_positions.weight.any()
    rows = [json.loads(line) for line in data_file.read_text().splitlines()]
    data_file.write_text("\n".join(json.dumps({**row, "memories": []}) for row in rows))
    run(**options, output_dir=data_file.parent / "second")


def test_a_new_place_on_a_trained_model_is_trained_alone(run, tmp_path):
    first = run(lora_rank=2)
    (tmp_path / "out").rename(tmp_path / "first")
    further = {"model": str(tmp_path / "first"), "learning_rate": 1e-2}
    second = run(**further, ffn_memory=SLOTS % "memory", only=["ffn-memory"])
    assert second.ffn_memory.value_positions.weight.any()
    assert second.memory_fingerprint() == first.memory_fingerprint()  # banks stay
    (tmp_path / "out").rename(tmp_path / "second")
    third = run(
        **{**further, "model": str(tmp_path / "second")}, vision_memory="{}", only=["vision-memory", "ffn-memory"]
    )
    assert third.memory_fingerprint() == first.memory_fingerprint()
    for name, tensor in second.ffn_memory.named_parameters():
        assert not torch.equal(third.ffn_memory.get_parameter(name), tensor), name
    assert third.vision_memory.gate.delta_out.weight.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ffn_memory": "{slots: 3}"}, "`--ffn-memory` must be a JSON object, such as '{}', got '{slots: 3}'"),
        ({"vision_memory": "3"}, "`--vision-memory` must be a JSON object, such as '{}', got '3'"),
        ({"resampler": "[1]"}, r"`--resampler` must be a JSON object, such as '{}', got '\[1\]'"),
        ({"vision_memory": ""}, "`--vision-memory` must be a JSON object, such as '{}', got ''"),
        ({"ffn_memory": '{"slots": 3}'}, "ffn_memory_config.*'slots'"),
        (
            {"ffn_memory": '{"num_slots": -1}'},
            r"`ffn_memory_config\['num_slots'\]` must be a positive integer, got -1",
        ),
        ({"ffn_memory": '{"num_slots": 4, "source": "memory"}'}, "must be at least `num_memory_tokens`, 8"),
        ({"num_memory_tokens": 0}, "the model would have no memory"),
        ({"only": ["other_slots"]}, "must be among memory-encoder, adapter, .* got 'other-slots'"),
        ({"train_reader": True, "only": ["vision-memory"]}, "`--train-reader` trains .* add `--only reader-adapter`"),
        (
            {"num_memory_tokens": 0, "vision_memory": "{}", "lora_rank": 4},
            "`--lora-rank`, .* but `--num-memory-tokens` is 0, so there is no encoder: leave them out",
        ),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_read(options, message, run, data_file, tmp_path, monkeypatch):
    for cls in (CoMemForConditionalGeneration, CoMemProcessor):
        monkeypatch.setattr(cls, "from_pretrained", lambda *args, **kwargs: pytest.fail("something was loaded"))
    data_file.unlink()
    with pytest.raises(ValueError, match=message):
        run(**options)
    assert not (tmp_path / "out").exists()


def test_a_part_that_the_model_lacks_is_named_as_it_is_typed(run):
    with pytest.raises(ValueError, match="has no 'vision-memory' to train, but memory-encoder; name one of these"):
        run(only=["vision-memory"])


def test_the_reader_alone_is_trained_on_request(run):
    model = run(train_reader=True, only=["reader-adapter"], learning_rate=1e-2, lora_rank=2)
    assert any(name.endswith("/B") and tensor.any() for name, tensor in model.reader_adapter.named_parameters())


def test_a_text_only_reader_is_not_trained_by_the_option_for_the_backbone(
    run, tiny_backbone, tiny_processor, tmp_path
):
    torch.manual_seed(0)
    reader = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=272,
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
        )
    )
    model = CoMemForConditionalGeneration.from_backbone(copy.deepcopy(tiny_backbone), reader=reader)
    model.save_pretrained(tmp_path / "first")
    tiny_processor.save_pretrained(tmp_path / "first")
    with pytest.raises(ValueError, match="`--train-reader` is for models whose backbone answers; this one has a text"):
        run(model=str(tmp_path / "first"), train_reader=True)
    assert not (tmp_path / "out").exists()


def test_a_backbone_without_a_processor_is_refused(run, backbone_dir, tmp_path):
    (backbone_dir / "preprocessor_config.json").unlink()
    with pytest.raises(ValueError, match="backbone' has no processor; save the backbone's beside it"):
        run()
    assert not (tmp_path / "out").exists()


def test_the_help_names_every_part():
    assert all(part.replace("_", "-") in train.__doc__ for part in PARTS)


def test_a_place_that_a_model_has_is_not_made_again(run, tmp_path):
    run(vision_memory="{}")
    (tmp_path / "out").rename(tmp_path / "first")
    with pytest.raises(ValueError, match="has `vision_memory_config` already; leave out `--vision-memory` to go on"):
        run(model=str(tmp_path / "first"), vision_memory="{}")


def test_rows_without_items_are_refused_only_where_something_learns_from_items(run, data_file, tmp_path):
    rows = [json.loads(line) for line in data_file.read_text().splitlines()]
    data_file.write_text("\n".join(json.dumps({**row, "memories": []}) for row in rows))
    options = {"ffn_memory": SLOTS % "memory", "vision_memory": "{}"}
    with pytest.raises(ValueError, match="nothing for memory-encoder and ffn-memory to learn"):
        run(**options)
    with pytest.raises(ValueError, match="nothing for ffn-memory to learn"):
        run(**options, only=["ffn-memory", "vision-memory"])
    run(**options, only=["vision-memory"])
