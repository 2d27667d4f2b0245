"""A text-only language model reads memory and encoded prompt in the backbone's place."""

import copy
import json

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    BartConfig,
    BertConfig,
    BertLMHeadModel,
    GPT2Config,
    LlamaConfig,
    MptConfig,
    Qwen2Config,
)
from transformers.generation.streamers import BaseStreamer

from comem_hf import CoMemConfig, CoMemForConditionalGeneration
from comem_hf.modeling.cache_name_comem import CACHE_NAME
from tests.conftest import TOKEN_IDS, backbone_config, make_backbone, make_model


NEW = 5
PROMPTS = ("whole", "after_vision")
VISION_TOKENS = [TOKEN_IDS["<|image_pad|>"], TOKEN_IDS["<|video_pad|>"]]
CONFIGS = {"llama": LlamaConfig, "qwen2": Qwen2Config}
# Kind and width of the reader, whose vocabulary it uses.
VARIANTS = {
    "narrow llama": ("llama", 48, "reader"),
    "llama of the same width": ("llama", 64, "reader"),
    "wide qwen2": ("qwen2", 96, "reader"),
    "published": ("qwen2", 64, "backbone"),
}


def make_language_model(kind: str = "llama", width: int = 48, seed: int = 7, vocab_size: int = 280, **config):
    """A random reader with three layers, whose answers depend on its input."""
    torch.manual_seed(seed)
    sizes = {"hidden_size": width, "intermediate_size": 80, "num_hidden_layers": 3}
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": vocab_size}
    tokens = {"bos_token_id": 256, "eos_token_id": 258, "pad_token_id": 256}
    model = AutoModelForCausalLM.from_config(CONFIGS[kind](**{**sizes, **tokens, **config}))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
    return model.eval()


def make_reading_model(variant: str = "narrow llama", family: str = "qwen2_vl", **config):
    kind, width, vocabulary = VARIANTS[variant]
    reader = make_language_model(kind, width)
    return make_model(family, reader=reader, reader_vocabulary=vocabulary, **config)


@pytest.fixture(scope="module", params=VARIANTS)
def shared_model(request):
    return make_reading_model(request.param, "qwen2_5_vl" if request.param == "wide qwen2" else "qwen2_vl")


@pytest.fixture
def model(shared_model):
    yield shared_model
    shared_model.config.reader_prompt, shared_model.config.query_vision = "whole", "backbone"


def alone(inputs, row: int) -> dict:
    """One prompt of a batch without its padding, and its items as they are."""
    keep = inputs["attention_mask"][row].bool()
    result = {name: inputs[name][row : row + 1, keep] for name in ("input_ids", "attention_mask", "mm_token_type_ids")}
    if "image_grid_thw" in inputs:
        ends = inputs["image_grid_thw"].prod(dim=1).cumsum(0)
        first = int(ends[row - 1]) if row else 0
        result["pixel_values"] = inputs["pixel_values"][first : ends[row]]
        result["image_grid_thw"] = inputs["image_grid_thw"][row : row + 1]
    return result


@torch.no_grad()
def memory_of(model, inputs, row: int) -> torch.Tensor:
    counts = inputs["memory_inputs"]["item_counts"]
    first = int(counts[:row].sum())
    return model.encode_memory(inputs["memory_inputs"])[None, first : first + int(counts[row])]


@torch.no_grad()
def rows_by_hand(model, prompt: dict, memory: torch.Tensor) -> torch.Tensor:
    """The reader's input for one prompt without padding, from the formula."""
    encoder, ids = model.memory_encoder.model, prompt["input_ids"]
    hidden = encoder(
        **prompt,
        position_ids=encoder.get_rope_index(
            ids,
            prompt["mm_token_type_ids"],
            image_grid_thw=prompt.get("image_grid_thw"),
            attention_mask=prompt["attention_mask"],
        )[0],
    ).last_hidden_state
    rows = [model.reader.project(memory.flatten(1, 2)), model.reader.project(hidden)]
    text = model.get_input_embeddings()(ids)
    if "pixel_values" in prompt:
        tower = encoder if model.config.query_vision == "encoder" else model.backbone.model
        features = torch.cat(tower.get_image_features(prompt["pixel_values"], prompt["image_grid_thw"]).pooler_output)
        text[ids == TOKEN_IDS["<|image_pad|>"]] = model.reader.project(features)
    ends = (ids[0] == TOKEN_IDS["<|vision_end|>"]).nonzero()
    if model.config.reader_prompt == "after_vision" and len(ends):
        text = text[:, int(ends[0]) + 1 :]
    return torch.cat([*rows, text], dim=1)


@torch.no_grad()
def logits_by_hand(model, rows: torch.Tensor) -> torch.Tensor:
    states = model.reader.language_model.base_model(inputs_embeds=rows).last_hidden_state
    return model.get_output_embeddings()(states)


def close(ours: torch.Tensor, theirs: torch.Tensor, atol: float = 1e-4):
    torch.testing.assert_close(ours, theirs, atol=atol, rtol=0)


def test_logits_are_those_of_the_prompt_however_much_it_is_padded(model, make_inputs):
    inputs = dict(make_inputs((0,), with_image=False))
    del inputs["mm_token_type_ids"]
    with torch.no_grad():
        expected = model(**inputs).logits
        for padded in ((200, 0), (0, 200)):
            more = {name: torch.nn.functional.pad(inputs[name], padded) for name in ("input_ids", "attention_mask")}
            logits = model(**{**inputs, **more}).logits
            assert logits.shape[1] == expected.shape[1] + 200
            found = logits[:, padded[0] : padded[0] + expected.shape[1]]
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-4)


@torch.no_grad()
@pytest.mark.parametrize("query_vision", ["backbone", "encoder"])
@pytest.mark.parametrize("reader_prompt", PROMPTS)
def test_it_reads_memory_then_the_encoded_prompt_then_the_prompt(model, make_inputs, reader_prompt, query_vision):
    model.config.reader_prompt, model.config.query_vision = reader_prompt, query_vision
    inputs = make_inputs((2,))
    rows = rows_by_hand(model, alone(inputs, 0), memory_of(model, inputs, 0))
    expected = logits_by_hand(model, rows)
    close(model(**inputs).logits, expected[:, -inputs["input_ids"].shape[1] :])
    close(model(inputs_embeds=rows).logits, expected)
    head = model.backbone if model.config.reader_vocabulary == "backbone" else model.reader.language_model
    assert model.get_output_embeddings() is head.get_output_embeddings()
    assert model.get_input_embeddings() is head.get_input_embeddings()


@torch.no_grad()
@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("reader_prompt", PROMPTS)
def test_a_prompt_of_a_batch_gets_the_logits_that_it_gets_alone(model, make_inputs, reader_prompt, padding_side):
    model.config.reader_prompt = reader_prompt
    inputs = make_inputs((2, 0, 1), padding_side=padding_side)
    logits, mask = model(**inputs).logits, inputs["attention_mask"].bool()
    assert not mask.all()
    few = model(**inputs, logits_to_keep=3).logits
    some = model(**inputs, logits_to_keep=torch.tensor([2, -1])).logits
    chosen = mask & (torch.arange(mask.shape[1]) % 5 > 2)
    close(model(**inputs, logits_to_keep=chosen).logits, logits[chosen])
    for row in range(3):
        single = model(**alone(inputs, row), memory_inputs=memory_of(model, inputs, row)).logits[0]
        close(logits[row, mask[row]], single)
        close(few[row, mask[row, -3:]], logits[row, -3:][mask[row, -3:]])
        close(some[row, [mask[row, 2], mask[row, -1]]], logits[row, [2, -1]][mask[row, [2, -1]]])


@torch.no_grad()
@pytest.mark.parametrize("reader_prompt", PROMPTS)
def test_a_prompt_of_a_batch_gets_the_tokens_that_it_gets_alone(model, make_inputs, reader_prompt):
    model.config.reader_prompt = reader_prompt
    inputs = make_inputs((2, 0, 1))
    settings = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False}
    tokens = model.generate(**inputs, **settings)
    assert torch.equal(tokens[:, :-NEW], inputs["input_ids"])
    for row in range(3):
        single = model.generate(**alone(inputs, row), memory_inputs=memory_of(model, inputs, row), **settings)
        assert tokens[row, -NEW:].tolist() == single[0, -NEW:].tolist()


@torch.no_grad()
def test_without_items_it_reads_the_prompt_alone(model, make_inputs):
    inputs = make_inputs((None, None))
    assert "memory_inputs" not in inputs
    empty = torch.zeros(2, 0, model.config.num_memory_tokens, model.config.hidden_size)
    assert torch.equal(model(**inputs).logits, model(**inputs, memory_inputs=empty).logits)
    single = alone(inputs, 0)
    close(
        model(**single).logits,
        logits_by_hand(model, rows_by_hand(model, single, empty[:1]))[:, -single["input_ids"].shape[1] :],
    )
    settings = {"max_new_tokens": NEW, "do_sample": False}
    assert torch.equal(model.generate(**inputs, **settings), model.generate(**inputs, memory_inputs=empty, **settings))


@torch.no_grad()
def test_a_prompt_without_a_picture_is_read_whole(model, make_inputs):
    inputs = make_inputs((2, 1), with_image=False)
    whole = model(**inputs).logits
    model.config.reader_prompt = "after_vision"
    assert torch.equal(model(**inputs).logits, whole)
    single = alone(inputs, 0)
    rows = rows_by_hand(model, single, memory_of(model, inputs, 0))
    close(whole[0, -single["input_ids"].shape[1] :], logits_by_hand(model, rows)[0, -single["input_ids"].shape[1] :])


@torch.no_grad()
@pytest.mark.parametrize("cache", ["dynamic", "static"])
@pytest.mark.parametrize(("do_sample", "copies"), [(False, 1), (True, 2)])
def test_decoded_tokens_follow_what_was_read(model, make_inputs, cache, do_sample, copies):
    inputs = make_inputs((2, 1))
    torch.manual_seed(3)
    output = model.generate(
        **inputs,
        max_new_tokens=NEW,
        min_new_tokens=NEW,
        do_sample=do_sample,
        num_return_sequences=copies,
        cache_implementation=cache,
        disable_compile=True,
        return_dict_in_generate=True,
        output_logits=True,
    )
    assert output.sequences.shape == (2 * copies, inputs["input_ids"].shape[1] + NEW)
    logits = torch.stack(output.logits, dim=1)
    for index, sequence in enumerate(output.sequences):
        prompt, memory = alone(inputs, index // copies), memory_of(model, inputs, index // copies)
        new = model.get_input_embeddings()(sequence[None, -NEW:-1])
        rows = torch.cat([rows_by_hand(model, prompt, memory), new], dim=1)
        close(logits[index], logits_by_hand(model, rows)[0, -NEW:])
        if not do_sample:
            allowed = logits[index].clone()
            allowed[:, model.generation_config.eos_token_id] = -torch.inf
            assert sequence[-NEW:].tolist() == allowed.argmax(-1).tolist()


@torch.no_grad()
@torch.no_grad()
def test_training_shows_the_reader_what_decoding_shows_it_and_no_answer(model, make_inputs):
    inputs = dict(make_inputs((2,)))
    length = inputs["input_ids"].shape[1]
    answer = torch.tensor([[70, 71, 72, 73]])
    output = model(**inputs, use_cache=True)
    decoded = [output.logits[:, -1]]
    for token in answer[0, :-1]:
        output = model(token[None, None], **{CACHE_NAME: output[CACHE_NAME]})
        decoded.append(output.logits[:, -1])
    ids = torch.cat([inputs["input_ids"], answer], dim=1)
    whole = {**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    del whole["mm_token_type_ids"]
    labels = torch.full_like(ids, -100).index_copy(1, torch.arange(length, length + 4), answer)
    trained = model(**whole, labels=labels).logits[:, length - 1 : -1]
    torch.testing.assert_close(trained, torch.stack(decoded, dim=1), rtol=1e-3, atol=1e-3)


def test_sizes_for_decoding_are_those_of_what_decodes(model):
    text, reader = model.config.get_text_config(), model.reader.language_model.config
    assert text.vocab_size == model.get_output_embeddings().out_features
    assert (text.hidden_size, text.num_hidden_layers) == (reader.hidden_size, reader.num_hidden_layers)


def test_scores_of_beam_search_are_those_of_its_sequences(model, make_inputs):
    inputs = make_inputs((2, 1))
    output = model.generate(
        **inputs,
        max_new_tokens=NEW,
        min_new_tokens=NEW,
        num_beams=3,
        num_return_sequences=2,
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
    )
    for index, sequence in enumerate(output.sequences):
        prompt, memory = alone(inputs, index // 2), memory_of(model, inputs, index // 2)
        new = model.get_input_embeddings()(sequence[None, -NEW:-1])
        logits = logits_by_hand(model, torch.cat([rows_by_hand(model, prompt, memory), new], dim=1))[0, -NEW:]
        scores = logits.log_softmax(-1).gather(1, sequence[-NEW:, None])
        close(output.sequences_scores[index], scores.sum() / NEW)


def test_a_streamer_sees_prompt_and_new_tokens(model, make_inputs):
    class Collector(BaseStreamer):
        def __init__(self):
            self.tokens = []

        def put(self, value):
            self.tokens += value.flatten().tolist()

        def end(self):
            pass

    collector = Collector()
    output = model.generate(**make_inputs((1,)), max_new_tokens=NEW, do_sample=False, streamer=collector)
    assert collector.tokens == output[0].tolist()


@torch.no_grad()
@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("with_mask", [True, False])
def test_a_text_goes_on_from_its_cache(model, make_inputs, with_mask, padding_side):
    inputs = make_inputs((2, 0), padding_side=padding_side)
    new = torch.tensor([[70, 71, 72], [80, 81, 82]])
    output = model(**inputs, use_cache=True)
    cache = output[CACHE_NAME]
    model(**make_inputs((1,), rows=[0]))  # another prompt in between
    ours = []
    for end in (1, 3):
        start = len(ours) and 1
        mask = torch.cat([inputs["attention_mask"], torch.ones_like(new[:, :end])], dim=1) if with_mask else None
        ours.append(model(new[:, start:end], mask, cache=cache, use_cache=True).logits)
    for row in range(2):
        rows = rows_by_hand(model, alone(inputs, row), memory_of(model, inputs, row))
        rows = torch.cat([rows, model.get_input_embeddings()(new[row : row + 1])], dim=1)
        close(torch.cat(ours, dim=1)[row], logits_by_hand(model, rows)[0, -3:])


@torch.no_grad()
@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_the_base_model_gives_the_hidden_states_of_the_logits(model, make_inputs, padding_side):
    inputs = make_inputs((2, 0, 1), padding_side=padding_side)
    hidden = model.base_model(**inputs).last_hidden_state
    close(model.get_output_embeddings()(hidden), model(**inputs).logits, atol=1e-5)
    cache = model.base_model(**inputs, use_cache=True)[CACHE_NAME]
    new = torch.tensor([[70], [71], [72]])
    hidden = model.base_model(new, cache=cache, use_cache=True).last_hidden_state
    again = model(new, cache=model(**inputs, use_cache=True)[CACHE_NAME])
    close(model.get_output_embeddings()(hidden), again.logits, atol=1e-5)


@torch.no_grad()
def test_the_loss_is_that_of_the_logits_and_hidden_states_come_along(model, make_inputs):
    model.config.reader_prompt = "after_vision"
    inputs = make_inputs((1, 2), answer="Chad")
    labels = inputs["input_ids"].clone()
    labels[:, :-4] = -100
    output = model(**inputs, labels=labels, output_hidden_states=True)
    expected = torch.nn.functional.cross_entropy(output.logits[:, -5:-1].flatten(0, 1), labels[:, -4:].flatten())
    close(output.loss, expected)
    assert output.to_tuple()[0] is output.loss
    assert len(output.hidden_states) == 4
    assert output.hidden_states[0].shape[-1] == model.reader.language_model.config.hidden_size
    half = model(**inputs, labels=labels, num_items_in_batch=16)
    close(half.loss, expected / 2)


def trained_gradients(model, inputs, **checkpointing) -> dict[str, torch.Tensor]:
    model.train()
    if checkpointing:
        name = "activation_checkpointing_enable"  # before transformers 5.24 it had the other name
        enable = getattr(model, name, None) or model.gradient_checkpointing_enable
        enable(checkpointing)
    labels = inputs["input_ids"].clone()
    labels[:, :-4] = -100
    model(**inputs, labels=labels).loss.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("encoder", ["adapter", "separate"])
def test_gradients_reach_encoder_resampler_and_projection_and_nothing_else(make_inputs, encoder):
    model = make_reading_model(encoder=encoder, lora_config={"r": 4, "lora_dropout": 0.0})
    inputs = make_inputs((2, 1), answer="Chad")
    found = trained_gradients(model, inputs)
    projection = {"reader.projection.weight", "reader.projection.bias"}
    assert model.reader_parameters().keys() == projection
    assert model.own_parameters().keys() >= projection
    assert {name for name in found if not name.startswith("memory_encoder.")} == projection
    known = model.memory_encoder_parameters().keys() | projection
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == known
    if encoder == "adapter":
        assert {name for name, gradient in found.items() if gradient.abs().max() > 0} >= {
            name for name in known if "factors" in name or name in projection
        }


@pytest.mark.parametrize("reentrant", [True, False])
def test_gradients_are_the_same_with_checkpointing(make_inputs, reentrant):
    inputs, lora = make_inputs((2, 1), answer="Chad"), {"r": 4, "lora_dropout": 0.0}
    expected = trained_gradients(make_reading_model(lora_config=lora), inputs)
    model = make_reading_model(lora_config=lora)
    found = trained_gradients(model, inputs, use_reentrant=reentrant)
    assert any(getattr(module, "gradient_checkpointing", False) for module in model.reader.modules())
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        close(found[name], gradient, atol=1e-6)


@torch.no_grad()
def test_a_new_projection_gives_rows_of_the_size_of_the_readers_embeddings():
    reader = make_language_model("qwen2", 96)
    model = CoMemForConditionalGeneration.from_backbone(make_backbone(), reader=reader)
    size = reader.get_input_embeddings().weight.pow(2).mean().sqrt()
    for scale in (0.02, 1, 30):
        rows = model.reader.project(scale * torch.randn(1000, 64))
        assert 0.9 < rows.pow(2).mean().sqrt() / size < 1.1
    assert not model.reader.projection.bias.any()
    assert make_reading_model("published").reader.projection is None


def test_memory_vectors_and_their_fingerprint_do_not_depend_on_the_reader(make_inputs):
    plain, reading = make_model(), make_reading_model()
    reading.load_memory_encoder(plain.memory_encoder_state_dict())
    assert reading.memory_fingerprint() == plain.memory_fingerprint()
    items = make_inputs((2,))["memory_inputs"]
    assert torch.equal(reading.encode_memory(items), plain.encode_memory(items))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("variant", ["narrow llama", "published"])
def test_a_full_checkpoint_gives_the_same_answers(make_inputs, tmp_path, variant, tied):
    kind, width, vocabulary = VARIANTS[variant]
    reader = make_language_model(kind, width, tie_word_embeddings=tied)
    model = make_model(reader=reader, reader_vocabulary=vocabulary, reader_prompt="after_vision")
    model.save_pretrained(tmp_path)
    inputs = make_inputs((2, 0))
    for auto_class in (AutoModel, AutoModelForImageTextToText):
        loaded = auto_class.from_pretrained(tmp_path)
        assert torch.equal(loaded(**inputs).logits, model(**inputs).logits)
    keys = load_file(tmp_path / "model.safetensors").keys()
    assert "reader.language_model.model.layers.2.mlp.up_proj.weight" in keys
    assert ("reader.projection.weight" in keys) == (variant == "narrow llama")
    assert ("reader.language_model.lm_head.weight" in keys) == (not tied)
    assert loaded.config.reader_prompt == "after_vision"
    assert loaded.memory_fingerprint() == model.memory_fingerprint()
    assert not any(parameter.requires_grad for parameter in loaded.reader.language_model.parameters())
    half = AutoModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}
    placed = AutoModel.from_pretrained(tmp_path, device_map={"": "cpu"})
    assert torch.equal(placed(**inputs).logits, model(**inputs).logits)


@pytest.fixture
def named(tmp_path):
    """A model whose backbone and reader are in folders, as configurations name them."""
    make_backbone().save_pretrained(tmp_path / "backbone")
    make_language_model().save_pretrained(tmp_path / "reader")
    model = CoMemForConditionalGeneration.from_backbone(
        str(tmp_path / "backbone"), reader=str(tmp_path / "reader"), lora_config={"r": 4}
    )
    return model.eval()


def test_a_memory_only_checkpoint_finds_its_reader_by_name(named, make_inputs, tmp_path):
    assert named.config.reader_name_or_path == str(tmp_path / "reader")
    named.save_pretrained(tmp_path / "memory", memory_only=True)
    keys = load_file(tmp_path / "memory" / "model.safetensors").keys()
    assert {key.split(".")[0] for key in keys} == {"memory_encoder", "reader"}
    assert [key for key in keys if key.startswith("reader.")] == ["reader.projection.bias", "reader.projection.weight"]
    inputs = make_inputs((2,))
    for loaded in (
        AutoModel.from_pretrained(tmp_path / "memory"),
        CoMemForConditionalGeneration.from_pretrained(tmp_path / "memory", backbone=named.backbone),
    ):
        assert torch.equal(loaded(**inputs).logits, named(**inputs).logits)
    (tmp_path / "reader").rename(tmp_path / "moved")
    with pytest.raises(OSError, match="text-only reader of .* cannot be loaded .* as `reader_name_or_path=`"):
        AutoModel.from_pretrained(tmp_path / "memory")
    loaded = AutoModel.from_pretrained(tmp_path / "memory", reader_name_or_path=str(tmp_path / "moved"))
    assert torch.equal(loaded(**inputs).logits, named(**inputs).logits)


def test_a_memory_only_checkpoint_without_a_name_holds_its_reader(named, make_inputs, tmp_path):
    named.config.reader_name_or_path = None
    named.save_pretrained(tmp_path / "memory", memory_only=True)
    (tmp_path / "reader").rename(tmp_path / "moved")
    loaded, inputs = AutoModel.from_pretrained(tmp_path / "memory"), make_inputs((2,))
    assert torch.equal(loaded(**inputs).logits, named(**inputs).logits)
    assert not any(key.startswith("backbone.") for key in load_file(tmp_path / "memory" / "model.safetensors"))


def test_another_reader_under_the_same_name_is_refused(named, tmp_path):
    named.save_pretrained(tmp_path / "memory", memory_only=True)
    make_language_model(seed=8).save_pretrained(tmp_path / "reader")
    with pytest.raises(
        ValueError, match="for a text-only reader with the checksum .* but the weights of '.*reader' h"
    ):
        AutoModel.from_pretrained(tmp_path / "memory")
    make_language_model("qwen2", 96).save_pretrained(tmp_path / "reader")
    with pytest.raises(
        ValueError, match="another text-only reader: .* model_type is qwen2, not llama; hidden_size is"
    ):
        AutoModel.from_pretrained(tmp_path / "memory")


def test_a_full_checkpoint_keeps_no_trace_of_the_readers_folder(named, tmp_path):
    named.save_pretrained(tmp_path / "full")
    assert str(tmp_path) not in (tmp_path / "full" / "config.json").read_text()
    named.config.backbone_name_or_path = "someone/tiny"
    with pytest.raises(ValueError, match="published with the Hub id of its text-only reader, but that is"):
        named.push_to_hub("ann/memory", memory_only=True)


@pytest.mark.parametrize("memory_only", [False, True])
def test_missing_left_over_and_misshapen_tensors_of_the_reader_are_refused(named, tmp_path, memory_only):
    folder = tmp_path / "saved"
    named.save_pretrained(folder, memory_only=memory_only)
    path = folder / "model.safetensors"
    tensors = load_file(path)

    def refuse(message: str, change: dict, drop: tuple = ()):
        save_file({k: v for k, v in {**tensors, **change}.items() if k not in drop}, path, metadata={"format": "pt"})
        with pytest.raises(ValueError, match=message) as error:
            AutoModel.from_pretrained(folder)
        assert "\n" not in str(error.value)

    ones = torch.ones(2)
    refuse("lacks tensors, 1 in all, such as reader.projection.bias", {}, ("reader.projection.bias",))
    refuse("has unknown tensors, 1 in all, such as reader.more.weight", {"reader.more.weight": ones})
    refuse("`reader.projection.bias` in .* has shape", {"reader.projection.bias": ones})
    norm = "reader.language_model.model.norm.weight"
    if memory_only:
        refuse(f"names its text-only reader, '.*reader', but holds tensors of one, too, such as {norm}", {norm: ones})
    else:
        refuse(f"lacks tensors, 1 in all, such as {norm}", {}, (norm,))
        refuse(f"`{norm}` in .* has shape", {norm: ones})
        refuse("such as reader.language_model.more", {"reader.language_model.more": ones})


def test_a_reader_in_a_checkpoint_of_a_model_without_one_is_refused(named, tmp_path):
    named.save_pretrained(tmp_path / "full")
    path = tmp_path / "full" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "reader_config": None}))
    with pytest.raises(ValueError, match="has unknown tensors, .* such as reader.language_model"):
        AutoModel.from_pretrained(tmp_path / "full")


def test_a_reader_that_does_not_fit_is_refused_in_a_sentence(tmp_path):
    backbone = make_backbone()
    bart = BartConfig(vocab_size=300, d_model=32, encoder_layers=1, decoder_layers=1)
    adapted = make_language_model()
    inject_adapter_in_model(LoraConfig(target_modules=["q_proj"]), adapted)
    mpt = AutoModelForCausalLM.from_config(MptConfig(d_model=64, n_heads=4, n_layers=1, vocab_size=300))
    make_backbone().save_pretrained(tmp_path / "vlm")
    headless = AutoModel.from_config(make_language_model().config)
    sizes = {"vocab_size": 300, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    seeing = BertLMHeadModel(BertConfig(**sizes, num_attention_heads=2))
    for message, reader, config in (
        ("width of the backbone's embedding table and head, 64, got 48", None, {"reader_vocabulary": "backbone"}),
        ("vocabulary of 200 tokens, but the backbone's tokenizer uses ids up to 262", 200, {}),
        ("causal language model, one of text alone such as 'qwen2', got 'bart'", AutoModel.from_config(bart), {}),
        ("causal language model, one of text alone such as 'qwen2', got 'qwen2_vl'", make_backbone(), {}),
        ("causal language model, one of text alone such as 'qwen2', got 'qwen2_vl'", str(tmp_path / "vlm"), {}),
        ("language model with its head, .* but LlamaModel has none", headless, {}),
        ("causal language model, but BertLMHeadModel sees the tokens that follow", seeing, {}),
        ("it has adapters on it, such as on 'model.layers.0.self_attn.q_proj'", adapted, {}),
        ("loaded one without adapters, got dict", {}, {}),
        ("kind of Llama and Qwen2, but MptForCausalLM takes no `position_ids`", mpt, {}),
        ("`reader_lora_config` changes how the backbone reads", None, {"reader_lora_config": {}}),
        ("`ffn_memory_config` changes how the backbone reads", None, {"ffn_memory_config": {}}),
        ("`vision_memory_config` changes how the backbone reads", None, {"vision_memory_config": {}}),
        ("`decode_position_offset` changes how the backbone reads", None, {"decode_position_offset": 5}),
        ("`num_memory_tokens` must be a positive integer with `reader_config`", None, {"num_memory_tokens": 0}),
        ("`reader_prompt` must be one of .* got 'half'", None, {"reader_prompt": "half"}),
    ):
        if reader is None or isinstance(reader, int):
            reader = make_language_model(**({} if reader is None else {"vocab_size": reader, "pad_token_id": None}))
        with pytest.raises(ValueError, match=message) as error:
            CoMemForConditionalGeneration.from_backbone(backbone, reader=reader, **config)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="`reader_config` alone would make a reader with random weights"):
        CoMemForConditionalGeneration.from_backbone(backbone, reader_config={"model_type": "qwen2"})
    with pytest.raises(ValueError, match="must be the configuration of a causal language model"):
        CoMemConfig(backbone_config(), reader_config={"model_type": "t5"})
    assert CoMemConfig(backbone_config(), reader_config=GPT2Config()).reader_vocabulary == "reader"


@torch.no_grad()
def test_what_cannot_be_read_is_refused_in_a_sentence(model, make_inputs):
    inputs = make_inputs((1,))
    ids, new = inputs["input_ids"], torch.tensor([[70]])
    embeds = model.backbone.get_input_embeddings()(ids)
    cache = model(**inputs, use_cache=True)[CACHE_NAME]
    pictures = {name: inputs[name] for name in ("pixel_values", "image_grid_thw")}
    memory = inputs["memory_inputs"]
    positions = torch.arange(ids.shape[1])[None]
    for message, call in (
        ("needs the prompt's `input_ids`", lambda: model(inputs_embeds=embeds, memory_inputs=memory)),
        ("Pictures after memory", lambda: model(new, cache=cache, **pictures)),
        ("gets pictures with the prompt's `input_ids` only", lambda: model(inputs_embeds=embeds, **pictures)),
        ("`position_ids` cannot be given with a prompt", lambda: model(ids, position_ids=positions, **pictures)),
        ("`position_ids` cannot be combined", lambda: model(**inputs, position_ids=positions)),
        ("to go on, `attention_mask` must have shape", lambda: model(new, torch.ones(1, 3), cache=cache)),
        ("must have shape \\(batch, length\\)", lambda: model(ids, torch.ones(1, 1, 4, 4), memory_inputs=memory)),
        ("`memory_inputs` belong in front", lambda: model(**inputs, cache=cache)),
        ("cannot continue", lambda: model.generate(ids, **{CACHE_NAME: cache})),
        ("`input_ids` is needed to generate with a text-only reader", lambda: model.generate(inputs_embeds=embeds)),
        (
            "prompt lookup cannot be combined with a text-only reader",
            lambda: model.generate(ids, **pictures, prompt_lookup_num_tokens=2),
        ),
        ("text-only reader cannot be resized", lambda: model.resize_token_embeddings(300)),
    ):
        with pytest.raises(ValueError, match=message) as error:
            call()
        assert "\n" not in str(error.value)


def test_what_a_checkpoint_cannot_hold_of_a_reader_is_refused(named, tmp_path):
    inject_adapter_in_model(LoraConfig(target_modules=["q_proj"]), named.reader.language_model)
    with pytest.raises(ValueError, match="cannot hold what PEFT has put on it, such as on 'model.layers.0"):
        named.save_pretrained(tmp_path / "full")


def test_a_copy_reads_as_the_model_does(model, make_inputs):
    inputs = make_inputs((1,))
    assert torch.equal(copy.deepcopy(model)(**inputs).logits, model(**inputs).logits)


def test_videos_of_a_prompt_are_read(make_inputs):
    model = make_reading_model("wide qwen2", "qwen2_5_vl")
    start, pad, end = (TOKEN_IDS[f"<|{name}|>"] for name in ("vision_start", "video_pad", "vision_end"))
    ids = torch.tensor([[70, start, pad, pad, pad, pad, end, 71, 72]])
    torch.manual_seed(0)
    video = {"pixel_values_videos": torch.randn(16, 1176), "video_grid_thw": torch.tensor([[1, 4, 4]])}
    with torch.no_grad():
        logits = model(ids, **video, second_per_grid_ts=torch.tensor([1.0])).logits
        other = model(ids, **{**video, "pixel_values_videos": -video["pixel_values_videos"]}).logits
        assert (logits - other)[:, -1].abs().max() > 1e-3
