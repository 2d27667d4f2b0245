"""Stand-ins for what transformers' tests import and is not there."""

import sys
from pathlib import Path
from types import ModuleType

import torch
from fetch import PACKAGE


# The tests of the next two are not in the source distribution, and therefore not run, for Qwen2-VL neither.
class ExportTesterMixin:
    """In place of `exporters/test_export.py`."""


class GenerationTesterMixin:
    """In place of `generation/test_utils.py`."""


def install(packages: Path):
    """Puts the stand-ins where the tests will look for them.

    Args:
        packages (`Path`): Where packages for these tests alone were installed.
    """
    _add(f"{PACKAGE}.exporters")
    _add(f"{PACKAGE}.exporters.test_export", ExportTesterMixin=ExportTesterMixin)
    _add(f"{PACKAGE}.generation")
    _add(f"{PACKAGE}.generation.test_utils", GenerationTesterMixin=GenerationTesterMixin)
    _add(f"{PACKAGE}.utils")
    # Read only for configurations that have no configurations inside, so for none of ours.
    _add(f"{PACKAGE}.utils.test_configuration_utils", config_common_kwargs={})
    _add("fetch_hub_objects_for_ci", url_to_local_path=lambda url: url)
    if (packages / "torchvision").exists():  # a copy without its operators, of which two are named at import
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", "(Tensor boxes, Tensor scores, float threshold) -> Tensor")


def _add(name: str, **members):
    module = ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
