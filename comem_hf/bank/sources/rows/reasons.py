"""Why something could not be read, in the words of what failed; and what is not the fault of what was read."""

import errno

from PIL import UnidentifiedImageError


_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def is_of_the_machine(error: BaseException) -> bool:
    """Whether an error says that memory, disk or open files ran out: the next row would fare no better."""
    return isinstance(error, MemoryError) or isinstance(error, OSError) and error.errno in _OF_THE_MACHINE


def reason_of(error: BaseException) -> str:
    """The words of an error and of what caused it, in one line that ends with a full stop.

    Errors of other types than `ValueError` and `OSError` are named by their type: `struct.error` and its like say too
    little without it.
    """
    words, cause = _words(error), error.__cause__
    # If no format is known, the error says so, and Pillow's words hold the address of a buffer.
    if cause is not None and not isinstance(cause, UnidentifiedImageError) and _said(cause) not in words:
        words = f"{words.rstrip('.')}: {_words(cause)}"
    return f"{words.rstrip('.')}."


def _words(error: BaseException) -> str:
    kind, said = type(error), _said(error)
    if kind is ValueError or isinstance(error, OSError) and said:
        return said
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return f"{name}: {said}" if said else name


def _said(error: BaseException) -> str:
    return " ".join((getattr(error, "strerror", None) or str(error)).split())
