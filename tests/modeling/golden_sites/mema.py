"""The published Mema model around our modules: its CLIP tower, a tiny LLaVA, and the authors' names of our tensors."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from comem_hf.modeling.alignment_loss_comem import alignment_loss, answer_mean, mean_of_images, question_mean
from comem_hf.modeling.vision_memory_comem import CoMemVisionMemory, VisionMemory


PUBLISHED_NAMES = {
    "text_projection": "text_global_proj",
    "pooling_projection": "y_proj",
    "unit.reduce": "dsu.W1",
    "unit.candidate": "dsu.Wc",
    "unit.write": "dsu.Wi",
    "unit.keep": "dsu.Wf",
    "unit.candidate_offset.bias": "dsu.bc",
    "unit.write_offset.bias": "dsu.bi",
    "unit.keep_offset.bias": "dsu.bf",
    "gate.delta_in": "spatial_gate.delta.0",
    "gate.delta_out": "spatial_gate.delta.2",
    "gate.alpha": "spatial_gate.alpha_proj",
}
TOWER = "model.vision_tower."


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors and metadata of a golden file."""
    with safe_open(path, "pt") as file:
        metadata = {name: read_value(value) for name, value in (file.metadata() or {}).items()}
        return {name: file.get_tensor(name) for name in file.keys()}, metadata


def read_value(text: str):
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors whose names begin so, without that beginning."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def published_name(name: str) -> str:
    """The authors' name of a tensor of ours."""
    if name in PUBLISHED_NAMES:
        return PUBLISHED_NAMES[name]
    layer, _, kind = name.rpartition(".")
    return f"{PUBLISHED_NAMES[layer]}.{kind}"


def vision_memory(weights: dict[str, torch.Tensor]) -> CoMemVisionMemory:
    """Our module with the authors' weights; shapes tell the sizes."""
    vision_size, text_size = weights["text_global_proj.weight"].shape
    ratio = vision_size // weights["dsu.W1.weight"].shape[0]
    config = {"reduction_ratio": ratio, "pooling": "mean_max_class", "alignment_weight": 0.1}
    module = CoMemVisionMemory(config, vision_size, text_size)
    names = {name: published_name(name) for name in module.state_dict()}
    assert sorted(names.values()) == sorted(weights)
    module.load_state_dict({ours: weights[theirs] for ours, theirs in names.items()})
    return module


def begin(module: CoMemVisionMemory, question, images_per_sample, tokens: torch.Tensor) -> VisionMemory:
    """Our state of a call in which all images have the same number of tokens."""
    counts = torch.as_tensor(images_per_sample)
    sample_of_image = torch.arange(len(counts)).repeat_interleave(counts)
    return module.begin(question, sample_of_image, torch.full((tokens.shape[0],), tokens.shape[1]))


def run_layers(layers: Sequence[Callable], memory: VisionMemory | None, tokens: torch.Tensor) -> list[torch.Tensor]:
    """The input of layers `(images, length, width)`, then the output of each."""
    outputs = [tokens]
    for index, layer in enumerate(layers):
        tokens = layer(tokens)
        if memory is not None:
            tokens = memory.after_block(index, tokens)
        outputs.append(tokens)
    return outputs


class Observed:
    """What our modules compute in a block of code, by the names of the README of the golden files."""

    def __init__(self, module: CoMemVisionMemory, images: int):
        self.module, self.images = module, images
        self.seen: dict[str, list[torch.Tensor]] = {}

    def __enter__(self):
        module = self.module
        self.handles = [
            self._note(module.pooling_projection, lambda given, made: {"pooled": given, "y": made}),
            self._note(module.unit, lambda given, made: {"c": made}),
            self._note(module.gate, lambda given, made: {"h": self._per_image(given)}),
            self._note(module.gate.delta_out, lambda given, made: {"delta": self._per_image(made.tanh())}),
            self._note(module.gate.alpha, lambda given, made: {"a": self._per_image(made.sigmoid())}),
        ]
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()
        self.values = {name: torch.stack(values) for name, values in self.seen.items()}

    def _note(self, module: nn.Module, names: Callable):
        def note(_, given, made):
            for name, value in names(given[0], made).items():
                self.seen.setdefault(name, []).append(value)

        return module.register_forward_hook(note)

    def _per_image(self, states: torch.Tensor) -> torch.Tensor:
        return states.unflatten(0, (self.images, -1))


class ClipTower:
    """Hugging Face's CLIP tower, its layers run one by one."""

    def __init__(self, tensors: dict[str, torch.Tensor], config: dict):
        model = CLIPVisionModel(CLIPVisionConfig(**config, attn_implementation="eager")).eval()
        # Where `vision_model` is a part of the model depends on the version of transformers.
        self.model = getattr(model, "vision_model", model)
        weights = part(tensors, "clip.vision_model.")
        missing, unexpected = self.model.load_state_dict(weights, strict=False)
        assert not unexpected and all("position_ids" in name for name in missing)
        self.model.requires_grad_(False)

    def embed(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.model.pre_layrnorm(self.model.embeddings(pixel_values))

    def layers(self) -> list[Callable]:
        return [lambda tokens, layer=layer: layer(tokens, attention_mask=None) for layer in self.model.encoder.layers]


def features(outputs: list[torch.Tensor]) -> torch.Tensor:
    """Image features: the tokens after the last layer but one, without the class token."""
    return outputs[-2][:, 1:]


def projector(weights: dict[str, torch.Tensor]) -> nn.Sequential:
    """LLaVA's projector, by its tensors `0.*` and `2.*`."""
    (middle, width), size = weights["0.weight"].shape, weights["2.weight"].shape[0]
    module = nn.Sequential(nn.Linear(width, middle), nn.GELU(), nn.Linear(middle, size))
    module.load_state_dict(weights)
    return module.requires_grad_(False)


class Llava:
    """LLaVA with a CLIP tower that has our memory; the text model is Hugging Face's."""

    def __init__(self, tower: ClipTower, tensors: dict[str, torch.Tensor], metadata: dict):
        settings = dict(metadata["llm"])
        rope = {"rope_type": "default", "rope_theta": settings.pop("rope_theta")}
        config = LlamaConfig(**settings, rope_parameters=rope, attn_implementation="eager")
        weights = part(tensors, "model.")
        self.memory = vision_memory(part(weights, TOWER))
        self.projector = projector(part(weights, "model.mm_projector."))
        self.text_model = LlamaForCausalLM(config).eval().requires_grad_(False)
        beside = (TOWER, "model.mm_projector.")
        self.text_model.load_state_dict({k: value for k, value in weights.items() if not k.startswith(beside)})
        self.tower, self.image_token = tower, int(metadata["image_token"])
        self.alignment_weight = float(metadata["align_loss_weight"])

    def __call__(self, input_ids, attention_mask, pixel_values, labels=None) -> dict[str, torch.Tensor]:
        is_image = (input_ids == self.image_token) & attention_mask.bool()
        is_text = attention_mask.bool() & ~is_image
        embeds = self.text_model.get_input_embeddings()(input_ids.masked_fill(is_image, 0))
        question = question_mean(embeds, is_text, labels)

        tokens = self.tower.embed(pixel_values)
        counts = is_image.sum(dim=1).clamp(min=1)  # a sample without placeholder has a picture that nobody reads
        memory = begin(self.memory, question, counts, tokens)
        pictures = self.projector(features(run_layers(self.tower.layers(), memory, tokens)))
        padded = expand(embeds, is_image, is_text, pictures, labels)
        logits = self.text_model(inputs_embeds=padded["inputs_embeds"], attention_mask=padded["padded_mask"]).logits
        outputs = {"question_mean": question, "logits": logits, **padded}
        if labels is None:
            return outputs

        sample_of_image = torch.arange(len(counts)).repeat_interleave(counts)
        projected = self.projector(memory.finish())
        answers, valid = answer_mean(embeds, is_text, labels)
        c_projected, _ = mean_of_images(projected, sample_of_image, len(answers))
        align_loss = alignment_loss(projected, sample_of_image, answers, valid)
        lm_loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), padded["padded_labels"][:, 1:].flatten())
        return {
            **outputs,
            "answer_mean": answers,
            "valid": valid,
            "c_projected": c_projected,
            "cosine": nn.functional.cosine_similarity(c_projected, answers),
            "align_loss": align_loss,
            "lm_loss": lm_loss,
            "total_loss": lm_loss + self.alignment_weight * align_loss,
        }

    def gradients(self, loss: torch.Tensor) -> dict[str, torch.Tensor]:
        """Gradients of a loss, by the authors' names."""
        parameters = dict(self.memory.named_parameters())
        values = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True)
        return {TOWER + published_name(name): value for name, value in zip(parameters, values, strict=True)}


def expand(embeds, is_image, is_text, pictures, labels=None) -> dict[str, torch.Tensor]:
    """The text model's input, padded on the right, with a picture's features in place of each placeholder."""
    pictures, rows, row_labels = iter(pictures), [], []
    for row in range(len(embeds)):
        pieces, labels_of_pieces = [], []
        if not is_image[row].any():
            next(pictures)
        for position in range(embeds.shape[1]):
            if is_image[row, position]:
                pieces.append(next(pictures))
                labels_of_pieces += [-100] * len(pieces[-1])
            elif is_text[row, position]:
                pieces.append(embeds[row, position][None])
                labels_of_pieces.append(-100 if labels is None else int(labels[row, position]))
        rows.append(torch.cat(pieces))
        row_labels.append(torch.tensor(labels_of_pieces))
    masks = [torch.ones(len(row), dtype=torch.long) for row in rows]
    pad = nn.utils.rnn.pad_sequence
    return {
        "inputs_embeds": pad(rows, batch_first=True),
        "padded_mask": pad(masks, batch_first=True),
        "padded_labels": pad(row_labels, batch_first=True, padding_value=-100),
    }
