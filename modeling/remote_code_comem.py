"""How a saved model is found by transformers' auto classes and pipelines where this package is not installed."""

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    # transformers copies what files import by what stands in them, and the pipeline is not imported by the model.
    from .pipeline_comem import MemoryImageTextToTextPipeline  # noqa: F401

CUSTOM_PIPELINES = {
    "memory-image-text-to-text": {
        "impl": "pipeline_comem.MemoryImageTextToTextPipeline",
        "pt": ["AutoModelForImageTextToText"],
        "type": "multimodal",
    }
}

# transformers itself copies the source files of a class and enters it in `auto_map`, but under one auto class only.
MODEL_AUTO_CLASSES = ("AutoModel", "AutoModelForImageTextToText")


def model_auto_map(model_class: type) -> dict[str, str]:
    """
    Returns the `auto_map` of a model's configuration, `{auto class: "file.class"}`; saving adds the configuration's
    own entry.

    Args:
        model_class (`type`): The class of the model, whose file must lie beside the configuration.
    """
    file = model_class.__module__.rpartition(".")[-1]
    return dict.fromkeys(MODEL_AUTO_CLASSES, f"{file}.{model_class.__name__}")


__all__ = ["CUSTOM_PIPELINES", "model_auto_map"]
