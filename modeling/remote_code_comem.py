"""How transformers' auto classes and pipelines find a saved model where this package is not installed."""

from typing import TYPE_CHECKING

from transformers import PreTrainedConfig


if TYPE_CHECKING:
    # transformers copies the files that import statements name, and the model does not import the pipeline.
    from .pipeline_comem import MemoryImageTextToTextPipeline  # noqa: F401

CUSTOM_PIPELINES = {
    "memory-image-text-to-text": {
        "impl": "pipeline_comem.MemoryImageTextToTextPipeline",
        "pt": ["AutoModelForImageTextToText"],
        "type": "multimodal",
    }
}

# transformers copies the source files of a class and enters the class in `auto_map`, but under one auto class only.
MODEL_AUTO_CLASSES = ("AutoModel", "AutoModelForImageTextToText")


def enter_remote_code(config: PreTrainedConfig, model_class: type):
    """Enter in a model's configuration which files and classes to load; saving adds the configuration's own entry.

    Args:
        config ([`CoMemConfig`]): The configuration, changed in place.
        model_class (`type`): The class of the model, whose file must lie beside the configuration.
    """
    file = model_class.__module__.rpartition(".")[-1]
    config.auto_map = dict.fromkeys(MODEL_AUTO_CLASSES, f"{file}.{model_class.__name__}")
    config.custom_pipelines = CUSTOM_PIPELINES


__all__ = ["enter_remote_code"]
