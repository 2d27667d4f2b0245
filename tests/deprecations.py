"""Catches what transformers and PEFT log, rather than warn, about deprecated use."""

import logging


WATCHED = ("transformers", "peft", "accelerate")
MARKS = ("deprecat", "will be removed in")


class DeprecationLog(logging.Handler):
    """Collects messages of the libraries below us that speak of deprecation; a context manager."""

    def __init__(self):
        super().__init__(level=logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord):
        message = record.getMessage()
        if any(mark in message.lower() for mark in MARKS):
            self.messages.append(f"{record.name}: {message}")

    def __enter__(self) -> "DeprecationLog":
        for name in WATCHED:  # their root loggers do not propagate, so that the root's handlers see nothing
            logging.getLogger(name).addHandler(self)
        return self

    def __exit__(self, *exception):
        for name in WATCHED:
            logging.getLogger(name).removeHandler(self)
