"""Whether what is trained on is asked about in the evaluation, too."""

from typing import Any

from transformers.utils import logging


logger = logging.get_logger(__name__)


SHOWN = 5


def check_no_shared_entities(train: Any, held_out: Any, key: str | None = None) -> None:
    """Refuse data for training and for evaluation that are about the same entities.

    A memory that is to be read from items must be evaluated on entities that training has not seen: otherwise the
    answers may come from the weights. Data whose rows have neither `entity` nor `entity_id`, and streams, are not
    compared. A warning says so if only one of the two has a key, or both are the same data.

    Args:
        train ([`MemoryDataset`]): The data for training.
        held_out ([`MemoryDataset`]): The data for evaluation.
        key (`str`, *optional*): The key to compare by, `"entity"` or `"entity_id"`; by default all that one has.

    Raises:
        ValueError: If an entity is in both; the message shows some. Also if `key` is given and one of the two has no
            row with it.

    Example:
    ```python
    check_no_shared_entities(open_training_data("train.jsonl"), open_training_data("held-out.jsonl"))
    ```
    """
    ours, theirs = getattr(train, "entities", None), getattr(held_out, "entities", None)
    if key is None and (ours is None or theirs is None):
        return
    ours, theirs = ours or {}, theirs or {}
    for name in sorted(ours.keys() | theirs.keys()) if key is None else [key]:
        without = [data for data, entities in ((train, ours), (held_out, theirs)) if name not in entities]
        if without:
            problem = f"no row of {getattr(without[0], 'name', 'the data')} has `{name}`"
            if key is not None:
                raise ValueError(f"Not compared: {problem}.")
            logger.warning(f"What {train.name} and {held_out.name} are about is not compared: {problem}.")
            continue
        shared = sorted(ours[name] & theirs[name])
        if shared:
            examples = ", ".join(map(repr, shared[:SHOWN])) + (", ..." if len(shared) > SHOWN else "")
            raise ValueError(
                f"{len(shared):,} of the {len(theirs[name]):,} entities (`{name}`) of {held_out.name} are in "
                f"{train.name}, too: {examples}. Leave their rows out of one of the two."
            )
    if train is held_out or train.fingerprint is not None and train.fingerprint == held_out.fingerprint:
        logger.warning(f"{held_out.name} is the data for training itself: its loss says nothing about new rows.")
