"""A layer in place of another, of the same parts: how memory gets into layers of a backbone."""

from torch import nn


try:  # Where it is not installed, no layer has a hook of it; a Hub repository's code must not ask for it.
    from accelerate.hooks import add_hook_to_module, remove_hook_from_module
except ImportError:
    pass


def with_same_children(new_class: type[nn.Module], old: nn.Module) -> nn.Module:
    """Make a layer of another class that holds what a layer holds: no weight is copied, none changes its name.

    Its children and parameters, mode, hooks and settings (such as gradient checkpointing) are those of `old`, which is
    not to be used any more.

    Args:
        new_class (`type`): A subclass of the class of `old`, or the class that `old` was of before; both with no state
            of their own.
        old (`nn.Module`): The layer.

    Raises:
        ValueError: If `old` is compiled: the compiled code would go on to run in place of the new layer's.
    """
    if getattr(old, "_compiled_call_impl", None) is not None:
        raise ValueError(f"A {type(old).__name__} that is compiled cannot change; compile the model after this.")
    placement = getattr(old, "_hf_hook", None)
    if placement is not None:  # it has put a function of its own in place of the layer's `forward`
        remove_hook_from_module(old)
    # All of it, not children alone: transformers puts the hooks that record hidden states on layers once and for all.
    new = new_class.__new__(new_class)
    new.__dict__.update(old.__dict__)
    if placement is not None:
        new.__dict__.pop("forward", None)
        add_hook_to_module(new, placement)
    return new


__all__ = ["with_same_children"]
