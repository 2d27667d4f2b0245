"""How many memory items are retrieved for a question."""

from .configuration_comem import CoMemConfig


TOP_K = 3


def default_top_k(config: CoMemConfig) -> int:
    """Return the number of items that are retrieved unless the caller says: 3, or fewer if the model takes fewer."""
    return TOP_K if config.max_items is None else min(TOP_K, config.max_items)


def check_top_k(top_k: int, config: CoMemConfig, name: str = "top_k"):
    """Refuse more items than the slots of a model's feed-forward layers hold.

    Args:
        top_k (`int`): Items to retrieve.
        config ([`CoMemConfig`]): The model's configuration.
        name (`str`, *optional*, defaults to `"top_k"`): Name of the number in the message.

    Raises:
        ValueError: If they need more slots than there are.
    """
    if config.max_items is not None and top_k > config.max_items:
        raise ValueError(
            f"`{name}` {top_k} needs {top_k * config.num_memory_tokens} slots, but this model has "
            f"{config.ffn_memory_config['num_slots']}, enough for {config.max_items} items."
        )


__all__ = ["TOP_K", "check_top_k", "default_top_k"]
