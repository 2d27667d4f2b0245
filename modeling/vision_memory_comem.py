"""Memory in the vision tower: one vector per image, which every block of the tower updates and reads."""

import torch
import torch.nn.functional as F
from torch import nn

from .resampler_comem import Projection


GATE_START = -2.2  # the sigmoid of it is 0.1, the strength with which feedback starts
POOLINGS = {"mean_max": 2, "mean_max_class": 3}  # how many vectors a pooling gives


class Offset(nn.Module):
    """A bias of its own; a module, because PEFT, FSDP and initialisation overlook bare parameters."""

    def __init__(self, size: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return states + self.bias


class CoMemGatedUnit(nn.Module):
    """The unit that writes into the memory: it forgets a part of it and adds a part of something new.

    Args:
        size (`int`): Width of the vision tower, and of the memory.
        inner_size (`int`): Width of the unit's hidden layer.
    """

    def __init__(self, size: int, inner_size: int):
        super().__init__()
        self.reduce = Projection(3 * size, inner_size)
        self.candidate = Projection(inner_size, size)
        self.write = Projection(inner_size, size)
        self.keep = Projection(inner_size, size)
        self.candidate_offset = Offset(size)
        self.write_offset = Offset(size)
        self.keep_offset = Offset(size)

    def forward(self, vectors: torch.Tensor, seen: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        """Compute the memory after a block from the memory before it, what the block saw and what is asked.

        Args:
            vectors, seen, asked (`torch.Tensor` of shape `(images, size)`): c, y and t of Mema's equations.
        """
        inner = F.relu(self.reduce(torch.cat([normalize(vectors), seen, asked], dim=-1)))
        candidate = torch.tanh(self.candidate_offset(self.candidate(inner)))
        write = torch.sigmoid(self.write_offset(self.write(inner)))
        keep = torch.sigmoid(self.keep_offset(self.keep(inner)))
        return keep * vectors + write * candidate


class CoMemTokenGate(nn.Module):
    """The gate that gives the memory back to the tokens: a change of each token, and its strength.

    Args:
        size (`int`): Width of the vision tower.
    """

    def __init__(self, size: int):
        super().__init__()
        self.delta_in = Projection(size, size)
        self.delta_out = Projection(size, size)
        self.alpha = Projection(size, 1)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return what is added to tokens; `states` `(..., size)` are the tokens with their memory, normalized."""
        delta = torch.tanh(self.delta_out(F.gelu(self.delta_in(states))))
        return torch.sigmoid(self.alpha(states)) * delta


class CoMemVisionMemory(nn.Module):
    """One vector of memory per image, written and read after every block of a vision tower (Mema's adapter).

    The equations are those of https://github.com/Sisiliu312/Mema, commit fa1cc53. With q the mean embedding of the
    question, c the memory (at first 0), x a block's output, and LN a layer norm without scale and shift:

        t = W_t q
        y = W_y [ mean of x ; max of x ; class token of x, if there is one ]
        r = relu(W_1 [ LN(c) ; y ; t ])
        c = sigmoid(W_f r + b_f) * c + sigmoid(W_i r + b_i) * tanh(W_c r + b_c)
        h = LN(x + c)
        x = x + sigmoid(w_a h) * tanh(W_d2 gelu(W_d1 h))

    All W have a bias besides. All blocks share these weights. The images of a call may differ in size: they follow one
    another along one axis of tokens. The authors' names of the tensors:

    | here | published |
    |---|---|
    | `text_projection`, `pooling_projection` | `text_global_proj`, `y_proj` |
    | `unit.reduce`, `.candidate`, `.write`, `.keep` | `dsu.W1`, `.Wc`, `.Wi`, `.Wf` |
    | `unit.candidate_offset.bias`, `.write_offset.bias`, `.keep_offset.bias` | `dsu.bc`, `.bi`, `.bf` |
    | `gate.delta_in`, `.delta_out`, `.alpha` | `spatial_gate.delta.0`, `.delta.2`, `.alpha_proj` |

    Args:
        config (`dict`): `vision_memory_config` of [`CoMemConfig`]. `reduction_ratio`: by how much the unit's hidden
            layer is narrower than the tower; `pooling`: `"mean_max"`, or `"mean_max_class"` for towers whose first
            token of each image is a class token.
        vision_size (`int`): Width of the vision tower.
        text_size (`int`): Width of the text model's embeddings.
    """

    def __init__(self, config: dict, vision_size: int, text_size: int):
        super().__init__()
        self.pooling = config["pooling"]
        self.text_projection = Projection(text_size, vision_size)
        self.pooling_projection = Projection(POOLINGS[self.pooling] * vision_size, vision_size)
        self.unit = CoMemGatedUnit(vision_size, max(vision_size // config["reduction_ratio"], 1))
        self.gate = CoMemTokenGate(vision_size)
        self.start()

    @torch.no_grad()
    def start(self):
        """Set the weights from which training starts: the tower gives what it gives without memory.

        Weights are drawn from Glorot's uniform distribution and biases are 0, but: the last layer of the gate is 0,
        weight and bias, which makes the start the identity; the weight of the strength is 0 and its bias -2.2, so that
        feedback starts with a strength of 0.1; the bias `keep_offset` is 1, so that the unit starts by keeping 0.7.
        (The authors declare the gate's first layer as 0, too. Two zero layers in a row get no gradient, ever.)
        """
        for module in self.modules():
            if isinstance(module, Projection):
                nn.init.xavier_uniform_(module.weight)
                module.bias.zero_()
            elif isinstance(module, Offset):
                module.bias.zero_()
        for layer in (self.gate.delta_out, self.gate.alpha):
            layer.weight.zero_()
        self.gate.alpha.bias.fill_(GATE_START)
        self.unit.keep_offset.bias.fill_(1)

    def begin(
        self, question: torch.Tensor, sample_of_image: torch.LongTensor, image_lengths: torch.LongTensor
    ) -> "VisionMemory":
        """Begin one call of the vision tower.

        Args:
            question (`torch.Tensor` of shape `(samples, text size)`): Mean embedding of each sample's question.
            sample_of_image (`torch.LongTensor` of shape `(images,)`): The sample that each image belongs to.
            image_lengths (`torch.LongTensor` of shape `(images,)`): How many tokens of the tower each image has.

        Returns:
            [`VisionMemory`]: The state of this call, for `VisionSites`.

        Raises:
            ValueError: If the two tensors about images differ in length.
        """
        if sample_of_image.shape != image_lengths.shape:
            raise ValueError(
                "`sample_of_image` and `image_lengths` must have one entry per image, got shapes "
                f"{tuple(sample_of_image.shape)} and {tuple(image_lengths.shape)}."
            )
        asked = self.text_projection(question.to(self.text_projection.weight.dtype))
        sample_of_image = sample_of_image.to(asked.device)
        return VisionMemory(self, asked[sample_of_image], image_lengths.to(asked.device), sample_of_image)

    def forward(
        self,
        tokens: torch.Tensor,
        vectors: torch.Tensor,
        asked: torch.Tensor,
        image_lengths: torch.LongTensor,
        image_of_token: torch.LongTensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take one step, after one block of the tower.

        Args:
            tokens (`torch.Tensor` of shape `(tokens, vision size)`): The block's output, one image after another.
            vectors (`torch.Tensor` of shape `(images, vision size)`): The memory before this block.
            asked (`torch.Tensor` of shape `(images, vision size)`): The question of each image, projected.
            image_lengths (`torch.LongTensor` of shape `(images,)`): How many tokens each image has.
            image_of_token (`torch.LongTensor` of shape `(tokens,)`): The image that each token belongs to.

        Returns:
            `tuple(torch.Tensor)`: Tokens for the next block, and the memory after this one.
        """
        vectors = self.update(vectors, self.pool(tokens, image_lengths, image_of_token), asked)
        return self.feed_back(tokens, vectors, image_of_token), vectors

    def pool(
        self, tokens: torch.Tensor, image_lengths: torch.LongTensor, image_of_token: torch.LongTensor
    ) -> torch.Tensor:
        """Return mean and maximum of each image's tokens, and its class token if the tower has one, side by side."""
        states = tokens.float()  # a sum of thousands of tokens is too coarse in half precision
        empty = states.new_zeros(len(image_lengths), states.shape[-1])
        mean = empty.index_add(0, image_of_token, states) / image_lengths[:, None]
        where = image_of_token[:, None].expand_as(states)
        pooled = [mean, empty.scatter_reduce(0, where, states, "amax", include_self=False)]
        if self.pooling == "mean_max_class":
            pooled.append(states[image_lengths.cumsum(0) - image_lengths])
        return torch.cat(pooled, dim=-1)

    def update(self, vectors: torch.Tensor, pooled: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        """Return the memory after a block, from the memory before it, the pooled tokens and the question."""
        seen = self.pooling_projection(pooled.to(self.pooling_projection.weight.dtype))
        return self.unit(vectors, seen, asked)

    def feed_back(self, tokens: torch.Tensor, vectors: torch.Tensor, image_of_token: torch.LongTensor) -> torch.Tensor:
        """Return the tokens with what the memory adds to them."""
        states = normalize(tokens + vectors[image_of_token]).to(self.gate.alpha.weight.dtype)
        return tokens + self.gate(states).to(tokens.dtype)


class VisionMemory:
    """The memory of one call of a vision tower; each of its blocks calls it once, in turn.

    A checkpointed block runs again in the backward pass, in a thread of autograd. It must then start from the memory
    that it started from before, so the memory before each block is kept under the block's number. It is kept detached:
    gradients flow through the first run. With its graph it would close a circle (graph, recomputation, this object),
    and a forward pass that no backward pass follows would never be freed.

    Args:
        module ([`CoMemVisionMemory`]): The weights.
        asked (`torch.Tensor` of shape `(images, vision size)`): The question of each image, projected.
        image_lengths (`torch.LongTensor` of shape `(images,)`): How many tokens of the tower each image has.
        sample_of_image (`torch.LongTensor` of shape `(images,)`): The sample that each image belongs to.
    """

    def __init__(
        self,
        module: CoMemVisionMemory,
        asked: torch.Tensor,
        image_lengths: torch.LongTensor,
        sample_of_image: torch.LongTensor,
    ):
        self.module = module
        self.asked = asked
        self.image_lengths = image_lengths
        self.sample_of_image = sample_of_image
        images = torch.arange(len(image_lengths), device=image_lengths.device)
        self.image_of_token = images.repeat_interleave(image_lengths)
        self.vectors: torch.Tensor | None = torch.zeros_like(asked)
        self.before_block: dict[int, tuple[torch.Tensor, bool]] = {}

    def after_block(self, index: int, hidden_states: torch.Tensor) -> torch.Tensor:
        """Update the memory after a block, and return what the next block reads.

        Args:
            index (`int`): The block's number; a number that was there before is a recomputation.
            hidden_states (`torch.Tensor` of shape `(tokens, vision size)` or `(images, length, vision size)`): The
                block's output.

        Raises:
            ValueError: If the number of tokens is not the sum of `image_lengths`.
        """
        tokens = hidden_states.flatten(0, -2)
        if tokens.shape[0] != self.image_of_token.shape[0]:
            raise ValueError(
                f"`image_lengths` must sum up to the {tokens.shape[0]} tokens of the vision tower, got "
                f"{self.image_of_token.shape[0]}."
            )
        if index in self.before_block:
            vectors, has_gradient = self.before_block[index]
            tokens, _ = self._step(tokens, vectors.detach().requires_grad_(has_gradient))
        else:
            self.before_block[index] = self.vectors.detach(), self.vectors.requires_grad
            tokens, self.vectors = self._step(tokens, self.vectors)
        return tokens.to(hidden_states.device).reshape(hidden_states.shape)

    def finish(self) -> torch.Tensor:
        """Return the memory after the last block, `(images, vision size)`, and forget it.

        To be called after the tower, once. Its graph must not stay here, see above.
        """
        last, self.vectors = self.vectors, None
        return last

    def _step(self, tokens: torch.Tensor, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.module(tokens, vectors, self.asked, self.image_lengths, self.image_of_token)


def normalize(states: torch.Tensor) -> torch.Tensor:
    """Apply a layer norm without scale and shift."""
    return F.layer_norm(states, states.shape[-1:])


__all__ = ["CoMemVisionMemory", "VisionMemory"]
