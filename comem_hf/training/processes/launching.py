"""How a run is started on several devices: what is refused, with the way that works."""

import shlex
import sys
from dataclasses import fields
from pathlib import Path

from torch import nn
from transformers import TrainingArguments
from transformers.modeling_layers import GradientCheckpointingLayer

from comem_hf.training.parts.freezing import is_quantized


# The argument's name changed within transformers 5.
ACTIVATION_CHECKPOINTING = (
    "activation_checkpointing"
    if "activation_checkpointing" in {field.name for field in fields(TrainingArguments)}
    else "gradient_checkpointing"
)


HOW_TO = "docs/how-to/several-gpus.md"


def launch_command(processes: int, arguments: list[str] | None = None) -> str:
    """Return the command that starts this program again, in several processes.

    Args:
        processes (`int`): How many.
        arguments (`list[str]`, *optional*): The program and its arguments; by default those of this process.
    """
    program, *rest = sys.argv if arguments is None else arguments
    is_script = program.endswith(".py")
    program = [program] if is_script else ["--no-python", Path(program).name]
    return shlex.join(["torchrun", "--nproc-per-node", str(processes), *program, *rest])


def refuse_data_parallel(devices: int) -> None:
    """Refuse to train on several devices in one process, which `Trainer` does with `nn.DataParallel`.

    Args:
        devices (`int`): `TrainingArguments.n_gpu`.

    Raises:
        ValueError: If there are several; the message has the command of a launcher.
    """
    if devices > 1:
        raise ValueError(
            f"One process with {devices} devices would train with `nn.DataParallel`, which cuts a batch's pictures at "
            f"wrong places. Start a process for each device: `{launch_command(devices)}`; or let this one see one "
            "device only: `CUDA_VISIBLE_DEVICES=0`."
        )


def refuse_unfit_sharding(model: nn.Module, args: TrainingArguments, fsdp=None, deepspeed=None) -> None:
    """Refuse what cannot be trained with weights that are spread over processes.

    Args:
        model ([`CoMemForConditionalGeneration`]): The model.
        args ([`MemoryTrainingArguments`]): The settings.
        fsdp ([`~accelerate.FullyShardedDataParallelPlugin`], *optional*): Settings of FSDP, if that is used.
        deepspeed ([`~accelerate.DeepSpeedPlugin`], *optional*): Settings of DeepSpeed, if that is used.

    Raises:
        ValueError: If something does not go together; the message names it and the way out.
    """
    if args.muon_learning_rate is not None and (fsdp is not None or deepspeed is not None):
        raise ValueError("`muon_learning_rate` needs whole matrices; use DDP (recipes/launch/ddp.yaml), or AdamW.")
    if fsdp is not None:
        _refuse_settings_of_fsdp(args, fsdp)
    elif deepspeed is None or deepspeed.zero_stage < 3:
        return
    unfit = {
        "memory in feed-forward layers or vision tower": bool(model.site_parameters()),
        "a text-only reader": model.reader is not None,
        "a reader adapter": model.reader_adapter is not None,
        "a quantized backbone": is_quantized(model),
        "`distillation_weight`": args.distillation_weight > 0,
        "`contrastive_weight`": args.contrastive_weight > 0,
    }
    for what, is_there in unfit.items():
        if is_there:
            raise ValueError(
                f"{what[0].upper()}{what[1:]} cannot be trained with sharded weights (FSDP2, ZeRO-3): use DDP or "
                f"ZeRO-2, see {HOW_TO}."
            )


def _refuse_settings_of_fsdp(args: TrainingArguments, fsdp) -> None:
    name = ACTIVATION_CHECKPOINTING
    checkpointing, how = getattr(args, name), getattr(args, f"{name}_kwargs") or {}
    # Before transformers 5.24, a layer's hooks ran again with it in the backward pass, and FSDP2's are among them.
    repeats_hooks = "__call__" in vars(GradientCheckpointingLayer)
    wrong = {
        "`fsdp_version: 1` cannot train a part of a layer's weights; set `fsdp_version: 2`": fsdp.fsdp_version == 1,
        f"`fsdp_activation_checkpointing: true` leaves out the memory encoder; set it to false, and `{name}` to true "
        "in the training arguments": fsdp.activation_checkpointing,
        "`fsdp_cpu_ram_efficient_loading: true` leaves the processes but one without the weights that they check; set "
        "it to false": fsdp.cpu_ram_efficient_loading,
        "`fsdp_state_dict_type: SHARDED_STATE_DICT` is not supported; set it to FULL_STATE_DICT: checkpoints hold "
        "what is trained alone": "SHARDED" in str(fsdp.state_dict_type),
        "`use_reentrant: true` recomputes layers without their weights; set it to false": (
            checkpointing and how.get("use_reentrant")
        ),
        f"`{name}` needs transformers 5.24 or newer": checkpointing and repeats_hooks,
    }
    for why, is_so in wrong.items():
        if is_so:
            raise ValueError(f"With FSDP, {why}, as in recipes/launch/fsdp2.yaml.")
