"""MemVP around our memory: LLaMA and OpenAI's CLIP with the authors' names of tensors, their loss, their decoding."""

import copy
import json
import re
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from comem_hf.modeling.cache_name_comem import CACHE_NAME
from comem_hf.modeling.ffn_memory_comem import (
    CoMemFfnMemory,
    CoMemVisionAdapter,
    FfnMemory,
    FfnMemoryLayerMixin,
    compose_layers,
)
from comem_hf.modeling.site_configuration_comem import FFN_MEMORY_DEFAULTS


Tensors = dict[str, torch.Tensor]

BLOCK_EPS = 1e-5  # of `ffn_block`, whose metadata do not say it
LLAMA_NAMES = {
    "attention.wq": "self_attn.q_proj",
    "attention.wk": "self_attn.k_proj",
    "attention.wv": "self_attn.v_proj",
    "attention.wo": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w3": "mlp.up_proj",
    "attention_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
MEMORY_NAMES = {
    "adapter_emb1": "key_positions.weight",
    "adapter_emb2": "value_positions.weight",
    **{f"adapter_proj.fc1.{kind}": f"projector.0.{kind}" for kind in ("weight", "bias")},
    **{f"adapter_proj.fc2.{kind}": f"projector.2.{kind}" for kind in ("weight", "bias")},
}
ADAPTER_NAMES = {"adapter_mlp.fc1.weight": "adapter.down.weight", "adapter_mlp.fc2.weight": "adapter.up.weight"}
VISUAL = "backbone.visual."


class LlamaLayerWithMemory(FfnMemoryLayerMixin, LlamaDecoderLayer):
    pass


class Recorder:
    """What went through the layers of a Llama in its last call; the first axis is the layer."""

    def __init__(self, llama: LlamaForCausalLM):
        self.seen = {}
        for number, layer in enumerate(llama.model.layers):
            layer.register_forward_hook(self._keep(f"out.{number}"))
            layer.mlp.register_forward_hook(self._keep(f"ffn.{number}"))
            layer.post_attention_layernorm.register_forward_hook(self._keep(f"u.{number}", f"h.{number}"))

    def _keep(self, name: str, name_of_input: str | None = None):
        def hook(module, args, output):
            self.seen[name] = output
            if name_of_input:
                self.seen[name_of_input] = args[0]

        return hook


def load_golden(file: Path) -> tuple[Tensors, dict]:
    """Tensors of a file, and its metadata, read as JSON."""
    with safe_open(file, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (it is no dict)
        return tensors, {name: json.loads(value) for name, value in opened.metadata().items()}


def part(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def assert_all_close(ours: Tensors, theirs: Tensors):
    """Compare all tensors of both; small ones, such as gradients, no less strictly than those of order 1."""
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        tolerance = 1e-4 * min(1.0, float(tensor.abs().max()))
        torch.testing.assert_close(
            ours[name].detach(), tensor, atol=tolerance, rtol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


def halves(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Reorder the rows of each head: Meta turns neighbouring pairs, transformers turns `i` with `i + half`."""
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def make_llama(tensors: Tensors, heads: int, eps: float) -> LlamaForCausalLM:
    """A Llama with memory in its layers, from tensors with Meta's names."""
    state = {}
    for name, tensor in tensors.items():
        if name.endswith((".wq.weight", ".wk.weight")):
            tensor = halves(tensor, heads)
        if match := re.match(r"layers\.(\d+)\.(.*)\.weight", name):
            state[f"model.layers.{match[1]}.{LLAMA_NAMES[match[2]]}.weight"] = tensor
    state["model.embed_tokens.weight"] = tensors["tok_embeddings.weight"]
    state["model.norm.weight"] = tensors["norm.weight"]
    state["lm_head.weight"] = tensors["output.weight"]
    vocabulary, width = tensors["output.weight"].shape
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=len(tensors["layers.0.feed_forward.w1.weight"]),
        num_hidden_layers=len([name for name in tensors if name.endswith(".ffn_norm.weight")]),
        num_attention_heads=heads,
        rms_norm_eps=eps,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        attn_implementation="eager",
    )
    llama = LlamaForCausalLM(config)
    llama.load_state_dict(state)
    compose_layers(llama.model, {LlamaDecoderLayer: LlamaLayerWithMemory})
    return llama.eval().requires_grad_(False)


def make_block(case: Tensors, heads: int) -> LlamaForCausalLM:
    """A Llama of the one block of a case of `ffn_block`."""
    width = case["x"].shape[-1]
    around = {"tok_embeddings.weight": torch.zeros(3, width), "output.weight": torch.zeros(3, width)}
    around |= {"norm.weight": torch.ones(width)}
    block = {f"layers.0.{name}": tensor for name, tensor in part(case, "block.").items()}
    return make_llama(block | around, heads, BLOCK_EPS)


class ClipBlock(nn.Module):
    """A block of OpenAI's CLIP with our adapter; tokens come first, `(length, batch, width)`."""

    def __init__(self, width: int, mlp_width: int, heads: int, config: dict):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, mlp_width), "c_proj": nn.Linear(mlp_width, width)})
        self.adapter = CoMemVisionAdapter(config, width)

    def forward(self, x: torch.Tensor) -> Tensors:
        normed = self.ln_1(x)
        h = x + self.attn(normed, normed, normed, need_weights=False)[0]
        u = self.ln_2(h)
        hidden = self.mlp["c_fc"](u)
        mlp = self.mlp["c_proj"](hidden * torch.sigmoid(1.702 * hidden))
        added = self.adapter(u)
        adapter = added / self.adapter.settings["vision_adapter_scale"]
        return {"h": h, "u": u, "mlp": mlp, "adapter": adapter, "out": h + mlp + added, "out_without_adapter": h + mlp}


def make_clip_block(tensors: Tensors, heads: int, scale: float) -> ClipBlock:
    rank, width = tensors["adapter_mlp.fc1.weight"].shape
    config = FFN_MEMORY_DEFAULTS | {"vision_adapter_rank": rank, "vision_adapter_scale": scale}
    block = ClipBlock(width, len(tensors["mlp.c_fc.weight"]), heads, config)
    block.load_state_dict({ADAPTER_NAMES.get(name, name): tensor for name, tensor in tensors.items()})
    for name, parameter in block.named_parameters():
        parameter.requires_grad_(name.startswith("adapter."))
    return block.eval()


class ClipTower(nn.Module):
    """The tower up to the last block but one, without its class token."""

    def __init__(self, tensors: Tensors, heads: int, scale: float):
        super().__init__()
        self.tensors = tensors
        numbers = sorted({int(name.split(".")[2]) for name in tensors if name.startswith("transformer.resblocks.")})
        self.resblocks = nn.ModuleList(
            make_clip_block(part(tensors, f"transformer.resblocks.{number}."), heads, scale) for number in numbers
        )

    def norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        kernel = self.tensors["conv1.weight"]
        x = F.conv2d(images, kernel, stride=kernel.shape[-1]).flatten(2).transpose(1, 2)
        x = torch.cat([self.tensors["class_embedding"].expand(len(x), 1, -1), x], dim=1)
        x = self.norm(x + self.tensors["positional_embedding"], "ln_pre").transpose(0, 1)
        for block in self.resblocks[:-1]:
            x = block(x)["out"]
        return self.norm(x.transpose(0, 1)[:, 1:], "ln_post")


class MemVP(nn.Module):
    """The authors' model, with their Llama and CLIP, and our memory between them."""

    def __init__(self, file: Path):
        super().__init__()
        tensors, metadata = load_golden(file)
        tensors, config = part(tensors, "model."), metadata["config"]
        self.llama = make_llama(
            {name: tensor for name, tensor in tensors.items() if not name.startswith(("adapter_", "backbone."))},
            config["n_heads"],
            config["norm_eps"],
        )
        self.recorder = Recorder(self.llama)
        self.tower = ClipTower(part(tensors, VISUAL), config["clip_heads"], config["clip_scale"])
        sizes = FFN_MEMORY_DEFAULTS | {
            "num_slots": config["emb"],
            "projector_hidden": config["hidden_proj"],
            "scale": config["s"],
        }
        self.memory = CoMemFfnMemory(sizes, config["clip_width"], config["dim"])
        with torch.no_grad():
            for theirs, ours in MEMORY_NAMES.items():
                parameter = self.memory.get_parameter(ours)
                parameter.copy_(tensors[theirs].view_as(parameter))
        self.eval()

    def slots(self, features: torch.Tensor, indicators: torch.Tensor) -> torch.Tensor:
        """Z: the slots without positions."""
        memory = copy.deepcopy(self.memory)
        with torch.no_grad():
            memory.value_positions.weight.zero_()
        return memory(features, indicators.bool()[:, None].expand(features.shape[:2])).values

    def ffn_memory(self, images: torch.Tensor, indicators: torch.Tensor) -> FfnMemory:
        features = self.tower(images)
        return self.memory(features, indicators.bool()[:, None].expand(features.shape[:2]))

    def trained(self) -> dict[str, nn.Parameter]:
        """What is trained, by the authors' names."""
        named = {theirs: self.memory.get_parameter(ours) for theirs, ours in MEMORY_NAMES.items()}
        for number, block in enumerate(self.tower.resblocks):
            prefix = f"{VISUAL}transformer.resblocks.{number}."
            named |= {prefix + theirs: block.get_parameter(ours) for theirs, ours in ADAPTER_NAMES.items()}
        return named

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor, memory: FfnMemory | None) -> Tensors:
        """Return the layers' outputs, the logits and the published loss, which ignores label 0."""
        length = int((labels > 0).any(dim=0).nonzero().max()) + 1
        output = self.llama.model(input_ids=input_ids[:, :length], ffn_memory=memory, use_cache=False)
        logits = self.llama.lm_head(output.last_hidden_state)
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:length].flatten(), ignore_index=0)
        return {**self.recorder.seen, "final_hidden": output.last_hidden_state, "logits": logits, "loss": loss}


@torch.no_grad()
def decode(
    llama: LlamaForCausalLM, prompt_ids: torch.Tensor, lengths: torch.Tensor, memory: FfnMemory, steps: int, eos: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Decode left-padded prompts greedily, pads hidden but counted; tokens after EOS are -1."""
    width = prompt_ids.shape[1]
    mask = torch.arange(width) >= width - lengths[:, None]
    ids, positions, cache, logits, tokens = prompt_ids, torch.arange(width)[None], None, [], []
    for step in range(steps):
        output = llama(
            input_ids=ids,
            attention_mask=mask.long(),
            position_ids=positions,
            ffn_memory=memory,
            use_cache=True,
            **{CACHE_NAME: cache},
        )
        cache = output[CACHE_NAME]
        logits.append(output.logits[:, -1])
        ids = logits[-1].argmax(-1, keepdim=True)
        tokens.append(ids)
        mask = F.pad(mask, (0, 1), value=True)
        positions = torch.tensor([[width + step]])
    tokens = torch.cat(tokens, dim=1)
    ended = (tokens == eos).cumsum(dim=1) - (tokens == eos).long() > 0
    return torch.stack(logits, dim=1), tokens.masked_fill(ended, -1)
