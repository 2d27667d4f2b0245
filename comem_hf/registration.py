"""Registration of this package with transformers, once, as soon as transformers has been imported."""

from pathlib import Path
from types import ModuleType

import wrapt


def register(transformers: ModuleType) -> None:
    """Register configuration, model, processor and pipeline with transformers' Auto classes and pipelines.

    `import comem_hf` does not import transformers, which takes seconds. This function runs at the end of the first
    import of transformers, or at once if it has been imported. The classes must not need a package that itself imports
    transformers, such as PEFT: it could be half imported then.

    Args:
        transformers (`ModuleType`): The module. It resolves its names on first use, so that all can be used here, even
            in the middle of another package's import.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor
    from transformers.pipelines import PIPELINE_REGISTRY

    from comem_hf.modeling.configuration_comem import CoMemConfig
    from comem_hf.modeling.modeling_comem import CoMemForConditionalGeneration
    from comem_hf.modeling.pipeline_arguments_comem import TASK
    from comem_hf.modeling.pipeline_comem import MemoryImageTextToTextPipeline
    from comem_hf.modeling.processing_comem import CoMemProcessor

    AutoConfig.register(CoMemConfig.model_type, CoMemConfig, exist_ok=True)
    AutoModel.register(CoMemConfig, CoMemForConditionalGeneration, exist_ok=True)
    AutoModelForImageTextToText.register(CoMemConfig, CoMemForConditionalGeneration, exist_ok=True)
    AutoProcessor.register(CoMemConfig, CoMemProcessor, exist_ok=True)
    if TASK not in PIPELINE_REGISTRY.supported_tasks:
        PIPELINE_REGISTRY.register_pipeline(
            TASK, MemoryImageTextToTextPipeline, AutoModelForImageTextToText, type="multimodal"
        )
    # The code in Hub repositories leaves these two tasks to an installed package.
    CoMemForConditionalGeneration.card_writer = _write_card
    MemoryImageTextToTextPipeline.bank_opener = _open_bank


def _write_card(model, folder: Path, repo_id: str, own_card: str | None) -> None:
    from comem_hf.cards.model_card import write_model_card

    write_model_card(folder, repo_id, own_card)


def _open_bank(name):
    from .bank import MemoryBank

    return MemoryBank.from_pretrained(name)


wrapt.register_post_import_hook(register, "transformers")
