"""What the entry point `lmms_eval.models` gives to lmms-eval."""


def manifest():
    """Return the `ModelManifest` of the model `comem`."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return ModelManifest("comem", chat_class_path="comem_hf.lmms.model.CoMem")
