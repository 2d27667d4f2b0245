"""Arguments of the pipeline `memory-image-text-to-text`: their names, and what they may be."""

import numbers
from typing import Any

from transformers import GenerationConfig

from .field_checks_comem import check_at_most
from .query_pictures_comem import position_limit
from .top_k_comem import check_top_k


TASK = "memory-image-text-to-text"
MEMORY_ARGUMENTS = ("top_k", "where", "text_weight", "min_score")
ANSWER_ARGUMENTS = ("explain", "num_memory_tokens")
PARENT_ARGUMENTS = (
    "clean_up_tokenization_spaces",
    "continue_final_message",
    "generate_kwargs",
    "max_new_tokens",
    "processor_kwargs",
    "return_full_text",
    "return_tensors",
    "return_type",
    "skip_special_tokens",
    "stop_sequence",
    "timeout",
)


def check_parts(model, processor, memory_bank, allow_changed_model):
    """Raise a `ValueError` if a pipeline cannot be made of these."""
    if not hasattr(model, "encode_memory"):
        raise ValueError(f"The task {TASK!r} needs a CoMEM model, got a {type(model).__name__}.")
    if not hasattr(processor, "process_memories"):
        raise ValueError(
            f"The task {TASK!r} needs `processor`, a CoMemProcessor, got {type(processor).__name__}: save the "
            "model's processor beside it, or give the processor itself."
        )
    if allow_changed_model is not None and memory_bank is None:
        raise ValueError(
            f"The task {TASK!r} takes `allow_changed_model` only with a bank: give `memory_bank` to the pipeline, "
            "or leave out `allow_changed_model`."
        )


def check_is_bank(memory_bank: Any):
    """Raise a `ValueError` if an object cannot be searched as a bank is."""
    if not (hasattr(memory_bank, "search") and hasattr(memory_bank, "memory_inputs")):
        raise ValueError(
            f"`memory_bank` must be a bank, or the name of its folder or repository, got {type(memory_bank).__name__}."
        )


def check_names(arguments: dict[str, Any]):
    """Raise a `ValueError` for names of arguments that the pipeline does not have."""
    unknown = [name for name in arguments if name not in (*PARENT_ARGUMENTS, *MEMORY_ARGUMENTS, *ANSWER_ARGUMENTS)]
    if unknown:
        hint = ""
        if any(hasattr(GenerationConfig(), name) or name in ("streamer", "memory_inputs") for name in unknown):
            hint = " Give arguments of `generate` in `generate_kwargs`."
        raise ValueError(
            f"The task {TASK!r} has no arguments {unknown}; it takes images, text, memories, "
            f"{', '.join((*MEMORY_ARGUMENTS, *ANSWER_ARGUMENTS, *PARENT_ARGUMENTS))}.{hint}"
        )


def check_search(arguments: dict[str, Any], config, has_bank: bool):
    """Raise a `ValueError` for arguments of the search that are not valid, or given without a bank."""
    if "top_k" in arguments:
        top_k = arguments["top_k"]
        if not isinstance(top_k, int) or isinstance(top_k, bool) or top_k < 0:
            raise ValueError(f"`top_k` must be a number of memory items, 0 or more, got {top_k!r}.")
        check_top_k(top_k, config)
    for name in ("text_weight", "min_score"):
        value = arguments.get(name)
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if value is not None and not (is_number and 0 <= value <= 1):
            raise ValueError(f"`{name}` must be a number from 0 to 1, got {value!r}.")
    # `top_k=0` asks for no items, and gets none.
    given = [name for name, value in arguments.items() if value is not None and not (name == "top_k" and not value)]
    if given and not has_bank:
        names = " and ".join(f"`{name}`" for name in given)
        raise ValueError(
            f"The task {TASK!r} takes {names} only with a bank: give `memory_bank` to the pipeline, or leave out "
            f"{names}."
        )


def check_answer(arguments: dict[str, Any], config):
    """Raise a `ValueError` for arguments of the answer that are not valid."""
    explain = arguments.get("explain", False)
    if not isinstance(explain, bool):
        raise ValueError(f"`explain` must be True or False, got {explain!r}.")
    if arguments.get("num_memory_tokens") is not None:
        most = config.num_memory_tokens
        check_at_most("num_memory_tokens", arguments["num_memory_tokens"], most, "the vectors of an item")


def check_one_source(sources: dict[str, bool]):
    """Raise a `ValueError` if memory is given in several ways; `sources` says of each by its name whether it is."""
    used = [name for name, is_used in sources.items() if is_used]
    if len(used) > 1:
        way_out = "; `top_k=0` leaves the bank out of a call" if sources["`memory_bank`"] else ""
        raise ValueError(f"{' and '.join(used)} were both given, but memory comes from one of them{way_out}.")


def check_length(length: int, config):
    """Raise a `ValueError` if a prompt has more tokens than the model takes."""
    limit = position_limit(config)
    if limit is not None and length > limit:
        raise ValueError(
            f"The prompt has {length:,} tokens, but the model takes {limit:,}: shorten `text`, or use fewer or "
            "smaller pictures."
        )
