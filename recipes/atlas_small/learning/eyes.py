"""Train the vision tower alone, so that two photographs of one thing become nearly the same token, and others do not.

The loss is InfoNCE (https://huggingface.co/papers/1807.03748) between the tokens of two variants of each motif. Then
the tower is frozen: the text model sees tokens that tell pictures apart from its first step on.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from tqdm import tqdm
from transformers import AttentionInterface
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from recipes.atlas_small.architecture import PATCHES_A_SIDE
from recipes.atlas_small.data.samples.pictures import Motif


PATCHES = PATCHES_A_SIDE**2  # of a picture
STEPS = 160
MOTIFS_A_STEP = 128
TEMPERATURE = 0.15
# Weight of the loss that makes all tokens equally long: attention compares by products, so that long ones would win.
LENGTH_WEIGHT = 0.3
LOOK_ALIKES_FROM = 0.2  # share of the steps after which groups of look-alikes come together
GROUP = 8
SPREAD = 0.25
READ_AT_ONCE = 1024


def attend_within_pictures(module, query, key, value, attention_mask, scaling, **kwargs):
    """Attention of patches to those of the same picture, for all pictures at once: all have `PATCHES` patches."""
    heads, width = query.shape[1], query.shape[-1]
    query, key, value = (
        states.view(heads, -1, PATCHES, width).transpose(0, 1) for states in (query[0], key[0], value[0])
    )
    weights = (query @ key.transpose(-1, -2) * scaling).softmax(-1)
    return (weights @ value).transpose(1, 2).reshape(1, -1, heads, width), weights


AttentionInterface.register("within_pictures", attend_within_pictures)


class Eyes:
    """A vision tower that reads many equal pictures at once.

    Args:
        tower (`nn.Module`): The vision tower of a Qwen2-VL.
    """

    def __init__(self, tower: nn.Module):
        self.tower = tower

    def __call__(self, patches: torch.Tensor) -> torch.Tensor:
        """Return the tokens (pictures, hidden size) of patches (pictures, `PATCHES`, pixels of a patch)."""
        grids = torch.tensor([[1, PATCHES_A_SIDE, PATCHES_A_SIDE]]).expand(len(patches), 3)
        whole = torch.tensor([0, len(patches) * PATCHES], dtype=torch.int32)  # else the tower splits it by pictures
        before = self.tower.config._attn_implementation
        self.tower.set_attn_implementation("within_pictures")
        try:
            return self.tower(patches.flatten(0, 1).float(), grid_thw=grids, cu_seqlens=whole).pooler_output
        finally:
            self.tower.set_attn_implementation(before)

    @torch.no_grad()
    def read(self, patches: torch.Tensor) -> torch.Tensor:
        """Return the tokens of any number of pictures, without gradients."""
        return torch.cat([self(part) for part in patches.split(READ_AT_ONCE)])


def load_patches(files: Sequence[Path], image_processor: Qwen2VLImageProcessorPil) -> torch.Tensor:
    """Return the patches (pictures, `PATCHES`, pixels of a patch) of picture files, in half precision."""
    patches = []
    for file in tqdm(files, desc="Patches"):
        with Image.open(file) as image:
            patches.append(image_processor(image.convert("RGB"), return_tensors="pt")["pixel_values"].half())
    return torch.stack(patches)


def look_alikes(tokens: torch.Tensor, count: int) -> torch.Tensor:
    """Return the rows (rows, `count`) whose tokens are nearest to each row's own, without itself."""
    unit = functional.normalize(tokens, dim=-1)
    return torch.cat([(part @ unit.T).topk(count + 1, dim=-1).indices[:, 1:] for part in unit.split(READ_AT_ONCE)])


def train_eyes(
    tower: nn.Module,
    patches: torch.Tensor,
    motifs: list[Motif],
    centre: torch.Tensor,
    *,
    steps: int = STEPS,
    seed: int = 0,
) -> None:
    """Train the tower, and scale its tokens to variance 1, as those of the text are.

    Args:
        tower (`nn.Module`): The vision tower.
        patches (`torch.Tensor` of shape `(pictures, patches, pixels)`): The pictures of all motifs, in their order.
        motifs (`list[Motif]`): The motifs.
        centre (`torch.Tensor` of shape `(hidden,)`): The mean that the tokens get: heads tell pictures by it.
        steps (`int`, *optional*): Number of steps.
        seed (`int`, *optional*, defaults to `0`): Seed of the choice of pictures.
    """
    rng, eyes = random.Random(seed), Eyes(tower)
    starts = [0]
    for motif in motifs:
        starts.append(starts[-1] + len(motif.files))
    optimizer = torch.optim.AdamW(tower.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 20, max(0.02, 2 * (1 - step / steps)), 1.0)
    )
    near, mean_loss = None, None
    progress = tqdm(range(steps), desc="Eyes")
    for step in progress:
        if step >= LOOK_ALIKES_FROM * steps and (near is None or step % 50 == 0):
            near = look_alikes(eyes.read(patches[starts[:-1]]), GROUP - 1)
        if near is None:
            chosen = rng.sample(range(len(motifs)), MOTIFS_A_STEP)
        else:
            leaders = rng.sample(range(len(motifs)), MOTIFS_A_STEP // GROUP)
            chosen = sorted({row for leader in leaders for row in (leader, *near[leader].tolist())})
        pairs = torch.tensor([rng.sample(range(starts[i], starts[i + 1]), 2) for i in chosen])
        tokens = eyes(patches[pairs.T.flatten()])
        lengths = (tokens.square().mean(-1) - 1).square().mean()
        one, other = functional.normalize(tokens, dim=-1).chunk(2)
        logits = one @ other.T / TEMPERATURE
        right = torch.arange(len(chosen))
        loss = (functional.cross_entropy(logits, right) + functional.cross_entropy(logits.T, right)) / 2
        (loss + LENGTH_WEIGHT * lengths).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        mean_loss = loss.item() if mean_loss is None else 0.95 * mean_loss + 0.05 * loss.item()
        progress.set_postfix(loss=f"{mean_loss:.3f}")
    standardise(tower, eyes.read(patches), centre)
    tower.requires_grad_(False)


@torch.no_grad()
def standardise(tower: nn.Module, tokens: torch.Tensor, centre: torch.Tensor) -> None:
    """Change the tower's last layer so that these tokens, its output, would have the mean `centre` and variance 1.

    Directions in which pictures differ little are stretched, so that unlike pictures are nearly orthogonal: a variance
    v along a principal axis becomes `v ** (1 - 2 * SPREAD)`. A random rotation shares them out among the channels,
    and nothing is left along `centre`, which would change how surely a picture is found.
    """
    last, mean = tower.merger.mlp[-1], tokens.mean(0)
    variances, axes = torch.linalg.eigh(torch.cov((tokens - mean).T))
    rotation = torch.linalg.qr(torch.randn(axes.shape)).Q
    change = axes @ torch.diag(variances.clamp(min=1e-4) ** -SPREAD) @ rotation
    change -= torch.outer(change @ centre, centre) / centre.square().sum()
    change /= ((tokens - mean) @ change).square().mean().sqrt()
    last.weight.copy_(change.T @ last.weight)
    last.bias.copy_((last.bias - mean) @ change + centre)
