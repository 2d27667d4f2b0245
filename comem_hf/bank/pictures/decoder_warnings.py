"""What Pillow's decoders say about pictures, in the log and once."""

import logging as python_logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from transformers.utils import logging


logger = logging.get_logger(__name__)


@contextmanager
def decoder_warnings_logged(once: bool = False) -> Iterator[None]:
    """Send Pillow's warnings to the log during a `with` statement, one of each kind.

    Warnings that differ only in their numbers are of one kind: damaged pictures come by the thousand. Warnings of
    others go where they went before.

    Args:
        once (`bool`, defaults to `False`): Say nothing that an earlier such statement has said: searches come by the
            thousand, too.
    """
    # Python's warnings belong to all threads: the first statement changes them, and the last one restores them.
    with _LOCK:
        if not _open:
            _installed.enter_context(_to_log(_READING if once else _Once()))
        _open.append(None)
    try:
        yield
    finally:
        with _LOCK:
            _open.pop()
            if not _open:
                _installed.close()


@contextmanager
def _to_log(once: "_Once") -> Iterator[None]:
    show = warnings.showwarning

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


_LOCK = threading.Lock()
_READING = _Once()
_installed = ExitStack()
_open = []  # an entry for each statement
