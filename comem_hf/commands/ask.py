"""`comem ask`: a question about a picture, answered without and with memory."""

from pathlib import Path
from typing import Annotated

import typer


def ask(
    question: Annotated[str, typer.Argument(help="What to ask about the picture.")],
    image: Annotated[Path, typer.Option(help="The picture.")],
    model: Annotated[str | None, typer.Option(help="Model folder or Hub id [default: the embedded model].")] = None,
    bank: Annotated[str | None, typer.Option(help="Bank folder or Hub id [default: the embedded bank].")] = None,
    top_k: Annotated[int, typer.Option(min=1, help="Memory items to retrieve.")] = 3,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 32,
) -> None:
    """Ask a question about a picture, and see the answer without and with memory.

    Finds the items of a memory bank that look like the picture and gives their stored memory vectors to the model.

    Example:

        comem ask --image flag.png "What is the currency of this country?"
    """
    if not question.strip():
        raise ValueError("The question is empty.")

    from comem_hf.modeling.memory_item import load_image

    from .loading import load_model, open_bank
    from .output import HIT_COLUMNS, hit_rows, print_table
    from .stopwatch import Stopwatch

    picture = load_image(image)
    watch = Stopwatch()
    with watch.step("load the model"):
        loaded, processor = load_model(model)
    with watch.step("open the bank"):
        memory = open_bank(bank).attach(loaded, processor)
    with watch.step("retrieve"):
        hits = memory.search(image=picture, k=top_k)
        memory_inputs = memory.memory_inputs([hits])
    with watch.step("answer without memory"):
        without = generate_answer(loaded, processor, picture, question, max_new_tokens)
    with watch.step("answer with memory"):
        answer = generate_answer(loaded, processor, picture, question, max_new_tokens, memory_inputs)

    print_table("answer", ("", question), [("without memory", without), ("with memory", answer)])
    print_table("memory", HIT_COLUMNS, hit_rows(hits))
    print_table("time", ("step", "time"), watch.rows())


def generate_answer(model, processor, image, question: str, max_new_tokens: int, memory_inputs=None) -> str:
    """Greedy answer of a model to a question about an image.

    Args:
        model (`CoMemForConditionalGeneration`): The model.
        processor (`CoMemProcessor`): Its processor.
        image (`PIL.Image.Image`): The picture.
        question (`str`): The question.
        max_new_tokens (`int`): Longest answer.
        memory_inputs (`MemoryInputs`, *optional*): Memory for one sample.

    Returns:
        `str`: The answer, stripped.
    """
    content = [{"type": "image"}, {"type": "text", "text": question}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = processor(text=[prompt], images=[image], return_tensors="pt").to(model.device)
    if memory_inputs is not None:
        inputs["memory_inputs"] = memory_inputs.to(model.device)
    output = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    return processor.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)[0].strip()
