"""Mean embeddings of questions and answers, and the distance of a memory from its answer."""

import pytest
import torch

from comem_hf.modeling.alignment_loss_comem import alignment_loss, answer_mean, mean_of_images, question_mean


EMBEDS = torch.arange(24.0).reshape(2, 4, 3)
IS_TEXT = torch.tensor([[True, False, True, True], [False, True, True, True]])
LABELS = torch.tensor([[-100, -100, -100, 7], [-100, 5, 6, 7]])


def test_the_question_is_the_text_without_labels_or_the_first_text_token():
    expected = torch.stack([(EMBEDS[0, 0] + EMBEDS[0, 2]) / 2, EMBEDS[1, 1]])
    assert torch.allclose(question_mean(EMBEDS, IS_TEXT, LABELS), expected)


def test_without_labels_the_question_is_all_text():
    expected = torch.stack([EMBEDS[0, [0, 2, 3]].mean(0), EMBEDS[1, 1:].mean(0)])
    assert torch.allclose(question_mean(EMBEDS, IS_TEXT), expected)


def test_the_answer_is_the_text_with_labels_and_not_valid_without():
    labels = LABELS.clone()
    labels[1] = -100
    means, valid = answer_mean(EMBEDS, IS_TEXT, labels)
    assert torch.allclose(means, torch.stack([EMBEDS[0, 3], EMBEDS[1, 1]]))
    assert valid.tolist() == [True, False]


def test_half_precision_sums_up_long_texts():
    embeds = torch.ones(1, 3000, 2, dtype=torch.bfloat16)
    assert torch.equal(question_mean(embeds, torch.ones(1, 3000, dtype=torch.bool)), embeds[:, 0])


def test_the_mean_over_images_is_that_of_each_sample():
    means, has_image = mean_of_images(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([2, 0, 2]), 3)
    assert means.tolist() == [[3.0], [0.0], [3.0]] and has_image.tolist() == [True, False, True]


def test_samples_without_answer_or_image_do_not_count():
    projected = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    answers = torch.tensor([[0.0, 5.0], [3.0, 0.0], [1.0, 0.0]])
    samples = torch.tensor([0, 0, 1])  # the mean of sample 0 is at 45 degrees, sample 1 is at 90, sample 2 has none
    loss = alignment_loss(projected, samples, answers, torch.tensor([True, True, True]))
    assert loss.item() == pytest.approx(((1 - 0.5**0.5) + 1) / 2)
    loss = alignment_loss(projected, samples, answers, torch.tensor([True, False, True]))
    assert loss.item() == pytest.approx(1 - 0.5**0.5)


@pytest.mark.parametrize("projected", [torch.zeros(2, 3), torch.ones(2, 3)])
def test_without_a_valid_sample_the_loss_and_its_gradient_are_zero(projected):
    projected = projected.clone().requires_grad_()
    loss = alignment_loss(projected, torch.tensor([0, 1]), torch.ones(3, 3), torch.zeros(3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0 and torch.equal(projected.grad, torch.zeros(2, 3))


def test_a_memory_of_zero_gives_a_gradient_that_is_a_number():
    projected = torch.zeros(1, 3, requires_grad=True)
    alignment_loss(projected, torch.tensor([0]), torch.ones(1, 3), torch.tensor([True])).backward()
    assert projected.grad.isfinite().all()
