"""Questions that are not on the command line: typed at a terminal, or lines of a pipe."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain


def typed_questions() -> Iterator[str]:
    """Ask for questions until an empty line or the end of input (Ctrl-D).

    Nothing is written to standard output if it is not a terminal.
    """
    with suppress(ImportError):
        import readline  # noqa: F401 (with it, `input` edits lines and remembers them)
    print("Ask; an empty line or Ctrl-D ends.", file=sys.stderr)
    while True:
        try:
            if sys.stdout.isatty():
                line = input("> ")
            else:
                print("> ", end="", file=sys.stderr, flush=True)
                line = input()
        except EOFError:
            print(file=sys.stderr)
            return
        if not line.strip():
            return
        yield line.strip()


def piped_questions() -> Iterator[str]:
    """Return the lines of standard input, each as soon as it comes, without empty ones.

    Raises:
        ValueError: If there is no line, or the lines are not text in UTF-8.
    """
    lines = _lines()
    try:
        first = next(lines)
    except StopIteration:
        raise ValueError("There is no question: give one, or lines on standard input.") from None
    return chain([first], lines)


def _lines() -> Iterator[str]:
    try:
        for line in sys.stdin:
            line.encode()  # some locales accept bytes that are not text
            if line.strip():
                yield line.strip()
    except UnicodeError as error:
        raise ValueError("The questions on standard input are not text in UTF-8.") from error
