"""What transformers is told of this package: once, as soon as transformers itself has been imported."""

from pathlib import Path
from types import ModuleType

import wrapt


def register(transformers: ModuleType) -> None:
    """Register configuration, model, processor and pipeline with transformers' Auto classes and pipelines.

    `import comem_hf` does not import transformers, which takes seconds: this runs at the end of its import by whoever
    comes first, or at once where it has been imported. None of the classes may need a package that imports
    transformers itself and could be half imported then, as PEFT could (`modeling/adapter_comem.py`).

    Args:
        transformers (`ModuleType`): The module. It resolves its names when they are asked for, so that any can be used
            here, in the middle of somebody's import.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor
    from transformers.pipelines import PIPELINE_REGISTRY

    from comem_hf.modeling.configuration_comem import CoMemConfig
    from comem_hf.modeling.modeling_comem import CoMemForConditionalGeneration
    from comem_hf.modeling.pipeline_comem import TASK, MemoryImageTextToTextPipeline
    from comem_hf.modeling.processing_comem import CoMemProcessor

    AutoConfig.register(CoMemConfig.model_type, CoMemConfig, exist_ok=True)
    AutoModel.register(CoMemConfig, CoMemForConditionalGeneration, exist_ok=True)
    AutoModelForImageTextToText.register(CoMemConfig, CoMemForConditionalGeneration, exist_ok=True)
    AutoProcessor.register(CoMemConfig, CoMemProcessor, exist_ok=True)
    if TASK not in PIPELINE_REGISTRY.supported_tasks:
        PIPELINE_REGISTRY.register_pipeline(
            TASK, MemoryImageTextToTextPipeline, AutoModelForImageTextToText, type="multimodal"
        )
    # What the code that Hub repositories carry leaves to an installed package.
    CoMemForConditionalGeneration.card_writer = _write_card
    MemoryImageTextToTextPipeline.bank_opener = _open_bank


def _write_card(model, folder: Path, repo_id: str, own_card: str | None) -> None:
    from comem_hf.cards.model_card import write_model_card

    write_model_card(model, folder, repo_id, own_card)


def _open_bank(name):
    from .bank import MemoryBank

    return MemoryBank.from_pretrained(name)


wrapt.register_post_import_hook(register, "transformers")
