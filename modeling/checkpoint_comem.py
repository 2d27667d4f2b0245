"""How a model is written and read."""

import hashlib

import torch


class CoMemCheckpointMixin:
    def memory_fingerprint(self) -> str:
        return hashlib.sha256(b"").hexdigest()
