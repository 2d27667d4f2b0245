"""What Pillow's decoders say about pictures, in the log and once."""

import logging as python_logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging


logger = logging.get_logger(__name__)


@contextmanager
def decoder_warnings_logged() -> Iterator[None]:
    """Send Pillow's warnings to the log during a `with` statement, one of each kind.

    Warnings that differ only in their numbers are of one kind: damaged pictures come by the thousand. Warnings of
    others go where they went before.
    """
    once, show = _Once(), warnings.showwarning

    def say(message, category, filename, *arguments, **options):
        if re.search(r"[/\\]PIL[/\\]", filename):
            once.say(str(message))
        else:
            show(message, category, filename, *arguments, **options)

    pillow = python_logging.getLogger("PIL")
    with warnings.catch_warnings():
        warnings.filterwarnings("always", module=r"PIL\.")
        warnings.showwarning = say
        pillow.addHandler(once)
        try:
            yield
        finally:
            pillow.removeHandler(once)


class _Once(python_logging.Handler):
    def __init__(self):
        super().__init__(python_logging.WARNING)
        self._kinds = set()

    def emit(self, record: python_logging.LogRecord) -> None:
        self.say(record.getMessage())

    def say(self, message: str) -> None:
        words = " ".join(message.split())
        kind = re.sub(r"\d+", "0", words)
        if kind not in self._kinds:
            self._kinds.add(kind)
            logger.warning(f"Pillow says of a picture, and may say it of more: {words}")
