"""Questions to a model: their prompts, the positions that these take, and greedy answers."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image

from comem_hf.modeling.configuration_comem import CoMemConfig
from comem_hf.modeling.memory_item import FOUND_BY_PICTURE, MemoryItem
from comem_hf.modeling.picture_comem import load_image
from comem_hf.modeling.query_pictures_comem import count_prompt_positions, position_limit

from .rag import item_content, item_turns


GREEDY: Mapping[str, object] = {"do_sample": False}
"""Settings of `generate` for the most likely token at each step."""

WITHOUT_BANK = f"{FOUND_BY_PICTURE}, and there is no picture: answered without the bank."
WITHOUT_WORDS = "No item of the bank has a word of the question in its text: answered without the bank."
NOTHING_FOUND = "Nothing found: no item of the bank shows the same thing with a probability of at least {:g}."
WITHOUT_ENCODER = "The model has no memory encoder, and so uses no memory bank."


def question_inputs(
    processor,
    questions: Sequence[str],
    pictures: Sequence[Image.Image | None],
    items: Sequence[Sequence[MemoryItem]] | None = None,
    memory_inputs=None,
    *,
    picture_first: bool = True,
):
    """Make the inputs of `generate` for questions about pictures.

    Args:
        processor (`CoMemProcessor`): The model's processor.
        questions (`Sequence[str]`): A question per sample.
        pictures (`Sequence[PIL.Image.Image]`): The picture of each question; `None` for a question without one.
        items (`Sequence[Sequence[MemoryItem]]`, *optional*): Items to paste into the prompt as they are (retrieval
            without memory), each as a user turn before the question.
        memory_inputs (`MemoryInputs`, *optional*): Memory of the samples.
        picture_first (`bool`, *optional*, defaults to `True`): Whether the picture of a pasted item comes before its
            text, and that of the question before the question; see [`item_content`].

    Returns:
        `BatchFeature`: The processor's output, with `memory_inputs` if given.
    """
    contents = [
        item_content(question, int(picture is not None), picture_first=picture_first)
        for question, picture in zip(questions, pictures, strict=True)
    ]
    conversations = [[{"role": "user", "content": content}] for content in contents]
    shown = [[] if picture is None else [picture] for picture in pictures]
    return conversation_inputs(processor, conversations, shown, items, memory_inputs, picture_first=picture_first)


def conversation_inputs(
    processor,
    conversations: Sequence[list[dict[str, Any]]],
    pictures: Sequence[Sequence[Image.Image]],
    items: Sequence[Sequence[MemoryItem]] | None = None,
    memory_inputs=None,
    *,
    picture_first: bool = True,
):
    """Make the inputs of `generate` for conversations, as [`question_inputs`] does for single questions.

    Args:
        processor (`CoMemProcessor`): The model's processor.
        conversations (`Sequence[list[dict]]`): The messages of each sample, `{"role", "content"}`, whose content is a
            list of parts; `{"type": "image"}` stands where a picture is.
        pictures (`Sequence[Sequence[PIL.Image.Image]]`): The pictures of each conversation, in its order.
        items (`Sequence[Sequence[MemoryItem]]`, *optional*): Items to paste into the prompt, each as a user turn
            before the conversation, but after its system message.
        memory_inputs (`MemoryInputs`, *optional*): Memory of the samples.
        picture_first (`bool`, *optional*, defaults to `True`): Whether the picture of a pasted item comes before its
            text.

    Returns:
        `BatchFeature`: The processor's output, with `memory_inputs` if given.
    """
    prompts, images = [], []
    for messages, own, pasted in zip(conversations, pictures, items or [()] * len(conversations), strict=True):
        turns, shown = item_turns(pasted, picture_first=picture_first)
        begin = 1 if messages[0]["role"] == "system" else 0
        messages = [*messages[:begin], *turns, *messages[begin:]]
        prompts.append(processor.apply_chat_template(messages, add_generation_prompt=True))
        images += [*map(load_image, shown), *own]
    # `verbose=False`: the tokenizer's warning about long prompts would be wrong; see `refuse_too_long`.
    inputs = processor(text=prompts, images=images or None, padding=True, return_tensors="pt", verbose=False)
    if memory_inputs is not None:
        inputs["memory_inputs"] = memory_inputs
    return inputs


def count_positions(inputs, config: CoMemConfig) -> int:
    """Count the positions before the answers of a batch, as [`positions_by_question`] does for each.

    Args:
        inputs (`BatchFeature`): The inputs, as [`question_inputs`] makes them.
        config ([`CoMemConfig`]): The model's configuration.
    """
    return sum(positions_by_question(inputs, config))


def positions_by_question(inputs, config: CoMemConfig) -> list[int]:
    """Count the positions before each answer: prompt tokens, image tokens included, and memory vectors.

    What a model takes into its feed-forward layers, pictures or memory vectors, has no positions.

    Args:
        inputs (`BatchFeature`): The inputs, as [`question_inputs`] makes them.
        config ([`CoMemConfig`]): The model's configuration.
    """
    prompts = zip(inputs["input_ids"].split(1), inputs["attention_mask"].split(1), strict=True)
    positions = [count_prompt_positions(ids, mask, config) for ids, mask in prompts]
    memory = inputs.get("memory_inputs")
    if memory is None or config.ffn_source == "memory":
        return positions
    items = memory["item_counts"] if "item_counts" in memory else memory["item_mask"].sum(dim=1)
    stored = memory.get("memory_embeds")
    vectors = memory.get("num_memory_tokens", config.num_memory_tokens if stored is None else stored.shape[2])
    vectors = torch.as_tensor(vectors).expand(len(positions))
    counts = zip(positions, items, vectors, strict=True)
    return [count + int(given) * int(of_item) for count, given, of_item in counts]


def refuse_too_long(model, inputs) -> None:
    """Raise a `ValueError` if a question takes more positions than the model has.

    Args:
        model (`CoMemForConditionalGeneration`): The model.
        inputs (`BatchFeature`): The inputs of one question, as [`question_inputs`] makes them.

    Raises:
        ValueError: If the question, picture and memory take more than `max_position_embeddings`.
    """
    positions = count_positions(inputs, model.config)
    limit = position_limit(model.config)
    if limit is not None and positions > limit:
        raise ValueError(
            f"Question, picture and memory take {positions:,} positions, but the model has {limit:,}: shorten the "
            "question, or use fewer items."
        )


def generate_answers(model, processor, inputs, max_new_tokens: int = 32) -> list[str]:
    """Generate answers greedily, and strip them.

    Args:
        model (`CoMemForConditionalGeneration`): The model.
        processor (`CoMemProcessor`): Its processor.
        inputs (`BatchFeature`): The inputs, as [`question_inputs`] makes them.
        max_new_tokens (`int`, *optional*, defaults to `32`): Longest answer, in tokens.
    """
    return read_answers(processor, inputs, generate_sequences(model, inputs, max_new_tokens))


@torch.inference_mode()
def generate_sequences(
    model, inputs, max_new_tokens: int = 32, settings: Mapping[str, object] = GREEDY
) -> torch.LongTensor:
    """Generate answers; return the tokens of prompts and answers.

    Args:
        model (`CoMemForConditionalGeneration`): The model.
        inputs (`BatchFeature`): The inputs, as [`question_inputs`] makes them; moved to the model's device.
        max_new_tokens (`int`, *optional*, defaults to `32`): Longest answer, in tokens.
        settings (`Mapping`, *optional*): Other settings of `generate`; greedy if not given, and the checkpoint's own
            if empty.
    """
    inputs = inputs.to(model.device)
    return model.generate(**inputs, max_new_tokens=max_new_tokens, **settings)


def read_texts(processor, inputs, sequences: torch.LongTensor) -> list[str]:
    """Return the texts that [`generate_sequences`] generated, as they are.

    Args:
        processor (`CoMemProcessor`): The model's processor.
        inputs (`BatchFeature`): The inputs, as [`question_inputs`] makes them.
        sequences (`torch.LongTensor` of shape `(batch, length)`): Prompts and answers.
    """
    return processor.batch_decode(sequences[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def read_answers(processor, inputs, sequences: torch.LongTensor) -> list[str]:
    """Return the answers that [`generate_sequences`] generated, stripped; arguments are those of [`read_texts`]."""
    return [text.strip() for text in read_texts(processor, inputs, sequences)]


def exact_match(answer: str, expected: str) -> bool:
    """Whether two answers are the same after lower-casing and stripping, without other normalisation."""
    return answer.strip().lower() == expected.strip().lower()
