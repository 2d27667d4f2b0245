"""New models on the frozen backbone, one for each way."""

from transformers import (
    AutoModelForImageTextToText,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLForConditionalGeneration,
    set_seed,
)

from comem_hf import CoMemForConditionalGeneration

from .run import Run
from .ways import Way


READER_SETTINGS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "rms_norm_eps",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
)


def text_reader(backbone: Qwen2VLForConditionalGeneration) -> Qwen2ForCausalLM:
    """Return the backbone's text model as a model of its own that knows nothing of pictures.

    Where a token's three positions are equal, as in text, Qwen2-VL's text model is Qwen2's.
    """
    text = backbone.config.get_text_config()
    settings = {name: getattr(text, name) for name in READER_SETTINGS}
    rope = {"rope_type": "default", "rope_theta": text.rope_parameters["rope_theta"]}
    reader = Qwen2ForCausalLM(Qwen2Config(**settings, rope_parameters=rope))
    reader.model.load_state_dict(backbone.model.language_model.state_dict())
    reader.lm_head.load_state_dict(backbone.lm_head.state_dict())
    reader.generation_config = backbone.generation_config
    return reader.eval()


def new_model(way: Way, run: Run) -> CoMemForConditionalGeneration:
    """Make the untrained model of a way; the same seed gives the same weights."""
    backbone = AutoModelForImageTextToText.from_pretrained(run.backbone)
    reader = {"reader": text_reader(backbone)} if way.text_reader else {}
    set_seed(run.seed)
    model = CoMemForConditionalGeneration.from_backbone(backbone, **reader, **way.config)
    model.set_attn_implementation("eager")  # on a CPU, training with it is 1.4 times as fast as with sdpa
    return model


def load_model(way: Way, run: Run) -> PreTrainedModel:
    """Load the trained model of a way, or the backbone where nothing is trained."""
    is_trained = way.config is not None
    return AutoModelForImageTextToText.from_pretrained(run.model(way) if is_trained else run.backbone).eval()
