"""Questions to a model: their prompts, the positions that these take, and greedy answers."""

from collections.abc import Sequence

import torch
from PIL import Image

from comem_hf.modeling.configuration_comem import CoMemConfig
from comem_hf.modeling.memory_item import FOUND_BY_PICTURE, MemoryItem
from comem_hf.modeling.picture_comem import load_image
from comem_hf.modeling.query_pictures_comem import count_prompt_positions

from .rag import item_turns


WITHOUT_BANK = f"{FOUND_BY_PICTURE}, and there is no picture: answered without the bank."
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
            text; see [`item_content`].

    Returns:
        `BatchFeature`: The processor's output, with `memory_inputs` if given.
    """
    prompts, images = [], []
    for question, picture, pasted in zip(questions, pictures, items or [()] * len(questions), strict=True):
        turns, shown = item_turns(pasted, picture_first=picture_first)
        own = [] if picture is None else [picture]
        content = [*({"type": "image"} for _ in own), {"type": "text", "text": question}]
        turns.append({"role": "user", "content": content})
        prompts.append(processor.apply_chat_template(turns, add_generation_prompt=True))
        images += [*map(load_image, shown), *own]
    # `verbose=False`: the tokenizer's warning about long prompts would be wrong; see `refuse_too_long`.
    inputs = processor(text=prompts, images=images or None, padding=True, return_tensors="pt", verbose=False)
    if memory_inputs is not None:
        inputs["memory_inputs"] = memory_inputs
    return inputs


def count_positions(inputs, config: CoMemConfig) -> int:
    """Count the positions before the answers of a batch: prompt tokens, image tokens included, and memory vectors.

    What a model takes into its feed-forward layers, pictures or memory vectors, has no positions.

    Args:
        inputs (`BatchFeature`): The inputs, as [`question_inputs`] makes them.
        config ([`CoMemConfig`]): The model's configuration.
    """
    positions = count_prompt_positions(inputs["input_ids"], inputs["attention_mask"], config)
    memory = inputs.get("memory_inputs")
    if memory is not None and config.ffn_source != "memory":
        positions += int(memory["item_mask"].sum()) * memory["memory_embeds"].shape[2]
    return positions


def refuse_too_long(model, inputs) -> None:
    """Raise a `ValueError` if a question takes more positions than the model has.

    Args:
        model (`CoMemForConditionalGeneration`): The model.
        inputs (`BatchFeature`): The inputs of one question, as [`question_inputs`] makes them.

    Raises:
        ValueError: If the question, picture and memory take more than `max_position_embeddings`.
    """
    positions = count_positions(inputs, model.config)
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if limit is not None and positions > limit:
        raise ValueError(
            f"Question, picture and memory take {positions:,} positions, but the model has {limit:,}: shorten the "
            "question, or use fewer items."
        )


@torch.inference_mode()
def generate_answers(model, processor, inputs, max_new_tokens: int = 32) -> list[str]:
    """Generate answers greedily, and strip them.

    Args:
        model (`CoMemForConditionalGeneration`): The model.
        processor (`CoMemProcessor`): Its processor.
        inputs (`BatchFeature`): The inputs, as [`question_inputs`] makes them.
        max_new_tokens (`int`, *optional*, defaults to `32`): Longest answer, in tokens.
    """
    inputs = inputs.to(model.device)
    output = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    answers = processor.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return [answer.strip() for answer in answers]
