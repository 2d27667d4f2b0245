"""Smoothed labels: the loss by hand, and the same gradients however a batch is cut."""

import pytest
import torch
import torch.nn.functional as F
from transformers import Trainer

from comem_hf.training import MemoryCollator, MemoryEncoderTrainer, train_memory_encoder
from comem_hf.training.objectives.label_smoothing import SmoothedLoss


EPSILON = 0.1


def by_hand(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean over the labels of (1 - e) * -log p(label) + e * mean over the vocabulary of -log p."""
    losses = []
    for row in range(len(labels)):
        for position in range(1, labels.shape[1]):
            if (label := labels[row, position].item()) != -100:
                surprise = -logits[row, position - 1].double().log_softmax(dim=-1)
                losses.append((1 - EPSILON) * surprise[label] + EPSILON * surprise.mean())
    return torch.stack(losses).mean().item()


@pytest.fixture
def make_trainer(make_arguments, tiny_processor, rows, tmp_path):
    def make(model, cls=MemoryEncoderTrainer, **settings):
        args = make_arguments(label_smoothing_factor=EPSILON, **settings)
        return cls(model=model, args=args, data_collator=MemoryCollator(tiny_processor), eval_dataset=rows)

    return make


def test_the_loss_is_the_one_computed_by_hand(make_trainable, tiny_processor, rows, make_trainer):
    model = make_trainable().eval()
    batch = MemoryCollator(tiny_processor)(rows)
    labels = batch.pop("labels")
    with torch.no_grad():
        expected = by_hand(model(**batch).logits, labels)
    assert make_trainer(model, per_device_eval_batch_size=4).evaluate()["eval_loss"] == pytest.approx(
        expected, abs=1e-5
    )


def test_predictions_that_are_right_have_a_small_loss():
    labels = torch.tensor([[-100, 3, 1, 4]])
    logits = torch.zeros(1, 4, 6).scatter(2, labels.roll(-1).clamp(min=0)[..., None], 20.0)
    assert SmoothedLoss(0.0)({"logits": logits}, labels).item() < 1e-6
    assert SmoothedLoss(0.0)({"logits": logits}, labels, num_items_in_batch=torch.tensor(6)).item() < 1e-6
    assert SmoothedLoss(EPSILON)({"logits": logits}, labels).item() == pytest.approx(EPSILON * 20 * 5 / 6, abs=1e-4)


def test_a_row_without_labels_has_no_loss():
    loss = SmoothedLoss(EPSILON)({"logits": torch.randn(1, 3, 5)}, torch.full((1, 3), -100))
    assert loss.item() == 0


def test_a_loss_function_of_ones_own_comes_first(make_trainable, rows, make_arguments, tiny_processor):
    trainer = MemoryEncoderTrainer(
        model=make_trainable(),
        args=make_arguments(label_smoothing_factor=EPSILON),
        data_collator=MemoryCollator(tiny_processor),
        eval_dataset=rows,
        compute_loss_func=lambda outputs, labels, num_items_in_batch=None: outputs["logits"].sum() * 0 + 7,
    )
    assert trainer.evaluate()["eval_loss"] == 7


def test_distillation_goes_along_with_smoothed_labels(make_trainable, tiny_processor, rows, make_arguments):
    args = make_arguments(label_smoothing_factor=EPSILON, distillation_weight=1.0, max_steps=2)
    assert train_memory_encoder(make_trainable(), tiny_processor, rows, args).global_step == 2


def test_transformers_own_trainer_compares_unshifted_labels(make_trainable, tiny_processor, rows, make_trainer):
    """When this fails, transformers shifts the labels of vision-language models, too, and `SmoothedLoss` may go."""
    model = make_trainable().backbone.eval()
    batch = MemoryCollator(tiny_processor, max_memories=0)(rows)
    labels = batch["labels"].clone()
    with torch.no_grad():
        logits = model(**{name: value for name, value in batch.items() if name != "labels"}).logits
        loss = make_trainer(model, cls=Trainer).compute_loss(model, batch).item()
    unshifted = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=EPSILON)
    assert loss == pytest.approx(unshifted.item(), abs=1e-5)
    assert loss != pytest.approx(by_hand(logits, labels), rel=0.01)
