"""A backbone, models and a processor in folders, and what they answer."""

from dataclasses import dataclass

import pytest
import transformers
from packaging.version import Version

from tests.conftest import make_image, make_model


needs_whole_copy = pytest.mark.skipif(
    Version(transformers.__version__) < Version("5.10.1"),
    reason="before 5.10.1 transformers copies out of a folder only the files that one file imports itself",
)


def question_about(picture: str) -> tuple[list[dict], list[list[dict]]]:
    """A conversation about a picture, and the memories to answer from."""
    content = [{"type": "image", "image": picture}, {"type": "text", "text": "Which country?"}]
    memories = [[{"image": picture, "text": "The flag of Peru."}, {"text": "Its capital is Lima."}]]
    return [{"role": "user", "content": content}], memories


def greedy_tokens(model, processor, picture: str, with_items: bool = True) -> list[int]:
    """Eight tokens that depend on weights, memory, pictures and the chat template."""
    conversation, memories = question_about(picture)
    prompt = processor.apply_chat_template(conversation, add_generation_prompt=True)
    items = {"memories": memories} if with_items else {}
    inputs = processor(text=prompt, images=[picture], **items, return_tensors="pt")
    tokens = model.generate(**inputs, max_new_tokens=8, min_new_tokens=8, do_sample=False)
    return tokens[0, inputs["input_ids"].shape[1] :].tolist()


ANSWER = (question_about, greedy_tokens)
"""What a process needs to give an answer of its own."""


@dataclass
class Saved:
    """Folders that a user could have, the path of a picture, and the answer of the models about it."""

    backbone: str
    full: str
    """Model and processor."""
    memory_only: str
    """The memory encoder of the same model; names no backbone."""
    processor: str
    picture: str
    answer: list[int]


@pytest.fixture(scope="session")
def saved(tmp_path_factory, tiny_processor) -> Saved:
    root = tmp_path_factory.mktemp("saved")
    model = make_model("qwen2_5_vl")
    model.backbone.save_pretrained(root / "backbone")
    for path, memory_only in ((root / "full", False), (root / "memory_only", True)):
        model.save_pretrained(path, memory_only=memory_only)
    for path in (root / "full", root / "processor"):
        tiny_processor.save_pretrained(path)
    make_image(3).save(root / "flag.png")
    names = ("backbone", "full", "memory_only", "processor")
    picture = str(root / "flag.png")
    answer = greedy_tokens(model, tiny_processor, picture)
    return Saved(**{name: str(root / name) for name in names}, picture=picture, answer=answer)
