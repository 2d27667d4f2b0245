"""How questions are put: on equal terms for all ways, or as the CoMEM release put them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from comem_hf.answering import GREEDY


@dataclass(frozen=True)
class Protocol:
    """Settings of a comparison; which pictures a model sees under it is said in `pictures.py`.

    Under both, the text of a question or an item comes before its picture, and each item is a user turn, as published.

    Args:
        name (`str`): `"equal"` or `"release"`.
        max_new_tokens (`int`): Longest answer, in tokens.
        generation (`Mapping[str, Mapping]`): Settings of `generate` by way; a way without any gets those of the
            checkpoint's generation configuration.
        memory_pixels (`tuple[int, int]`, *optional*): Least and most pixels of an item that is encoded as it is
            asked for; the processor's own if not given. Stored memory is as its bank was built.
    """

    name: str
    max_new_tokens: int
    generation: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    memory_pixels: tuple[int, int] | None = None


# Greedy, so that ways differ by what they are given alone; the answer is all that is read of the model's reasoning.
EQUAL = Protocol("equal", 512, MappingProxyType({"no memory": GREEDY, "RAG": GREEDY, "memory": GREEDY}))

# spec: sections 2, 4 and 6 of the release's behaviour. Its limits on pixels of items were spelled so that they had no
# effect: what applied were those of qwen-vl-utils.
RELEASE = Protocol(
    "release",
    1000,
    MappingProxyType({"memory": MappingProxyType({"temperature": 0.1, "top_p": 0.001, "repetition_penalty": 1.05})}),
    (4 * 28 * 28, 16384 * 28 * 28),
)

PROTOCOLS = {protocol.name: protocol for protocol in (EQUAL, RELEASE)}
