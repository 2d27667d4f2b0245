"""Memory in the feed-forward layers and in the vision tower of a whole model, alone and beside memory in the input."""

import copy
import threading
from functools import partial

import pytest
import torch
from safetensors import safe_open
from torch.utils.checkpoint import checkpoint
from transformers import StaticCache
from transformers.utils import logging

from comem_hf import CoMemConfig, CoMemForConditionalGeneration
from comem_hf.modeling.cache_name_comem import CACHE_NAME
from tests.conftest import NUM_BYTES, TOKEN_IDS, make_backbone, make_model
from tests.modeling.conftest import logits


FFN = {"num_slots": 60, "scale": 1.0, "value_scale": 0.5, "dropout": 0.0, "vision_adapter_rank": 3}
SITES = {
    "ffn vision": {"num_memory_tokens": 0, "ffn_memory_config": FFN},
    "ffn memory": {"ffn_memory_config": {**FFN, "source": "memory"}},
    "vision": {"num_memory_tokens": 0, "vision_memory_config": {}},
    "input + ffn": {"ffn_memory_config": FFN},
    "input + vision": {"vision_memory_config": {}},
    "input + ffn + vision": {"ffn_memory_config": FFN, "vision_memory_config": {}},
}
SETTINGS = {"max_new_tokens": 6, "do_sample": False, "suppress_tokens": list(range(NUM_BYTES, 272))}
CLOSE = {"rtol": 1e-4, "atol": 2e-4}


def make(family: str, sites: str) -> CoMemForConditionalGeneration:
    """A model whose sites are as if they were trained."""
    model = make_model(family, **SITES[sites], lora_config={"r": 4, "lora_alpha": 8, "lora_dropout": 0.0})
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.site_parameters().values():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


@pytest.fixture(scope="module", params=SITES)
def model(family, request) -> CoMemForConditionalGeneration:
    return make(family, request.param)


@pytest.fixture
def counts(model) -> tuple[int | None, ...]:
    """Items of three prompts; `None` for a model that takes none."""
    return (2, 0, 3) if model.config.num_memory_tokens else (None,) * 3


def test_a_new_model_starts_where_the_papers_start(family, make_inputs):
    model = CoMemForConditionalGeneration.from_backbone(
        make_backbone(family), ffn_memory_config=FFN, vision_memory_config={}
    )
    assert model.ffn_memory.key_positions.weight.std() < 0.03
    assert not any(
        w.any() for w in (model.ffn_memory.value_positions.weight, model.vision_memory.gate.delta_out.weight)
    )
    model.remove_ffn_memory()
    inputs = make_inputs((None,) * 3)
    assert torch.equal(logits(model, inputs), logits(model.backbone, inputs))


def test_a_batch_gives_each_prompt_what_it_gets_alone(model, make_inputs, counts):
    batch = make_inputs(counts)
    together, tokens = logits(model, batch), model.generate(**batch, **SETTINGS)
    assert together.shape[:2] == batch["input_ids"].shape
    for row in range(3):
        alone = make_inputs(counts, rows=[row])
        length = alone["input_ids"].shape[1]
        torch.testing.assert_close(together[row : row + 1, -length:], logits(model, alone), **CLOSE)
        assert torch.equal(model.generate(**alone, **SETTINGS)[0], tokens[row, -length - 6 :])


def test_generated_tokens_and_a_text_continued_from_a_cache_agree_with_teacher_forcing(model, make_inputs, counts):
    inputs = make_inputs(counts[2:], rows=[0])
    length = inputs["input_ids"].shape[1]
    tokens = model.generate(**inputs, **SETTINGS)
    forced = {**inputs, "input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    del forced["mm_token_type_ids"]
    expected = logits(model, forced)[0]
    assert torch.equal(expected[length - 1 : -1, :NUM_BYTES].argmax(-1), tokens[0, length:])
    with torch.no_grad():
        output = model(**inputs, use_cache=True)
        for step in range(length, length + 3):
            output = model(tokens[:, step : step + 1], **{CACHE_NAME: output[CACHE_NAME]})
            torch.testing.assert_close(output.logits[0, -1], expected[step], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("order", ["given", "reversed"])
def test_slots_of_items_are_filled_alike_in_a_batch_and_alone_in_either_order(family, make_inputs, order):
    model = make(family, "ffn memory")
    model.config.memory_order = order
    together = logits(model, make_inputs((2, 0, 3)))
    for row in range(3):
        alone = logits(model, make_inputs((2, 0, 3), rows=[row]))
        torch.testing.assert_close(together[row : row + 1, -alone.shape[1] :], alone, **CLOSE)


def test_a_text_goes_on_from_the_cache_that_generate_returns(model, make_inputs, counts):
    inputs = make_inputs(counts[:1])
    length = inputs["input_ids"].shape[1]
    result = model.generate(**inputs, **SETTINGS, return_dict_in_generate=True)
    with torch.no_grad():
        ours = model(result.sequences[:, -1:], **{CACHE_NAME: result.get(CACHE_NAME)}).logits[:, -1]
    forced = {**inputs, "input_ids": result.sequences, "attention_mask": torch.ones_like(result.sequences)}
    del forced["mm_token_type_ids"]
    torch.testing.assert_close(ours, logits(model, forced)[:, -1], rtol=1e-3, atol=1e-3)
    assert length + 6 == result.sequences.shape[1]


def test_a_cache_that_was_emptied_keeps_no_memory_of_the_prompt_before(model, make_inputs, counts):
    first, second = make_inputs(counts[:1], rows=[0]), make_inputs(counts, rows=[2])
    cache = StaticCache(model.config.get_text_config(), max_cache_len=256)
    with torch.no_grad():
        model(**first, **{CACHE_NAME: cache})
        cache.reset()
        again = model(**second, **{CACHE_NAME: cache}).logits
    torch.testing.assert_close(again, logits(model, second), **CLOSE)


def test_beams_read_the_memory_of_their_prompt(model, make_inputs, counts):
    def beams(inputs):
        return model.generate(**inputs, **SETTINGS, num_beams=3, num_return_sequences=2)

    together = beams(make_inputs(counts))
    for row in range(3):
        alone = beams(make_inputs(counts, rows=[row]))
        assert torch.equal(alone, together[2 * row : 2 * row + 2, -alone.shape[1] :])


def test_states_without_the_head_are_those_of_the_prompt(model, make_inputs, counts):
    inputs = make_inputs(counts)
    with torch.no_grad():
        states = model.base_model(**inputs).last_hidden_state
        expected = model(**inputs).logits
    given = model.get_output_embeddings()(states)
    torch.testing.assert_close(given, expected)
    for kept in (1, 3, torch.tensor([0, -1])):
        with torch.no_grad():
            some = model(**inputs, logits_to_keep=kept).logits
        torch.testing.assert_close(some, expected[:, -kept:] if isinstance(kept, int) else expected[:, kept])
    mask = torch.rand(expected.shape[:2], generator=torch.Generator().manual_seed(0)) < 0.3
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs, logits_to_keep=mask).logits, expected[mask])


def labelled(inputs):
    labels = inputs["input_ids"].clone()
    labels[:, :-3] = -100
    return {**inputs, "labels": labels}


def test_gradients_reach_all_own_tensors_and_no_other_with_and_without_checkpointing(model, make_inputs, counts):
    trained = copy.deepcopy(model).train()
    inputs = labelled(make_inputs(counts, answer="abc"))
    found = []
    for checkpointing in (False, True):
        trained.zero_grad()
        if checkpointing:
            trained._set_gradient_checkpointing(True, partial(checkpoint, use_reentrant=False))
        trained(**inputs).loss.backward()
        found.append({key: p.grad.clone() for key, p in trained.own_parameters().items() if p.grad is not None})
    assert found[0].keys() == found[1].keys() == trained.own_parameters().keys()
    for key, gradient in found[0].items():
        assert gradient.abs().max() > 0, key
        torch.testing.assert_close(found[1][key], gradient, rtol=1e-3, atol=1e-5)
    assert all(parameter.grad is None for parameter in trained.backbone.parameters())


def test_the_backbone_alone_is_the_plain_one_to_the_last_bit(model, family, make_inputs):
    inputs = {name: value for name, value in make_inputs((1, 1)).items() if name != "memory_inputs"}
    plain = make_backbone(family)
    assert torch.equal(logits(model.backbone, inputs), logits(plain, inputs))
    assert model.backbone.state_dict().keys() == plain.state_dict().keys()
    model = copy.deepcopy(model)
    backbone = model.backbone
    if model.config.num_memory_tokens == 0:
        with pytest.raises(ValueError, match="would have no memory; `model.backbone` is the plain model"):
            model.remove_ffn_memory() if model.ffn_memory is not None else model.remove_vision_memory()
        return
    if model.ffn_memory is not None:
        model.remove_ffn_memory()
    if model.vision_memory is not None:
        model.remove_vision_memory()
    assert [type(module) for module in backbone.modules()] == [type(module) for module in plain.modules()]
    assert torch.equal(logits(model, inputs), logits(plain, inputs))
    assert CoMemConfig.from_dict(model.config.to_dict()).ffn_memory_config is None


@pytest.mark.parametrize("memory_only", [False, True])
def test_a_saved_model_is_the_same_and_a_memory_only_one_holds_its_own_tensors_alone(
    model, family, make_inputs, counts, tmp_path, memory_only
):
    model.save_pretrained(tmp_path, memory_only=memory_only)
    source = {"backbone": make_backbone(family)} if memory_only else {}
    loaded = CoMemForConditionalGeneration.from_pretrained(tmp_path, **source)
    assert torch.equal(logits(loaded, make_inputs(counts)), logits(model, make_inputs(counts)))
    if memory_only:
        with safe_open(tmp_path / "model.safetensors", "pt") as file:
            stored = set(file.keys())
        assert len(stored) == len(model.own_parameters())
        assert {key.split(".")[0] for key in stored} <= {"memory_encoder", "ffn_memory", "vision_memory"}


def test_missing_and_left_over_tensors_of_sites_are_refused(family, tmp_path):
    model = make(family, "input + ffn")
    tensors = model.state_dict()
    del tensors["ffn_memory.key_positions.weight"]
    model.save_pretrained(tmp_path / "missing", state_dict=tensors)
    with pytest.raises(ValueError, match="lacks tensors, 1 in all, such as ffn_memory.key_positions.weight"):
        CoMemForConditionalGeneration.from_pretrained(tmp_path / "missing")
    model.save_pretrained(tmp_path / "more")
    config = CoMemConfig.from_pretrained(tmp_path / "more")
    config.ffn_memory_config = None
    config.save_pretrained(tmp_path / "more")
    with pytest.raises(
        ValueError,
        match=r"has unknown tensors, .* such as ffn_memory.* \(does its configuration lack `ffn_memory_config`\?\)",
    ):
        CoMemForConditionalGeneration.from_pretrained(tmp_path / "more")


def test_sites_can_be_added_to_a_trained_model_and_start_as_it_is(family, make_inputs):
    model = make_model(family)
    inputs, vectors = make_inputs((2, 1)), model.memory_fingerprint()
    before = logits(model, inputs)
    model.add_vision_memory()
    torch.testing.assert_close(logits(model, inputs), before, rtol=1e-5, atol=1e-5)
    first = model.vision_memory
    model.add_ffn_memory(source="memory", num_slots=30)
    assert model.vision_memory is first and model.ffn_memory.num_slots == 30
    assert all(parameter.requires_grad for parameter in model.site_parameters().values())
    assert model.memory_fingerprint() == vectors  # banks of the model go on to fit
    with pytest.raises(ValueError, match="has `ffn_memory_config` already; remove it first with `remove_ffn_memory"):
        model.add_ffn_memory()


def test_scales_may_be_changed_on_a_loaded_model_and_in_a_copy(family, make_inputs):
    model = make(family, "ffn memory")
    inputs = make_inputs((1,))
    copied = copy.deepcopy(model)
    copied.config.ffn_memory_config["scale"] = 0.0
    prompt = {name: value for name, value in inputs.items() if name != "memory_inputs"}
    assert torch.equal(logits(copied, inputs), logits(model.backbone, prompt))
    assert not torch.allclose(logits(model, inputs), logits(copied, inputs), atol=1e-2)


def test_two_threads_read_each_its_own_memory(model, make_inputs, counts):
    inputs = [make_inputs(counts, rows=rows) for rows in ([0, 2], [1, 2])]
    expected = [logits(model, one) for one in inputs]
    barrier, wrong = threading.Barrier(2), []

    def work(number: int):
        barrier.wait()
        wrong.extend(number for _ in range(6) if not torch.equal(logits(model, inputs[number]), expected[number]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_prompt_without_picture_reads_the_learned_slots_and_no_vision_memory(model, family, make_inputs):
    inputs = {name: value for name, value in make_inputs((1, 1), with_image=False).items() if name != "memory_inputs"}
    plain = logits(make_backbone(family), inputs)
    if model.config.ffn_source == "vision":
        assert not torch.allclose(logits(model, inputs), plain, atol=1e-2)
        with torch.no_grad():  # exactly: K is P_k and V is P_v
            features = torch.zeros(2, 0, 64)
            memory = model.ffn_memory(features, torch.zeros(2, 0, dtype=torch.bool))
            expected = model.backbone(**inputs, ffn_memory=memory).logits
        torch.testing.assert_close(logits(model, inputs), expected, **CLOSE)
    else:
        assert torch.equal(logits(model, inputs), plain)


def test_pictures_in_feed_forward_layers_leave_no_position_behind(family, make_inputs):
    model = make(family, "ffn vision")
    with_picture, without = make_inputs((None,)), make_inputs((None,), with_image=False)
    caches = [model(**inputs, use_cache=True)[CACHE_NAME] for inputs in (with_picture, without)]
    assert caches[0].get_seq_length() == caches[1].get_seq_length() == without["input_ids"].shape[1]


def test_the_alignment_loss_is_added_in_training_only(family, make_inputs):
    model = make(family, "vision")
    inputs = labelled(make_inputs((None,) * 2, answer="abc"))
    with torch.no_grad():
        evaluated, trained = model(**inputs).loss, model.train()(**inputs).loss
        model.config.vision_memory_config["alignment_weight"] = 0.0
        assert torch.equal(model(**inputs).loss, evaluated)
        halved = model(**inputs, num_items_in_batch=torch.tensor(12)).loss
        model.config.vision_memory_config["alignment_weight"] = 0.1
        accumulated = model(**inputs, num_items_in_batch=torch.tensor(12)).loss
    assert 0 < trained - evaluated <= 0.2  # a weight of 0.1 times 1 - cosine
    torch.testing.assert_close(accumulated - halved, (trained - evaluated) / 2)  # 6 of 12 tokens are in this batch


def test_what_follows_a_picture_that_left_is_predicted_where_it_was(family, make_inputs):
    model = make(family, "ffn vision")
    inputs = make_inputs((None,))
    is_picture = inputs["input_ids"][0] == TOKEN_IDS["<|image_pad|>"]
    found = logits(model, inputs)[0]
    before = found[is_picture.nonzero()[0, 0] - 2]  # the token before the picture's start
    torch.testing.assert_close(found[is_picture], before.expand(int(is_picture.sum()), -1))
    ends = {name: inputs[name][:, : is_picture.nonzero()[-1, 0] + 2] for name in ("input_ids", "attention_mask")}
    prompt = {**ends, **{name: inputs[name] for name in ("pixel_values", "image_grid_thw")}}
    token = model.generate(**prompt, **{**SETTINGS, "max_new_tokens": 1})[0, -1]
    assert logits(model, prompt)[0, -1, :NUM_BYTES].argmax() == token


def test_embedded_prompts_are_read_as_their_ids_are(model, make_inputs, counts):
    inputs = dict(make_inputs(counts))
    expected = logits(model, inputs)
    inputs["inputs_embeds"] = model.get_input_embeddings()(inputs.pop("input_ids"))
    torch.testing.assert_close(logits(model, inputs), expected, **CLOSE)


def test_a_site_that_cannot_be_added_leaves_the_other_as_it_was(family, make_inputs):
    model = make(family, "input + vision")
    inputs = make_inputs((1,))
    expected = logits(model, inputs)
    model.backbone.model.language_model.layers[1].compile(backend="eager")
    with pytest.raises(ValueError, match="that is compiled cannot change; compile the model after this"):
        model.add_ffn_memory(source="memory", num_slots=30)
    assert model.ffn_memory is None and model.config.ffn_memory_config is None
    torch.testing.assert_close(logits(model, inputs), expected, **CLOSE)
    model = make(family, "ffn memory")
    model._set_gradient_checkpointing(True, partial(checkpoint, use_reentrant=False))
    model.add_vision_memory()
    model = make_model(family)
    model._set_gradient_checkpointing(True, partial(checkpoint, use_reentrant=True))
    with pytest.raises(ValueError, match="`use_reentrant` must be False with memory in the feed-forward layers"):
        model.add_vision_memory()


def test_layers_that_another_model_has_put_back_are_noticed(family, make_inputs):
    backbone = make_backbone(family)
    kept, removed = (
        CoMemForConditionalGeneration.from_backbone(backbone, ffn_memory_config=FFN, vision_memory_config={})
        for _ in range(2)
    )
    removed.remove_vision_memory()
    logits(kept, make_inputs((1,)))  # the blocks still take what pictures in the feed-forward layers need
    removed.remove_ffn_memory()
    with pytest.raises(ValueError, match="another model that shares this backbone has removed its own"):
        kept(**make_inputs((1,)))


def test_training_without_labels_is_warned_of_and_copies_of_peft_are_not_saved(family, make_inputs, tmp_path, caplog):
    peft = pytest.importorskip("peft")
    model = make(family, "vision").train()
    logger = logging.get_logger("comem_hf.modeling.memory_sites_comem")
    logger.warning_once.cache_clear()
    logger.addHandler(caplog.handler)
    model(**make_inputs((None,)))
    logger.removeHandler(caplog.handler)
    assert "is being trained without `labels`" in caplog.text
    settings = peft.LoraConfig(target_modules=["q_proj"], modules_to_save=["vision_memory"])
    peft.inject_adapter_in_model(settings, model)
    with pytest.raises(ValueError, match="`modules_to_save` holds a trained copy of 'vision_memory'"):
        model.save_pretrained(tmp_path, memory_only=True)


def test_what_cannot_be_done_is_refused_in_a_sentence(family, make_inputs):
    inputs = make_inputs((2,))
    with pytest.raises(ValueError, match="no memory encoder, as its `num_memory_tokens` is 0: it takes no `memory_in"):
        make(family, "vision")(**inputs)
    with pytest.raises(ValueError, match="no memory encoder"):
        make(family, "ffn vision").encode_memory(inputs["memory_inputs"])
    few = make_model(family, num_memory_tokens=0, ffn_memory_config={"num_slots": 2})
    pictures = {name: value for name, value in inputs.items() if name != "memory_inputs"}
    with pytest.raises(
        ValueError,
        match=r"The pictures of a prompt have 4 vectors .*\['num_slots'\]` is 2; give fewer or smaller pictures",
    ):
        few(**pictures)
    items = make_model(family, ffn_memory_config={"source": "memory", "num_slots": 15})
    with pytest.raises(ValueError, match="The items of a prompt have 16 vectors .* is 15; give fewer items"):
        items.generate(**inputs)
    seeing = make(family, "vision")
    with pytest.raises(
        ValueError, match="features of pictures depend on the question and cannot be computed or cached"
    ):
        seeing.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"])
    with pytest.raises(ValueError, match="`use_reentrant` must be False with memory in the feed-forward layers"):
        seeing._set_gradient_checkpointing(True, partial(checkpoint, use_reentrant=True))
    cut = {**pictures, "input_ids": pictures["input_ids"][:, -20:], "attention_mask": torch.ones(1, 20)}
    del cut["mm_token_type_ids"]
    with pytest.raises(ValueError, match="tokens for pictures, but the pictures have 4: prompts must not be cut"):
        seeing(**cut)
    with torch.no_grad():
        cache = seeing(**make_inputs((None,), with_image=False), use_cache=True)[CACHE_NAME]
    with pytest.raises(ValueError, match="Pictures cannot be added to a text in .*; pass the whole text anew"):
        seeing(**pictures, **{CACHE_NAME: cache})
    with pytest.raises(ValueError, match="`position_ids` cannot be combined with memory"):
        seeing(**pictures, position_ids=torch.zeros(3, 1, 5))
