"""The ways that are compared, each with all its settings: the one place to tune them."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Way:
    """A way to bring an item, or a picture, into the answer.

    Args:
        key (`str`): Name of its folder, and of the way on the command line.
        name (`str`): Name in the table.
        items (`str`): How the item reaches the model: `"vectors"`, which the model's memory encoder makes of it;
            `"pasted"` into the prompt, text and picture; or `"none"`.
        config (`dict`, *optional*): Fields of [`CoMemConfig`] of a new model on the frozen backbone. `None`: the
            backbone as it is; nothing is trained.
        text_reader (`bool`, *optional*, defaults to `False`): Whether a text-only model reads in the backbone's place.
        learning_rate (`float`, *optional*, defaults to `1e-3`): Peak learning rate of AdamW.
        muon_learning_rate (`float`, *optional*): Peak learning rate of Muon, for the matrices of a resampler; `None`
            for a model without one.
        note (`str`, *optional*): What is said of the way below the table.
    """

    key: str
    name: str
    items: str
    config: dict | None = None
    text_reader: bool = False
    learning_rate: float = 1e-3
    muon_learning_rate: float | None = None
    note: str = ""

    def settings(self) -> dict:
        """Return what decides the result: all but the names and the note."""
        return {name: value for name, value in asdict(self).items() if name not in ("key", "name", "note")}


# The papers' values, `scale` 0.1 and `value_scale` 0.01, are for a model of 4096 numbers per token and normalized
# features. In this one the slots of pictures would drown the residual stream from the first step on (loss 6.5 instead
# of 0.4), and those of memory vectors would start at almost nothing. Other values were tried for 100 steps each:
# `scale` 0.3 to 3, `value_scale` 0.01 to 0.1, `projector_hidden` 256, and a learning rate of 3e-3 for the slots. The
# settings of "ffn-memory" are the best of ten such single runs with one seed; the other ways got one run or none. They
# were chosen by the training loss alone.
FFN_OF_VECTORS = {"source": "memory", "num_slots": 24, "scale": 1.0, "value_scale": 0.03, "dropout": 0.0}
FFN_OF_PICTURES = {"source": "vision", "num_slots": 32, "scale": 1.0, "value_scale": 0.001, "dropout": 0.0}
MUON = 3e-3
# One memory encoder for all ways, on the backbone of the weights in the package.
ENCODER = {
    "lora_config": {"r": 32, "lora_alpha": 64, "lora_dropout": 0.0},
    "resampler_config": {"num_hidden_layers": 2, "num_attention_heads": 8, "head_dim": 128},
}

WAYS = (
    Way("no-memory", "no memory", items="none", note="the backbone alone"),
    Way("rag", "RAG", items="pasted", note="the backbone alone, with the item's text and picture in its prompt"),
    Way(
        "input-memory",
        "input memory",
        items="vectors",
        config={**ENCODER},
        muon_learning_rate=MUON,
        note="eight vectors in front of the prompt, as in CoMEM",
    ),
    Way(
        "ffn-memory",
        "feed-forward memory (memory)",
        items="vectors",
        config={**ENCODER, "ffn_memory_config": FFN_OF_VECTORS},
        muon_learning_rate=MUON,
        note="the same eight vectors fill slots of the feed-forward layers, after MemVP",
    ),
    Way(
        "ffn-vision",
        "feed-forward memory (vision)",
        items="pasted",
        config={"num_memory_tokens": 0, "ffn_memory_config": FFN_OF_PICTURES},
        note="pictures leave the prompt for slots of the feed-forward layers, as in MemVP",
    ),
    Way(
        "vision-memory",
        "vision memory",
        items="pasted",
        config={"num_memory_tokens": 0, "vision_memory_config": {}},
        note="a vector per picture, carried through the vision tower, as in Mema",
    ),
    Way(
        "input-and-ffn",
        "input + feed-forward",
        items="vectors",
        config={**ENCODER, "ffn_memory_config": FFN_OF_PICTURES},
        muon_learning_rate=MUON,
        note="input memory for the item, slots of the feed-forward layers for the question's picture",
    ),
    Way(
        "input-and-vision",
        "input + vision",
        items="vectors",
        config={**ENCODER, "vision_memory_config": {}},
        muon_learning_rate=MUON,
        note="input memory for the item, and memory in the vision tower",
    ),
    Way(
        "text-reader",
        "text-only reader",
        items="vectors",
        config={**ENCODER, "reader_vocabulary": "reader"},
        text_reader=True,
        muon_learning_rate=MUON,
        note="the backbone encodes item and prompt; a frozen Qwen2 of the same text weights answers",
    ),
)
