"""Whether a model can be trained by the objectives that are asked for."""

from transformers import TrainingArguments

from comem_hf.modeling import CoMemForConditionalGeneration
from comem_hf.training.parts.freezing import trainable_parameters
from comem_hf.training.parts.items import needs_items


RESAMPLER_LAYERS = "memory_encoder.resampler.layers."


def check_objectives(model: CoMemForConditionalGeneration, args: TrainingArguments, items_in_prompt: bool) -> None:
    """Refuse objectives that the model, or what is trained of it, cannot have.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model about to be trained.
        args ([`MemoryTrainingArguments`]): The settings.
        items_in_prompt (`bool`): Whether the rows' items will be written into the prompts.

    Raises:
        ValueError: If there is such an objective; the message names the argument.
    """
    config = model.config
    resampler = [name for name in trainable_parameters(model) if name.startswith(RESAMPLER_LAYERS)]
    if args.muon_learning_rate is not None and not resampler:
        raise ValueError("`muon_learning_rate` is for the resampler's layers, and none is trained here; leave it out.")
    if args.distillation_weight > 0:
        _check_distillation(model)
    asked = {
        "reconstruction_weight": args.reconstruction_weight > 0,
        "contrastive_weight": args.contrastive_weight > 0,
        "nested_memory_lengths": args.nested_memory_lengths is not None,
    }
    for name in (name for name, is_asked in asked.items() if is_asked):
        if items_in_prompt or not needs_items(model):
            raise ValueError(
                f"`{name}` is for training on memory items, and nothing that is trained here learns from them: leave "
                "it out, or train the memory encoder."
            )
    if asked["nested_memory_lengths"] and max(args.nested_memory_lengths) > config.num_memory_tokens:
        raise ValueError(
            f"`nested_memory_lengths` must be at most {config.num_memory_tokens}, the model's `num_memory_tokens`, "
            f"got {args.nested_memory_lengths}."
        )
    if not asked["contrastive_weight"]:
        return
    for field in ("ffn_memory_config", "reader_config"):
        if getattr(config, field) is not None:
            raise ValueError(
                f"`contrastive_weight` compares memory and question in the backbone's layers, and cannot be combined "
                f"with `{field}`; set it to 0."
            )
    most = config.get_text_config().num_hidden_layers
    if args.contrastive_layer is not None and args.contrastive_layer > most:
        raise ValueError(
            f"`contrastive_layer` must be from 0 to {most}, the last one, got {args.contrastive_layer!r}."
        )


def _check_distillation(model: CoMemForConditionalGeneration) -> None:
    reader = model.reader_adapter
    if reader is not None and any(parameter.requires_grad for parameter in reader.parameters()):
        raise ValueError(
            "`distillation_weight` cannot be combined with training the reader: the teacher is the reader itself, "
            "with the items in its prompt; set it to 0, or do not train the reader."
        )
    if model.reader is not None:
        raise ValueError(
            "`distillation_weight` cannot be combined with a text-only reader: the teacher is the backbone, whose "
            "answers are not the reader's; set it to 0."
        )
