"""The generation settings of lmms-eval's tasks, as settings of `generate`."""

from collections.abc import Mapping, Sequence
from typing import Any

from transformers.utils import logging


logger = logging.get_logger(__name__)

SAMPLING = ("temperature", "top_p", "top_k")
PASSED_ON = ("max_new_tokens", "num_beams", "repetition_penalty")
# `TaskConfig` gives it to every task that names no other, for examples that follow each other; it ends no answer.
EXAMPLE_DELIMITER = "\n\n"


def generation_settings(task: Mapping[str, Any], max_new_tokens: int) -> dict[str, Any]:
    """Turn the `generation_kwargs` of a task into settings of `generate`.

    As in lmms-eval's own models, a temperature above 0 means sampling, and one of 0 means none; without a temperature
    `do_sample` decides, and without both the answer is greedy.

    Args:
        task (`Mapping[str, Any]`): The task's `generation_kwargs`. What `generate` does not need is left out.
        max_new_tokens (`int`): Longest answer, in tokens, of a task that names none.
    """
    settings = {"max_new_tokens": task.get("max_gen_toks") or max_new_tokens}
    settings |= {name: task[name] for name in PASSED_ON if task.get(name) is not None}
    temperature = task.get("temperature")
    settings["do_sample"] = bool(task.get("do_sample")) if temperature is None else temperature > 0
    # Without sampling they are unset, so that those of the checkpoint raise no warning.
    names = [name for name in SAMPLING if task.get(name) is not None] if settings["do_sample"] else SAMPLING
    settings |= {name: task[name] if settings["do_sample"] else None for name in names}
    known = {*SAMPLING, *PASSED_ON, "do_sample", "max_gen_toks", "until"}
    for name in task:
        if name not in known:
            logger.warning_once(f"The generation setting `{name}` of lmms-eval has no effect on this model.")
    return settings


def stop_strings(task: Mapping[str, Any]) -> list[str]:
    """Return the texts before which an answer ends, from the `until` of a task's `generation_kwargs`."""
    until = task.get("until") or []
    until = [until] if isinstance(until, str) else until
    return [text for text in until if text and text != EXAMPLE_DELIMITER]


def cut_at(answer: str, stops: Sequence[str]) -> str:
    """Return what an answer says before the first of the texts that end it."""
    ends = [answer.index(stop) for stop in stops if stop in answer]
    return answer[: min(ends)] if ends else answer
