"""The arguments that the benchmarks of speed have in common."""

import argparse

import torch
from transformers.utils import logging

from .measuring import use_one_thread
from .shapes import SHAPES, Shape


def parse(
    description: str,
    *,
    shape: str = "qwen2-vl-2b",
    depth_share: float = 0.25,
    rounds: int = 5,
    counts_only: bool = False,
    **more,
):
    """Parse the command line, and prepare torch for measuring.

    Args:
        description (`str`): The script's docstring.
        shape (`str`), depth_share (`float`), rounds (`int`): Defaults.
        counts_only (`bool`): Whether there is such an argument, for shapes that are too large to be measured.
        **more: Further arguments by name, as keywords of `add_argument`.

    Returns:
        `argparse.Namespace`: With `whole`, the whole shape, and `measured`, the part of it that is measured.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default=shape)
    parser.add_argument("--depth-share", type=float, default=None, help=f"share of the layers (default {depth_share})")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--rounds", type=int, default=rounds, help="rounds that count")
    if counts_only:
        parser.add_argument("--counts-only", action="store_true", help="count, and measure nothing")
    for name, settings in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **settings)
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        parser.error(f"There is no device {options.device!r} here.")
    if options.depth_share is None:  # what is small or on an accelerator is measured whole
        options.depth_share = 1.0 if options.shape == "atlas-small" or options.device != "cpu" else depth_share
    options.whole: Shape = SHAPES[options.shape]()
    options.measured: Shape = options.whole.with_depth(options.depth_share)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    use_one_thread()
    torch.manual_seed(0)
    return options
