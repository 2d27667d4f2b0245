"""How a saved model is found by transformers' auto classes where this package is not installed."""

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


__all__ = ["model_auto_map"]
