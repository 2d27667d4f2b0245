"""A frozen vision-language model that answers with the help of memory vectors."""

import copy
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForImageTextToText, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs, can_return_tuple

from .backbone_comem import commit_in_cache, commit_of, load_backbone, refuse_adapters
from .backbone_inputs_comem import CoMemBackboneInputsMixin
from .base_model_comem import CoMemBaseModel
from .cache_name_comem import CACHE_NAME, given_cache
from .checkpoint_comem import CoMemCheckpointMixin
from .configuration_comem import CoMemConfig
from .field_checks_comem import check_at_most
from .generation_comem import CoMemGenerationMixin
from .layer_mix_comem import CoMemLayerMix
from .logits_where_comem import CoMemLogitsMixin, is_mask
from .memory_encoder_comem import CoMemMemoryEncoder
from .memory_inputs import check_items
from .memory_sites_comem import CoMemSitesMixin, refuse_reentrant_checkpointing
from .placement_comem import execution_device
from .prompt_with_memory_comem import IGNORE_INDEX, CoMemPromptMixin
from .reader_adapter_comem import CoMemReaderMixin
from .reader_comem import CoMemReader
from .reader_loading_comem import load_reader
from .reading_comem import CoMemReadingMixin
from .resampler_comem import Projection, root_mean_square


class CoMemForConditionalGeneration(
    CoMemCheckpointMixin,
    CoMemReaderMixin,
    CoMemReadingMixin,
    CoMemSitesMixin,
    CoMemBackboneInputsMixin,
    CoMemPromptMixin,
    CoMemLogitsMixin,
    CoMemGenerationMixin,
    PreTrainedModel,
):
    """A vision-language model with memory in front of its prompts.

    The backbone is frozen and never changed: without `memory_inputs` this model *is* its backbone, bit for bit. With
    them, each item becomes `num_memory_tokens` vectors in front of the prompt's embeddings. If there is a text-only
    reader, that one answers, with memory and without (see [`CoMemReadingMixin`]).

    Args:
        config ([`CoMemConfig`]): The configuration.
        backbone ([`~transformers.PreTrainedModel`], *optional*): A loaded Qwen2-VL or Qwen2.5-VL to build on; its
            weights are used as they are, not copied. If not given, it is made from `config.backbone_config`, with
            random weights.
        reader ([`~transformers.PreTrainedModel`], *optional*): A loaded text-only reader, the same way. If not given,
            and `config.reader_config` is, it is made from that, with random weights.
    """

    config_class = CoMemConfig
    _auto_class = "AutoModel"  # saving also copies the source files
    base_model_prefix = "backbone"
    main_input_name = "input_ids"
    input_modalities = ("image", "video", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _skip_keys_device_placement = ["cache", "past_key_values"]
    _no_split_modules = [
        "Qwen2VLDecoderLayer",
        "Qwen2VLVisionBlock",
        "Qwen2_5_VLDecoderLayer",
        "Qwen2_5_VLVisionBlock",
        "CoMemQwen2VLDecoderLayer",
        "CoMemQwen2VLVisionBlock",
        "CoMemQwen2_5_VLDecoderLayer",
        "CoMemQwen2_5_VLVisionBlock",
        "CoMemMeanPooling",
        "CoMemResampler",
    ]

    def __init__(
        self,
        config: CoMemConfig,
        backbone: PreTrainedModel | None = None,
        reader: PreTrainedModel | None = None,
    ):
        super().__init__(config)
        if backbone is None:
            backbone = AutoModelForImageTextToText.from_config(config.backbone_config)
        else:
            for module in backbone.modules():  # a model made on the meta device is not marked and would be drawn again
                module._is_hf_initialized = True
        self.backbone = backbone
        self.memory_encoder = CoMemMemoryEncoder(config, backbone)
        self._make_reader_adapter()
        self._make_sites()
        self.reader = None if config.reader_config is None else CoMemReader(config, reader)
        self.post_init()
        self._name_whole_layers()
        self.freeze_backbone()
        self.memory_encoder.note_weights()

    @classmethod
    def from_backbone(
        cls,
        backbone: str | PreTrainedModel,
        *,
        reader: str | PreTrainedModel | None = None,
        backbone_kwargs: dict[str, Any] | None = None,
        **config,
    ) -> "CoMemForConditionalGeneration":
        """Put a new, untrained memory encoder on a backbone.

        New memory vectors have the root mean square of the backbone's token embeddings, so that training starts inside
        the range that the backbone knows, and the resampler's attention starts sharp (see [`CoMemResampler.start`]).
        A model made from a configuration alone has neither property: its weights must be loaded.

        Args:
            backbone (`str` or [`~transformers.PreTrainedModel`]): Repository, folder or loaded model. The weights of a
                loaded model are used as they are, not copied, and are frozen.
            reader (`str` or [`~transformers.PreTrainedModel`], *optional*): A text-only causal language model that
                reads in the backbone's place, in the same forms; it is frozen, too.
            backbone_kwargs (`dict`, *optional*): Arguments for the backbone's `from_pretrained`, such as `dtype`, and
                for that of a reader.
            **config: Fields of [`CoMemConfig`]. For a loaded model from the Hub, give `backbone_revision` if it is not
                the latest commit in the cache.

        Raises:
            ValueError: If the backbone's files lack weights, if adapters are on it, or if a field is wrong.
        """
        refuse_adapters(backbone)
        if config.get("reader_config") is not None and reader is None:
            raise ValueError(
                "`reader_config` alone would make a reader with random weights; pass a causal language model as "
                "`reader`, by name or loaded."
            )
        if not isinstance(backbone, PreTrainedModel):
            name, backbone_kwargs = backbone, backbone_kwargs or {}
            backbone = load_backbone(name, **backbone_kwargs)
            config.setdefault("backbone_revision", commit_of(name, backbone_kwargs))
        name = config.setdefault("backbone_name_or_path", backbone.config.name_or_path or None)
        if "backbone_revision" not in config:
            config["backbone_revision"] = commit_in_cache(name)
        if reader is not None:
            reader, of_reader = load_reader(reader, backbone, config.get("reader_revision"), backbone_kwargs)
            config = of_reader | config
        model = cls(CoMemConfig(backbone_config=backbone.config, **config), backbone=backbone, reader=reader)
        model.memory_encoder.place(backbone)
        model._place_sites()
        for site in model._sites().values():  # `_init_weights` is not called for what has no tensor of its own
            site.start()
        if model.memory_encoder.resampler is not None:
            with torch.no_grad():
                embeddings = backbone.get_input_embeddings().weight
                model.memory_encoder.resampler.start(size=root_mean_square(embeddings))
        if model.reader is not None:
            model.reader.place()
            model.reader.start()
        if backbone.generation_config is not None:
            model.generation_config = copy.deepcopy(backbone.generation_config)
        return model.train(backbone.training)

    @property
    def device(self) -> torch.device:
        """The device for inputs."""
        return execution_device(self.backbone.get_input_embeddings())

    def _name_whole_layers(self):
        """Leave of `_no_split_modules` what the model has; FSDP refuses the names of other families' layers."""
        present = {type(module).__name__ for module in self.modules()}
        named = {*type(self)._no_split_modules, *(self._no_split_modules or ())}  # and those of backbone and reader
        self._no_split_modules = sorted(named & present)

    def freeze_backbone(self):
        """Require gradients for the tensors of memory alone: not for the backbone, nor for a text-only reader."""
        self.requires_grad_(False)
        own = self.memory_encoder_parameters() | self.site_parameters() | self.reader_parameters()
        for parameter in own.values():
            parameter.requires_grad_(True)

    def memory_encoder_parameters(self) -> dict[str, nn.Parameter]:
        """Return the tensors that belong to the memory encoder alone (adapter and resampler), by name."""
        return {f"memory_encoder.{name}": parameter for name, parameter in self.memory_encoder.named_parameters()}

    def _set_gradient_checkpointing(self, *args, **kwargs):
        if self._sites() or self.memory_encoder.mixed_layers:
            refuse_reentrant_checkpointing(kwargs.get("gradient_checkpointing_func", args[-1] if args else None))
        super()._set_gradient_checkpointing(*args, **kwargs)
        self.memory_encoder.model._set_gradient_checkpointing(*args, **kwargs)  # even if it is no submodule

    def enable_input_require_grads(self):
        super().enable_input_require_grads()
        if self.memory_encoder.shares_weights:
            self.memory_encoder.model.enable_input_require_grads()

    def disable_input_require_grads(self):
        super().disable_input_require_grads()
        if self.memory_encoder.shares_weights:
            self.memory_encoder.model.disable_input_require_grads()

    def get_input_embeddings(self) -> nn.Module:
        return self._vocabulary_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module):
        self._vocabulary_model.set_input_embeddings(value)
        if self.memory_encoder.shares_weights and self._vocabulary_model is self.backbone:
            self.memory_encoder.model.set_input_embeddings(value)
            self.memory_encoder.note_weights()

    def get_output_embeddings(self) -> nn.Module:
        return self._vocabulary_model.get_output_embeddings()

    def set_output_embeddings(self, new_embeddings: nn.Module):
        self._vocabulary_model.set_output_embeddings(new_embeddings)

    def resize_token_embeddings(self, *args, **kwargs) -> nn.Embedding:
        """Resize as [`~transformers.PreTrainedModel`] does; an encoder's own weights get the backbone's new rows."""
        if self.reader is not None:
            raise ValueError(
                "The embeddings of a model with a text-only reader cannot be resized; resize those of backbone and "
                "reader before `from_backbone`."
            )
        embeddings = super().resize_token_embeddings(*args, **kwargs)
        encoder, size = self.memory_encoder.model, embeddings.num_embeddings
        known = encoder.get_input_embeddings().num_embeddings
        if not self.memory_encoder.shares_weights and size != known:
            new = encoder.resize_token_embeddings(size, mean_resizing=False).weight
            with torch.no_grad():
                new[known:].copy_(embeddings.weight[known:])
        return embeddings

    @can_return_tuple
    def get_image_features(self, pixel_values: torch.Tensor, image_grid_thw: torch.Tensor | None = None, **kwargs):
        """Run the backbone's vision tower; see the backbone's method of the same name.

        Raises:
            ValueError: If memory in the vision tower makes the features depend on the question.
        """
        kwargs = self._with_adapters_of_tower(kwargs)
        return self.backbone.get_image_features(pixel_values, image_grid_thw, **kwargs)

    @can_return_tuple
    def get_video_features(
        self, pixel_values_videos: torch.Tensor, video_grid_thw: torch.Tensor | None = None, **kwargs
    ):
        """Run the backbone's vision tower; see the backbone's method of the same name.

        Raises:
            ValueError: If memory in the vision tower makes the features depend on the question.
        """
        kwargs = self._with_adapters_of_tower(kwargs)
        return self.backbone.get_video_features(pixel_values_videos, video_grid_thw, **kwargs)

    def encode_memory(self, memory_inputs, num_memory_tokens: int | None = None) -> torch.Tensor:
        """Turn items into memory vectors, all in one batch. Items see neither each other nor the question.

        Args:
            memory_inputs (mapping): Raw items, as the processor makes them (see [`MemoryInputs`]).
            num_memory_tokens (`int`, *optional*): How many of each item's vectors are returned, from the first on; by
                default all. Fewer are good for answers if the encoder was trained with `nested_memory_lengths`.

        Returns:
            `torch.Tensor` of shape `(items, num_memory_tokens, hidden)`; with `item_index`, those that it names.

        Raises:
            ValueError: If the model has no memory encoder, or its items have fewer vectors.
        """
        self._refuse_items_without_encoder()
        most = self.config.num_memory_tokens
        count = most if num_memory_tokens is None else num_memory_tokens
        check_at_most("num_memory_tokens", count, most, "the memory encoder's own number")
        self.memory_encoder.check_weights()
        items = check_items(memory_inputs).to(self.device)
        if items["input_ids"].shape[0] == 0:
            shape = (0, count, self.config.hidden_size)
            return torch.zeros(shape, device=self.device, dtype=self.dtype)
        vectors = self.memory_encoder(items)[:, :count]
        return vectors if items.get("item_index") is None else vectors[items["item_index"].to(vectors.device)]

    @property
    def base_model(self) -> nn.Module:
        """The model without its language modelling head (see [`CoMemBaseModel`])."""
        return CoMemBaseModel(self)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        cache=None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        use_cache: bool | None = None,
        pixel_values: torch.Tensor | None = None,
        pixel_values_videos: torch.Tensor | None = None,
        image_grid_thw: torch.LongTensor | None = None,
        video_grid_thw: torch.LongTensor | None = None,
        mm_token_type_ids: torch.IntTensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        memory_inputs=None,
        past_key_values=None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> CausalLMOutputWithPast:
        """Run the backbone's `forward`, with memory in its places: in front of the prompt, or in its layers.

        Args:
            attention_mask (`torch.Tensor` of shape `(batch, length)`, *optional*): 0 where a prompt is padded. With
                memory it is found from the padding token, if that is not given, as `generate` finds it.
            cache ([`~transformers.Cache`], *optional*): Keys and values of the text so far; `past_key_values` is the
                same argument by its name before transformers 5.24.
            use_cache (`bool`, *optional*): Whether keys and values are kept; by default what the backbone's
                configuration says, but not in training with `labels`.
            logits_to_keep (`int` or `torch.Tensor`, *optional*, defaults to `0`): Positions that get logits: so many
                at the end (0: all), or those of a 1-D tensor. A boolean mask `(batch, length)` keeps the positions
                where it is true, other ones in each row: `logits` then has the shape `(true, vocabulary)`, and `loss`
                counts the labels that are predicted there.
            memory_inputs (mapping or `torch.Tensor`, *optional*): Memory of each prompt, as items or stored vectors
                (see [`MemoryInputs`]). With memory, `inputs_embeds` are accepted, but `position_ids` are not.

        Returns:
            [`~transformers.modeling_outputs.CausalLMOutputWithPast`]: `logits` and `labels` are aligned with
            `input_ids`; the cache, `hidden_states` and `attentions` include the memory, and lack pictures that left
            the sequence. To continue from a cache, leave `memory_inputs` out; `attention_mask`, if given, covers
            prompt and new tokens. `loss` has the alignment loss of memory in the vision tower in it, in training.
        """
        if use_cache is None and labels is not None and self.training:
            use_cache = False  # nobody goes on from a text that is learned
        inputs, prompt = self._inputs_of_backbone(
            input_ids,
            attention_mask,
            position_ids,
            given_cache(cache, past_key_values),
            inputs_embeds,
            use_cache=use_cache,
            pixel_values=pixel_values,
            pixel_values_videos=pixel_values_videos,
            image_grid_thw=image_grid_thw,
            video_grid_thw=video_grid_thw,
            mm_token_type_ids=mm_token_type_ids,
            memory_inputs=memory_inputs,
            labels=labels,
            **kwargs,
        )
        if is_mask(logits_to_keep):
            output = self._logits_where(logits_to_keep, inputs, prompt, labels)
        elif self.reader is not None:
            return self._with_whole_graph(self._read(inputs, prompt, labels, logits_to_keep))
        elif prompt is None:
            output = self.backbone(**inputs, labels=labels, logits_to_keep=logits_to_keep)
        else:
            labels = prompt.labels_in_sequence(labels)
            kept = prompt.logits_in_sequence(logits_to_keep)
            output = self.backbone(**inputs, labels=labels, logits_to_keep=kept)
            output.logits = prompt.logits_of_prompt(output.logits, logits_to_keep)
            self._remember_memory(getattr(output, CACHE_NAME, inputs[CACHE_NAME]), prompt)
            prompt.add_vision_outputs(output)
        if prompt is not None and prompt.alignment_loss is not None and output.loss is not None:
            # With accumulation, a batch counts by its share of the answers, as in the backbone's own loss.
            count = kwargs.get("num_items_in_batch")
            share = 1.0 if count is None else (labels[:, 1:] != IGNORE_INDEX).sum() / count
            output.loss = output.loss + prompt.alignment_loss * share
        return self._with_whole_graph(output)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module):
        # Only our own modules are initialised here; the backbone and the adapters initialise themselves.
        super()._init_weights(module)
        if isinstance(module, Projection):
            init.xavier_uniform_(module.weight)  # torch's default has a third of this variance and shrinks signals
        elif isinstance(module, CoMemLayerMix):
            init.zeros_(module.logits)
        elif isinstance(module, nn.Embedding):  # the queries must differ, or all memory vectors would be the same
            init.normal_(module.weight)


__all__ = ["CoMemForConditionalGeneration"]
