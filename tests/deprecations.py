"""Catches what transformers and PEFT log, rather than warn, about deprecated use."""

import logging

import transformers
from packaging.version import Version


WATCHED = ("transformers", "peft", "accelerate")
MARKS = ("deprecat", "will be removed in")
# Before 5.20 transformers' own pipelines give `generate` what this deprecates.
OF_PIPELINES = "Passing `generation_config` together with generation-related arguments"
PIPELINES_DO_IT = Version(transformers.__version__) < Version("5.20")


class DeprecationLog(logging.Handler):
    """Collects messages of the libraries below us that speak of deprecation; a context manager."""

    def __init__(self):
        super().__init__(level=logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord):
        message = record.getMessage()
        if PIPELINES_DO_IT and message.startswith(OF_PIPELINES):
            return
        if any(mark in message.lower() for mark in MARKS):
            self.messages.append(f"{record.name}: {message}")

    def __enter__(self) -> "DeprecationLog":
        for name in WATCHED:  # their root loggers do not propagate, so that the root's handlers see nothing
            logging.getLogger(name).addHandler(self)
        return self

    def __exit__(self, *exception):
        for name in WATCHED:
            logging.getLogger(name).removeHandler(self)
