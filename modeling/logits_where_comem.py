"""Logits at chosen positions of each row; a whole vocabulary at every position is most of what many losses cost."""

from typing import Any

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .cache_name_comem import CACHE_NAME
from .prompt_with_memory_comem import IGNORE_INDEX, PromptWithMemory
from .reader_comem import CoMemReader


class CoMemLogitsMixin:
    """The methods of the model that apply the head where a mask is true, and nowhere else."""

    # Attributes that the model has.
    backbone: PreTrainedModel
    reader: CoMemReader | None

    def _last_states(self, inputs: dict[str, Any], prompt: PromptWithMemory | None):
        """Return the output of what reads, up to the head, given what `_inputs_of_backbone` returns.

        Its `last_hidden_state` is aligned with the prompt, if there is one.
        """
        if self.reader is not None:
            return self._read_states(inputs, prompt)
        output = self.backbone.model(**inputs, return_dict=True)
        if prompt is not None:
            self._remember_memory(getattr(output, CACHE_NAME), prompt)
            prompt.add_vision_outputs(output)
            output.last_hidden_state = prompt.states_of_prompt(output.last_hidden_state)
        return output

    def _logits_where(
        self,
        mask: torch.BoolTensor,
        inputs: dict[str, Any],
        prompt: PromptWithMemory | None,
        labels: torch.LongTensor | None,
    ) -> CausalLMOutputWithPast:
        """Let the model answer as `forward` does, with logits `(true, vocabulary)` where a mask `(batch, length)` is.

        A text-only reader may change what its head gives, so it is asked for all logits from the first position on.
        """
        if self.reader is None:
            output = self._last_states(inputs, prompt)
            states = output.last_hidden_state
            logits = self.backbone.get_output_embeddings()(states[mask.to(states.device)])
        else:
            columns = mask.any(dim=0).nonzero()
            first = int(columns[0]) if len(columns) else mask.shape[1] - 1
            output = self._read(inputs, prompt, None, mask.shape[1] - first)
            logits = output.logits[mask[:, first:].to(output.logits.device)]
        loss = None
        if labels is not None:
            settings = {name: inputs[name] for name in ("num_items_in_batch",) if name in inputs}
            following = F.pad(labels, (0, 1), value=IGNORE_INDEX)[:, 1:]
            loss = self.backbone.loss_function(
                logits=logits,
                labels=None,
                shift_labels=following[mask].to(logits.device),
                vocab_size=logits.shape[-1],
                **settings,
            )
        more = {name: output.get(name) for name in (CACHE_NAME, "hidden_states", "attentions")}
        return CausalLMOutputWithPast(loss=loss, logits=logits, **more)


def is_mask(positions: int | torch.Tensor) -> bool:
    """Whether `logits_to_keep` is a mask of positions, other ones in each row."""
    return isinstance(positions, torch.Tensor) and positions.dtype == torch.bool


__all__ = ["CoMemLogitsMixin", "is_mask"]
