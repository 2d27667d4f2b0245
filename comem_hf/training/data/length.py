"""Prompts that are too long, and what is cut of them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .chat import ChatEncoder
from .sample import TrainingSample


class LengthLimit:
    """A limit for the tokens of a sample, and the rule of what is cut.

    Never cut are pictures, answers that stay, the turn of the system and memory items (which are no tokens of the
    prompt). First whole turns before the last question go, the oldest first: a question with its answer, unless it
    shows a picture. If that is not enough, the text of the last question is cut at its end; at least its first token
    stays. A sample that is still too long is left out.

    Args:
        encoder ([`ChatEncoder`]): What renders and counts.
        max_length (`int`): Most tokens of prompt and answers together, those of pictures included.

    Raises:
        ValueError: If `max_length` is not positive.
    """

    def __init__(self, encoder: ChatEncoder, max_length: int):
        if max_length < 1:
            raise ValueError(f"`max_length` must be a positive number of tokens or None, got {max_length!r}.")
        self.encoder, self.max_length = encoder, max_length

    def fit(self, sample: TrainingSample, sizes: Sequence[tuple[int, int]]) -> TrainingSample | None:
        """Cut a sample if it is too long.

        Args:
            sample ([`TrainingSample`]): The sample.
            sizes (`Sequence[tuple[int, int]]`): Width and height of each of its pictures, which need not be open.

        Returns:
            `TrainingSample`: The sample itself if it fits, else a shorter one; `None` if none is short enough.
        """
        excess = self._excess(sample, sizes)
        while excess > 0:
            shorter = _without_oldest_turn(sample.messages)
            if shorter is None:
                return self._with_shorter_question(sample, sizes, excess)
            sample = replace(sample, messages=shorter)
            excess = self._excess(sample, sizes)
        return sample

    def refusal(self, sample: TrainingSample, sizes: Sequence[tuple[int, int]]) -> str:
        """Say why a sample that does not fit is left out, and what it would need; see [`LengthLimit.fit`]."""
        while (shorter := _without_oldest_turn(sample.messages)) is not None:
            sample = replace(sample, messages=shorter)
        turn, place, ends = self._end_of_question(sample)
        ends = [end for end in ends if sample.messages[turn]["content"][place]["text"][:end].strip()]
        if ends:
            sample = _with_question(sample, turn, place, ends[0])
        return (
            f"its pictures and answers alone are longer than `max_length` {self.max_length:,}; "
            f"{self.max_length + self._excess(sample, sizes):,} would do."
        )

    def _excess(self, sample: TrainingSample, sizes: Sequence[tuple[int, int]]) -> int:
        """Number of tokens that are too many; 0 or less if it fits."""
        segments = self.encoder.split(sample)
        room = self.max_length - self.encoder.image_tokens(sizes) + len(sizes)  # each has one in the text
        if sum(len(segment.text.encode()) for segment in segments) <= room:  # a token is a byte or more
            return 0
        return self.encoder.text_tokens(segments) - room

    def _with_shorter_question(
        self, sample: TrainingSample, sizes: Sequence[tuple[int, int]], excess: int
    ) -> TrainingSample | None:
        turn, place, ends = self._end_of_question(sample)
        keep = len(ends) - excess
        while keep > 0:
            shorter = _with_question(sample, turn, place, ends[keep - 1])
            excess = self._excess(shorter, sizes)
            if excess <= 0:
                return shorter if shorter.messages[turn]["content"][place]["text"].strip() else None
            keep -= excess  # the end of what is left may be other tokens than before
        return None

    def _end_of_question(self, sample: TrainingSample) -> tuple[int, int, list[int]]:
        """Find the last text of the last question: its turn, its part and the ends of its tokens."""
        turn = _last_question(sample.messages)
        content = sample.messages[turn]["content"]
        place = max((i for i, part in enumerate(content) if part["type"] == "text"), default=None)
        if place is None:
            return turn, 0, []
        tokens = self.encoder.processor.tokenizer(
            content[place]["text"], add_special_tokens=False, return_offsets_mapping=True
        )
        return turn, place, [end for _, end in tokens["offset_mapping"]]


def _with_question(sample: TrainingSample, turn: int, place: int, end: int) -> TrainingSample:
    """Cut the text of one part of a turn."""
    content = list(sample.messages[turn]["content"])
    content[place] = {"type": "text", "text": content[place]["text"][:end]}
    messages = list(sample.messages)
    messages[turn] = {**messages[turn], "content": content}
    return replace(sample, messages=messages)


def _last_question(messages: list[dict[str, Any]]) -> int:
    return max(i for i, message in enumerate(messages) if message["role"] == "user")


def _without_oldest_turn(messages: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Leave out the first turn of the user with its answers that shows no picture and is not the last question."""
    last = _last_question(messages)
    starts = [i for i, message in enumerate(messages[: last + 1]) if message["role"] == "user"]
    for start, end in zip(starts, starts[1:], strict=False):
        if not any(part["type"] == "image" for message in messages[start:end] for part in message["content"]):
            return messages[:start] + messages[end:]
    return None
