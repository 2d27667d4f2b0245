"""Tiny models and inputs for transformers' common tests."""

import torch
from transformers import Qwen2_5_VLConfig, Qwen2VLConfig
from transformers_tests.test_modeling_common import floats_tensor, ids_tensor

from comem_hf import CoMemConfig


PAD, BOS, EOS, VISION_START, VISION_END, IMAGE, VIDEO, FIRST_WORD = range(8)


class Qwen2VLTester:
    """A vision-language model as upstream's own tests of Qwen2-VL make it: a batch of 3 prompts, each with a picture.

    Args:
        parent (`unittest.TestCase`): The test.
        family (`str`, *optional*, defaults to `"qwen2_vl"`): Or `"qwen2_5_vl"`.
    """

    # What the common tests read from any tester.
    is_training = True
    batch_size = 3
    seq_length = 12
    num_hidden_layers = 2
    num_attention_heads = 4
    hidden_size = 32
    vocab_size = 99
    image_size = 56
    patch_size = 14

    def __init__(self, parent, family: str = "qwen2_vl"):
        self.parent = parent
        self.family = family
        vision = {"depth": 2, "patch_size": self.patch_size, "spatial_merge_size": 2, "num_heads": 4}
        if family == "qwen2_vl":
            vision |= {"embed_dim": 32, "hidden_size": self.hidden_size, "mlp_ratio": 2}
        else:
            vision |= {"hidden_size": 32, "intermediate_size": 48, "out_hidden_size": self.hidden_size}
            vision |= {"fullatt_block_indexes": [1], "window_size": 56}
        self.vision_config = vision

    def get_config(self):
        text_config = {
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": 37,
            "num_hidden_layers": self.num_hidden_layers,
            "num_attention_heads": self.num_attention_heads,
            "num_key_value_heads": 2,
            "max_position_embeddings": 512,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
            "bos_token_id": BOS,
            "eos_token_id": EOS,
            "pad_token_id": PAD,
        }
        return (Qwen2VLConfig if self.family == "qwen2_vl" else Qwen2_5_VLConfig)(
            text_config=text_config,
            vision_config=self.vision_config,
            vision_start_token_id=VISION_START,
            vision_end_token_id=VISION_END,
            image_token_id=IMAGE,
            video_token_id=VIDEO,
            tie_word_embeddings=True,
        )

    def prepare_config_and_inputs_for_common(self):
        return self.get_config(), self.prompts(self.batch_size)

    def prompts(self, batch_size: int) -> dict[str, torch.Tensor]:
        side = self.image_size // self.patch_size
        tokens = side**2 // self.vision_config["spatial_merge_size"] ** 2
        input_ids = ids_tensor([batch_size, self.seq_length], self.vocab_size - FIRST_WORD) + FIRST_WORD
        input_ids[:, 1] = VISION_START
        input_ids[:, 2 : 2 + tokens] = IMAGE
        input_ids[:, 2 + tokens] = VISION_END
        return {
            "input_ids": input_ids,
            "attention_mask": torch.ones_like(input_ids),
            "mm_token_type_ids": (input_ids == IMAGE).int(),
            "pixel_values": floats_tensor([batch_size * side**2, 3 * 2 * self.patch_size**2]),
            "image_grid_thw": torch.tensor([[1, side, side]] * batch_size),
        }


class CoMemTester(Qwen2VLTester):
    """The same prompts for our model, each with two memory items of its own, on a backbone of the same configuration.

    Args:
        parent (`unittest.TestCase`): The test.
        family (`str`, *optional*, defaults to `"qwen2_vl"`): Type of the backbone.
        **config: Fields of [`CoMemConfig`].
    """

    num_items = 2
    num_memory_tokens = 2
    memory_is_stored = False

    def __init__(self, parent, family: str = "qwen2_vl", **config):
        super().__init__(parent, family)
        self.config = config
        # Hidden states and attentions include the memory.
        self.encoder_seq_length = self.seq_length + self.num_items * self.num_memory_tokens

    def get_config(self):
        return CoMemConfig(
            backbone_config=super().get_config(),
            num_memory_tokens=self.num_memory_tokens,
            resampler_config={"num_hidden_layers": 2},
            lora_config={"r": 2, "lora_alpha": 4},
            **self.config,
        )

    def prepare_config_and_inputs_for_common(self):
        config, inputs = super().prepare_config_and_inputs_for_common()
        if self.memory_is_stored:
            shape = [self.batch_size, self.num_items, self.num_memory_tokens, self.hidden_size]
            return config, {**inputs, "memory_inputs": floats_tensor(shape)}
        items = self.prompts(self.batch_size * self.num_items)
        items["item_counts"] = torch.tensor([self.num_items] * self.batch_size)
        return config, {**inputs, "memory_inputs": items}
