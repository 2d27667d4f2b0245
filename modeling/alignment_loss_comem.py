"""The loss that ties what the vision memory holds to the answer (Mema), and the mean embeddings that it needs."""

import torch
import torch.nn.functional as F


IGNORED_LABEL = -100


def question_mean(
    embeds: torch.Tensor, is_text: torch.BoolTensor, labels: torch.LongTensor | None = None
) -> torch.Tensor:
    """Compute the mean embedding of each sample's question.

    Args:
        embeds (`torch.Tensor` of shape `(samples, length, hidden)`): Embeddings of the text model's input.
        is_text (`torch.BoolTensor` of shape `(samples, length)`): False at padding and at pictures' placeholders.
        labels (`torch.LongTensor` of shape `(samples, length)`, *optional*): The question is the text without labels
            (-100). By default it is the whole text.

    Returns:
        `torch.Tensor` of shape `(samples, hidden)`: The first text token where there is no question.
    """
    is_question = is_text if labels is None else is_text & (labels == IGNORED_LABEL)
    return _mean_or_first(embeds, is_question, is_text)


def answer_mean(
    embeds: torch.Tensor, is_text: torch.BoolTensor, labels: torch.LongTensor
) -> tuple[torch.Tensor, torch.BoolTensor]:
    """Compute the mean embedding of each sample's answer: of its text with labels.

    Args:
        embeds (`torch.Tensor` of shape `(samples, length, hidden)`): Embeddings of the text model's input.
        is_text (`torch.BoolTensor` of shape `(samples, length)`): False at padding and at pictures' placeholders.
        labels (`torch.LongTensor` of shape `(samples, length)`): -100 outside the answer.

    Returns:
        `tuple`: The means `(samples, hidden)`, of the first text token where there is no answer; and whether there is
        one, `(samples,)`.
    """
    is_answer = is_text & (labels != IGNORED_LABEL)
    return _mean_or_first(embeds, is_answer, is_text), is_answer.any(dim=1)


def mean_of_images(
    projected: torch.Tensor, sample_of_image: torch.LongTensor, samples: int
) -> tuple[torch.Tensor, torch.BoolTensor]:
    """Compute the mean over each sample's images of what there is of each image.

    Args:
        projected (`torch.Tensor` of shape `(images, hidden)`): The memory of each image, out of the tower's projector.
        sample_of_image (`torch.LongTensor` of shape `(images,)`): The sample that each image belongs to.
        samples (`int`): Number of samples.

    Returns:
        `tuple`: The means `(samples, hidden)` in float32, 0 where there is no image; and whether there is one,
        `(samples,)`.
    """
    sums = projected.new_zeros((samples, projected.shape[-1]), dtype=torch.float32)
    counts = torch.bincount(sample_of_image, minlength=samples)
    means = sums.index_add(0, sample_of_image, projected.float()) / counts.clamp(min=1)[:, None]
    return means, counts > 0


def alignment_loss(
    projected: torch.Tensor, sample_of_image: torch.LongTensor, answers: torch.Tensor, valid: torch.BoolTensor
) -> torch.Tensor:
    """Compute how far the memory of each sample's images is from its answer: the mean of 1 - cosine.

    Args:
        projected (`torch.Tensor` of shape `(images, hidden)`): The memory of each image in the text model's space, out
            of the tower's projector. A sample's memory is the mean over its images, taken after the projector.
        sample_of_image (`torch.LongTensor` of shape `(images,)`): The sample that each image belongs to.
        answers (`torch.Tensor` of shape `(samples, hidden)`): The mean embedding of each answer.
        valid (`torch.BoolTensor` of shape `(samples,)`): The samples that have an answer. A sample without images does
            not count either.

    Returns:
        `torch.Tensor`: A number in float32; 0 if no sample counts.
    """
    means, has_image = mean_of_images(projected, sample_of_image, len(answers))
    counted = valid & has_image
    distances = 1 - F.cosine_similarity(means, answers.float(), dim=-1)
    return (distances * counted).sum() / counted.sum().clamp(min=1)


def _mean_or_first(embeds: torch.Tensor, chosen: torch.BoolTensor, is_text: torch.BoolTensor) -> torch.Tensor:
    first = is_text & (is_text.cumsum(dim=1) == 1)
    chosen = torch.where(chosen.any(dim=1, keepdim=True), chosen, first)
    count = chosen.sum(dim=1, keepdim=True).clamp(min=1)  # integers: half precision counts to 256
    return ((chosen.to(embeds.dtype)[:, None] @ embeds)[:, 0] / count).to(embeds.dtype)


__all__ = ["alignment_loss", "answer_mean", "mean_of_images", "question_mean"]
