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
    _refuse_compiled(old)
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


def compose(layers: nn.ModuleList, classes: dict[type[nn.Module], type[nn.Module]], needed: tuple[str, ...] = ()):
    """Put layers that memory can enter in place of a backbone's own; those that are so already stay.

    Args:
        layers (`nn.ModuleList`): The layers, changed in place.
        classes (`dict`): The class with memory for each class of layers.
        needed (`tuple[str, ...]`, *optional*): Names of parts that each layer must have.

    Raises:
        ValueError: If a layer is of another class, lacks a part, or is compiled; then no layer has changed.
    """
    composed = set(classes.values())
    plain = {index: layer for index, layer in enumerate(layers) if type(layer) not in composed}
    for layer in plain.values():
        if type(layer) not in classes or not all(hasattr(layer, name) for name in needed):
            with_parts = f", each with {', '.join(f'`{name}`' for name in needed)}" if needed else ""
            raise ValueError(
                f"Memory needs a backbone with layers of {' or '.join(cls.__name__ for cls in classes)}{with_parts}, "
                f"got {type(layer).__name__}."
            )
        _refuse_compiled(layer)
    for index, layer in plain.items():
        layers[index] = with_same_children(classes[type(layer)], layer)


def restore(layers: nn.ModuleList, classes: dict[type[nn.Module], type[nn.Module]]):
    """Undo [`compose`], with the same `classes`."""
    plain = {composed: original for original, composed in classes.items()}
    for index, layer in enumerate(layers):
        if type(layer) in plain:
            layers[index] = with_same_children(plain[type(layer)], layer)


def _refuse_compiled(layer: nn.Module):
    if getattr(layer, "_compiled_call_impl", None) is not None:
        raise ValueError(f"A {type(layer).__name__} that is compiled cannot change; compile the model after this.")


__all__ = ["compose", "restore", "with_same_children"]
