"""Whether what is trained on is asked about in the evaluation, too."""

from typing import Any


SHOWN = 5


def check_no_shared_entities(train: Any, held_out: Any, key: str | None = None) -> None:
    """Refuse data for training and for evaluation that are about the same entities.

    A memory that is to be read from items must be evaluated on entities that training has not seen: otherwise the
    answers may come from the weights. Data whose rows have neither `entity` nor `entity_id`, and streams, are not
    compared.

    Args:
        train ([`MemoryDataset`]): The data for training.
        held_out ([`MemoryDataset`]): The data for evaluation.
        key (`str`, *optional*): The key to compare by, `"entity"` or `"entity_id"`; by default all that both have.

    Raises:
        ValueError: If an entity is in both; the message shows some. Also if `key` is given and one of the two has no
            row with it.

    Example:
    ```python
    check_no_shared_entities(open_training_data("train.jsonl"), open_training_data("held-out.jsonl"))
    ```
    """
    ours, theirs = getattr(train, "entities", {}), getattr(held_out, "entities", {})
    for name in sorted(ours.keys() & theirs.keys()) if key is None else [key]:
        for data, entities in ((train, ours), (held_out, theirs)):
            if name not in entities:
                raise ValueError(f"No row of {getattr(data, 'name', 'the data')} has `{name}` to be compared by.")
        shared = sorted(ours[name] & theirs[name])
        if shared:
            examples = ", ".join(map(repr, shared[:SHOWN])) + (", ..." if len(shared) > SHOWN else "")
            raise ValueError(
                f"{len(shared):,} of the {len(theirs[name]):,} entities (`{name}`) of {held_out.name} are in "
                f"{train.name}, too: {examples}. Leave their rows out of one of the two."
            )
