"""Settings of `comem train` beside those of the training itself: the model and the data."""

from dataclasses import dataclass, field


@dataclass
class ModelSettings:
    """What is trained, and what is new about it.

    Args:
        model (`str`): A backbone (Qwen2-VL, Qwen2.5-VL) or a comem model: folder or Hub id.
        model_revision (`str`, *optional*): Branch, tag or commit of a model on the Hub.
        encoder (`str`, *optional*): New memory encoder: `adapter` on the backbone's weights (the default), or
            `separate` weights of its own.
        num_memory_tokens (`int`, *optional*): Vectors per item of a new memory encoder (8); 0: none, the model takes
            no items.
        resampler (`dict`, *optional*): Settings of a new resampler, an object of `resampler_config`.
        lora_rank (`int`, *optional*): Rank of a new adapter (16).
        lora_alpha (`float`, *optional*): Scale of a new adapter (32).
        lora_dropout (`float`, *optional*): Dropout of a new adapter (0.05).
        lora_config (`dict`, *optional*): Further settings of a new adapter, an object of `lora_config`:
            `target_modules`, `rank_pattern`, `alpha_pattern`.
        memory_order (`str`, *optional*): Order of the items of a new model: `given` (the default) or `reversed`.
        query_vision (`str`, *optional*): Vision tower that sees the question's pictures in a new model: `backbone`
            (the default) or `encoder`.
        reader (`str`, *optional*): A text-only language model that answers in a new backbone's place: folder or Hub
            id.
        ffn_memory (`dict`, *optional*): Add memory in the feed-forward layers: an object of settings
            (`ffn_memory_config`, see docs/how-to/places-of-memory.md), or `{}` for its defaults, by which the prompt's
            pictures are the source.
        vision_memory (`dict`, *optional*): Add memory in the vision tower: an object of settings
            (`vision_memory_config`, see docs/how-to/places-of-memory.md), or `{}` for its defaults.
        only (`list[str]`, *optional*): Train these parts alone: `memory-encoder`, `ffn-memory`, `vision-memory`,
            `reader-adapter` or `reader` (the projection of a text-only reader). All that is the model's own by
            default.
        train_reader (`bool`, *optional*): Train an adapter on the model that answers, too.
        attn_implementation (`str`, *optional*): Attention, such as `sdpa` or `eager`. What the model loads with by
            default.
        save_backbone (`bool`, *optional*): Save the backbone with the result, even if it is on the Hub.
        memory_only (`bool`, *optional*): Leave the backbone out of the result, even if it is a folder.
    """

    model: str | None = None
    model_revision: str | None = None
    encoder: str | None = None
    num_memory_tokens: int | None = None
    resampler: dict | str | None = None
    lora_rank: int | None = None
    lora_alpha: float | None = None
    lora_dropout: float | None = None
    lora_config: dict | str | None = None
    memory_order: str | None = None
    query_vision: str | None = None
    reader: str | None = None
    ffn_memory: dict | str | None = None
    vision_memory: dict | str | None = None
    only: list[str] | None = field(default=None, metadata={"action": "extend"})  # `--only a --only b`
    train_reader: bool = False
    attn_implementation: str | None = None
    save_backbone: bool = False
    memory_only: bool = False


@dataclass
class DataSettings:
    """The rows that are trained and evaluated on.

    Args:
        data (`str`): Training rows: a file, a folder, or the id of a data set on the Hub.
        eval_data (`str`, *optional*): Rows for evaluation, in the same forms; after each epoch unless `eval_strategy`
            says otherwise.
        split (`str`, *optional*): Split of a data set.
        eval_split (`str`, *optional*): Split of the evaluation's data set.
        subset (`str`, *optional*): Configuration of a data set that has several.
        data_revision (`str`, *optional*): Revision of a data set on the Hub.
        streaming (`bool`, *optional*): Read the training rows as they come; needs `max_steps`.
        shuffle_buffer (`int`, *optional*): Number of streamed rows of which the next one is drawn; 0 keeps their
            order.
        ignore (`list[str]`, *optional*): Keys of rows that are not read, whatever their names.
        items_in_prompt (`bool`, *optional*): Write items into the prompts, for a model that takes none.
        shuffle (`bool`, *optional*): Shuffle the rows; `--no-shuffle` keeps them in order.
    """

    data: str | None = None
    eval_data: str | None = None
    split: str | None = None
    eval_split: str | None = None
    subset: str | None = None
    data_revision: str | None = None
    streaming: bool = False
    shuffle_buffer: int = 0
    ignore: list[str] | None = field(default=None, metadata={"action": "extend"})
    items_in_prompt: bool = False
    shuffle: bool = True
