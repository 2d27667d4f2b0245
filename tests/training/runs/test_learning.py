"""A memory encoder learns: from scratch to right answers out of memory, in a few minutes on the CPU."""

import random

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from torch.utils.data import Dataset
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Trainer,
    TrainerCallback,
    set_seed,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryItem
from comem_hf.training import (
    MemoryCollator,
    MemoryTrainingArguments,
    TrainingSample,
    items_in_context,
    train_memory_encoder,
)


pytestmark = pytest.mark.slow

FIELDS = ("capital", "currency", "language", "river")
VALUES = tuple(f"value{i}" for i in range(60))
BATCH_SIZE = 32
MOST_STEPS = 600  # about 150 are enough


class InventedFacts(Dataset):
    """Rows made from their index: an item states a fact drawn by chance, the question asks for it."""

    def __init__(self, length: int, *, in_context: bool = False, first_seed: int = 0):
        self.length, self.in_context, self.first_seed = length, in_context, first_seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> TrainingSample:
        draw = random.Random(self.first_seed + index)
        field, value = draw.choice(FIELDS), draw.choice(VALUES)
        item = MemoryItem(text=f"the {field} is {value}")
        sample = TrainingSample.from_row({"question": f"{field} ?", "answer": value, "memories": [item]})
        return items_in_context(sample) if self.in_context else sample


@pytest.fixture(scope="module")
def processor() -> CoMemProcessor:
    """A tokenizer to which every word of the facts is one token."""
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
    special += ("<|video_pad|>", "<|unknown|>")
    words = (*special, "user", "assistant", "the", "is", "?", *FIELDS, *VALUES)
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<|unknown|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left"
    )
    template = (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
        "{% for part in message['content'] %}{{ part['text'] }}{% endfor %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return CoMemProcessor(Qwen2VLImageProcessorPil(), fast, chat_template=template)


def make_backbone(processor: CoMemProcessor) -> Qwen2VLForConditionalGeneration:
    """A random Qwen2-VL of about 1.3 million parameters."""
    token = processor.tokenizer.convert_tokens_to_ids
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(processor.tokenizer),
            "hidden_size": 128,
            "intermediate_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": 512,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
            "pad_token_id": token("<|endoftext|>"),
            "eos_token_id": token("<|im_end|>"),
            "bos_token_id": None,
            "initializer_range": 0.08,  # about 1 / sqrt(hidden size): small models learn faster from it
        },
        vision_config={"depth": 1, "embed_dim": 64, "hidden_size": 128, "mlp_ratio": 2, "num_heads": 2},
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )
    return Qwen2VLForConditionalGeneration(config)


def exact_match(model, processor: CoMemProcessor, dataset: InventedFacts, *, with_memory: bool = True) -> float:
    """Share of rows whose one question is answered by the right word and nothing else, greedily."""
    samples = [dataset[i] for i in range(len(dataset))]
    prompts = [
        processor.apply_chat_template(sample.messages[:-1], add_generation_prompt=True, tokenize=False)
        for sample in samples
    ]
    memories = [sample.memories for sample in samples] if with_memory and not dataset.in_context else None
    inputs = processor(text=prompts, memories=memories, padding=True, padding_side="left", return_tensors="pt")
    output = model.generate(**inputs, max_new_tokens=3, do_sample=False)
    answers = processor.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    expected = [sample.messages[-1]["content"][0]["text"] for sample in samples]
    return sum(a.strip() == e for a, e in zip(answers, expected, strict=True)) / len(samples)


class StopWhenLearned(TrainerCallback):
    """Ends training once the loss is next to nothing."""

    def on_log(self, args, state, control, logs=None, **kwargs):
        control.should_training_stop |= logs.get("loss", 1.0) < 0.02


def settings(output_dir) -> MemoryTrainingArguments:
    return MemoryTrainingArguments(
        output_dir=str(output_dir),
        max_steps=MOST_STEPS,
        per_device_train_batch_size=BATCH_SIZE,
        gradient_accumulation_steps=1,
        learning_rate=1e-3,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=20,
        weight_decay=0.01,
        max_grad_norm=1.0,
        save_strategy="no",
        logging_steps=25,
        disable_tqdm=True,
        use_cpu=True,
        seed=0,
    )


def test_memory_encoder_learns_to_say_in_vectors_what_the_backbone_can_read(processor, tmp_path):
    set_seed(0)
    backbone = make_backbone(processor)
    read = InventedFacts(BATCH_SIZE * MOST_STEPS, in_context=True)
    Trainer(
        model=backbone,
        args=settings(tmp_path / "backbone"),
        train_dataset=read,
        data_collator=MemoryCollator(processor),
        callbacks=[StopWhenLearned()],
    ).train()
    backbone.eval().requires_grad_(False)
    held_out = {"first_seed": 10**9}
    assert exact_match(backbone, processor, InventedFacts(200, in_context=True, **held_out)) == 1.0

    frozen = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    model = CoMemForConditionalGeneration.from_backbone(backbone, lora_config={"lora_dropout": 0.0})
    facts = InventedFacts(BATCH_SIZE * MOST_STEPS)
    train_memory_encoder(model, processor, facts, settings(tmp_path / "model"), callbacks=[StopWhenLearned()])

    for name, tensor in model.backbone.state_dict().items():
        assert torch.equal(tensor, frozen[name]), name
    asked = InventedFacts(200, **held_out)
    assert exact_match(model, processor, asked) >= 0.9
    assert exact_match(model, processor, asked, with_memory=False) <= 0.1
