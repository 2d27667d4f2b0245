"""What transformers is told of this package, when its own modules are imported: `import comem_hf` imports neither."""

import copyreg
import importlib
import sys
from types import ModuleType

from .post_import import when_imported


AUTO = "transformers.models.auto"
CONFIGURATION = f"{__package__}.modeling.configuration_comem"
MODEL = f"{__package__}.modeling.modeling_comem"
PROCESSOR = f"{__package__}.modeling.processing_comem"
TASK = "memory-image-text-to-text"

# Module and name of each class of ours, and of the Auto classes that shall find it.
CLASSES = (
    (MODEL, "CoMemForConditionalGeneration", f"{AUTO}.modeling_auto", "AutoModel"),
    (MODEL, "CoMemForConditionalGeneration", f"{AUTO}.modeling_auto", "AutoModelForImageTextToText"),
    (PROCESSOR, "CoMemProcessor", f"{AUTO}.processing_auto", "AutoProcessor"),
)


def register() -> None:
    """
    Registers configuration, model, processor and pipeline with transformers, as soon as it is there to be told, and
    gives the model our card for what it pushes.

    That is often in the middle of another import, where nothing heavy can be imported safely. So all but the
    configuration are registered as stand-ins, and model and processor as themselves when they are there.
    """
    when_imported(f"{AUTO}.configuration_auto", _register_config)
    for name in (CONFIGURATION, f"{AUTO}.modeling_auto", f"{AUTO}.processing_auto", PROCESSOR):
        when_imported(name, _register_classes)
    when_imported(MODEL, _register_model)
    when_imported("transformers.pipelines", _register_pipeline)


def _register_config(configuration_auto: ModuleType) -> None:
    importlib.import_module(CONFIGURATION)
    _register_classes(configuration_auto)


def _register_model(modeling_comem: ModuleType) -> None:
    modeling_comem.CoMemForConditionalGeneration.card_writer = _write_card
    _register_classes(modeling_comem)


def _write_card(model, folder, repo_id: str, own_card: str | None) -> None:
    from comem_hf.cards.model_card import write_model_card

    write_model_card(model, folder, repo_id, own_card)


def _register_pipeline(pipelines: ModuleType) -> None:
    registry = pipelines.PIPELINE_REGISTRY
    if TASK not in registry.supported_tasks:
        stand_in = _StandIn(f"{__package__}.pipeline", "MemoryImageTextToTextPipeline")
        registry.register_pipeline(TASK, stand_in, pipelines.AutoModelForImageTextToText, type="multimodal")


def _register_classes(_: ModuleType) -> None:
    # Each of the modules may be half imported, or missing as yet; then it is waited for, too.
    config = getattr(sys.modules.get(CONFIGURATION), "CoMemConfig", None)
    if config is None:
        return
    auto_config = getattr(sys.modules[f"{AUTO}.configuration_auto"], "AutoConfig", None)
    if auto_config is not None:
        auto_config.register(config.model_type, config, exist_ok=True)
    for module, name, auto_module, auto_name in CLASSES:
        auto_class = getattr(sys.modules.get(auto_module), auto_name, None)
        if auto_class is not None:
            known = getattr(sys.modules.get(module), name, None)
            auto_class.register(config, known or _StandIn(module, name, config_class=config), exist_ok=True)


class _StandIn(type):
    """A class in all but its content, which is imported when anything but its name is asked for."""

    def __new__(cls, module: str, name: str, **known):
        return super().__new__(cls, name, (), {"__module__": module, **known})

    def __init__(cls, module: str, name: str, **known):
        super().__init__(name, (), {})

    def __getattr__(cls, name):
        return getattr(_load(cls.__name__), name)

    def __call__(cls, *args, **kwargs):
        return _load(cls.__name__)(*args, **kwargs)

    def __instancecheck__(cls, instance):
        return isinstance(instance, _load(cls.__name__))

    def __subclasscheck__(cls, subclass):
        return issubclass(subclass, _load(cls.__name__))


def _load(name: str) -> type:
    return getattr(importlib.import_module(__package__), name)


copyreg.pickle(_StandIn, lambda stand_in: (_load, (stand_in.__name__,)))
