"""Checkpoints of what is trained alone, also where weights are spread over processes."""

from pathlib import Path

import torch
from accelerate.utils import save_fsdp_optimizer
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import Trainer
from transformers.trainer import SCHEDULER_NAME
from transformers.utils import SAFE_WEIGHTS_NAME

from comem_hf.modeling.sharded_weights_comem import is_sharded, whole_tensor
from comem_hf.training.parts.freezing import trainable_parameters


class TrainedPartsTrainer(Trainer):
    """Trainer whose checkpoints hold the trainable tensors of a model under their parameter names, and no others.

    Beside them stands what `Trainer` needs to resume. Tensors are saved and loaded whole, however they are spread over
    processes.
    """

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save what is trained; `Trainer` would collect all of a model whose weights are spread over processes."""
        if not is_sharded(self.model):
            return super().save_model(output_dir, _internal_call)
        trained = trainable_parameters(self.model)
        self._save(output_dir, {name: whole_tensor(parameter).cpu() for name, parameter in trained.items()})

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        if not self.args.should_save:
            return
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        wholes = {} if state_dict is None else state_dict  # of weights that are spread over processes
        tensors = {
            name: wholes.get(name, tensor).detach().contiguous()
            for name, tensor in trainable_parameters(self.model).items()
        }
        save_file(tensors, folder / SAFE_WEIGHTS_NAME, metadata={"format": "pt"})

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.is_fsdp_enabled:
            return super()._save_optimizer_and_scheduler(output_dir)
        # Without the weights, which `Trainer` would save here, those of the frozen backbone included.
        plugin = self.accelerator.state.fsdp_plugin
        save_fsdp_optimizer(plugin, self.accelerator, self.optimizer, self.model, output_dir)
        if self.args.should_save:
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        path = Path(resume_from_checkpoint) / SAFE_WEIGHTS_NAME
        parameters = trainable_parameters(self.model if model is None else model)
        tensors = load_file(path)
        if {name: t.shape for name, t in tensors.items()} != {name: p.shape for name, p in parameters.items()}:
            raise ValueError(f"The checkpoint {str(path)!r} was made for other trainable parts.")
        with torch.no_grad():
            for name, parameter in parameters.items():
                value = tensors[name].to(parameter.device)
                if hasattr(parameter, "device_mesh"):  # spread over processes
                    from torch.distributed.tensor import distribute_tensor

                    value = distribute_tensor(value, parameter.device_mesh, parameter.placements)
                parameter.copy_(value)

    def _load_best_model(self) -> None:
        if self.is_deepspeed_enabled and is_sharded(self.model):
            return super()._load_best_model()
        self._load_from_checkpoint(self.state.best_model_checkpoint)
