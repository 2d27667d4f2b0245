"""The loss with logits of answers alone is the loss with all of them, and so are its gradients."""

import copy

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM

from comem_hf.training import MemoryCollator, MemoryEncoderTrainer
from comem_hf.training.parts.freezing import trainable_parameters
from tests.training.test_train import READER


def loss_of_all_logits(model, batch, count):
    """The backbone's own loss of all logits, and the divergence from the teacher's."""
    teacher = batch.pop("teacher_inputs")
    output = model(**batch, num_items_in_batch=count)
    assert output.logits.shape[:2] == batch["labels"].shape
    loss = output.loss
    if model.reader is None:
        labels = teacher.pop("labels")
        with torch.no_grad():
            target = model.backbone(**teacher).logits[:, :-1][labels[:, 1:] != -100].log_softmax(-1)
        student = output.logits[:, :-1][batch["labels"][:, 1:] != -100].log_softmax(-1)
        divergence = F.kl_div(student, target, reduction="none", log_target=True).sum(-1)
        loss = loss + 0.5 * (divergence.mean() if count is None else divergence.sum() / count)
    return loss


@pytest.mark.parametrize("count", [None, torch.tensor(40)])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"vision_memory_config": {}},
        {"num_memory_tokens": 0, "ffn_memory_config": {"source": "vision", "num_slots": 8}},
        {"reader_prompt": "whole"},
    ],
    ids=["input", "tower", "layers without pictures", "reader"],
)
def test_loss_and_gradients_are_those_of_all_logits(
    config, count, make_trainable, tiny_processor, rows, make_arguments
):
    if "reader_prompt" in config:
        torch.manual_seed(1)
        config = {**config, "reader": AutoModelForCausalLM.from_config(READER)}
    model = make_trainable(**config).train()
    if not model.config.num_memory_tokens:
        rows = [{key: value for key, value in row.items() if key != "memories"} for row in rows]
    weight = 0.0 if model.reader is not None else 0.5
    trainer = MemoryEncoderTrainer(model=model, args=make_arguments(distillation_weight=weight))
    batch = MemoryCollator(tiny_processor, with_teacher=True)(rows)

    def alone(batch):
        if model.reader is not None:
            batch.pop("teacher_inputs")
        loss, outputs = trainer.compute_loss(model, batch, return_outputs=True, num_items_in_batch=count)
        assert outputs["logits"].shape[:1] == (int((batch["labels"][:, 1:] != -100).sum()),)
        assert outputs.get("cache") is None
        return loss

    found = []
    for compute in (lambda batch: loss_of_all_logits(model, batch, count), alone):
        model.zero_grad()
        torch.manual_seed(0)  # the same dropout
        loss = compute(copy.deepcopy(batch))
        loss.backward()
        found.append((loss.detach(), {name: p.grad for name, p in trainable_parameters(model).items()}))
    torch.testing.assert_close(found[1][0], found[0][0], atol=1e-6, rtol=0)
    for name, gradient in found[0][1].items():
        if gradient is not None:
            torch.testing.assert_close(found[1][1][name], gradient, atol=1e-6, rtol=1e-4, msg=name)


def test_a_text_that_is_learned_is_not_kept_for_going_on(make_trainable, tiny_processor, rows):
    model = make_trainable().train()
    batch = MemoryCollator(tiny_processor)(rows[:1])
    assert model(**batch).get("cache") is None
    assert model(**batch, use_cache=True).get("cache") is not None
    assert model.eval()(**batch).get("cache") is not None
