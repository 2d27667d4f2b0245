"""Peak memory and time of converting a checkpoint that does not fit into the memory allowed.

    python benchmarks/model/convert_memory.py

Generates a full merged checkpoint of more than 4 GB (the shapes of Qwen2-VL-2B with fewer layers, bfloat16, encoder =
backbone + a change of rank 16, in shards of 1 GB) in a temporary folder and converts it to both targets, each in a
process that may not have more memory than the largest shard + 2 GB.

The limit is RLIMIT_DATA: all memory that the process has written, which the system can only take back by swapping or
killing it. It does not count code and untouched reservations, as RLIMIT_AS would, nor the page cache, which the system
takes back when it wants. The printed peak is the resident set, code included.
"""

import json
import math
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForImageTextToText, Qwen2VLConfig

from comem_hf.conversion.output.shard_writer import write_shards
from comem_hf.conversion.published.key_names import RESAMPLER_KEYS_VALUES, RESAMPLER_NAMES
from comem_hf.conversion.published.tensor_files import LazyTensor


SHARD_BYTES = 10**9
MARGIN_BYTES = 2 * 10**9
RANK = 16
HIDDEN = 1536

# config.json of Qwen/Qwen2-VL-2B-Instruct, with 14 of 28 text layers, 16 of 32 vision layers, and an output layer of
# its own, as the 7B model has.
BACKBONE = {
    "text_config": {
        "hidden_size": HIDDEN,
        "intermediate_size": 8960,
        "num_hidden_layers": 14,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
        "vocab_size": 151936,
        "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    },
    "vision_config": {"depth": 16, "embed_dim": 1280, "hidden_size": HIDDEN, "num_heads": 16, "mlp_ratio": 4},
    "tie_word_embeddings": False,
}

CONVERT = """
import json, resource, sys, time
source, output, encoder, limit = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_DATA, (int(limit), int(limit)))
from comem_hf.conversion import convert_checkpoint
start = time.perf_counter()
report = convert_checkpoint(source, output, encoder=encoder)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "peak": peak, "rank": report.rank, "max_error": report.max_error}))
"""


def generate(folder: Path):
    """Write the checkpoint, one tensor at a time."""
    config = Qwen2VLConfig(**BACKBONE)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    layers = {f"{name}.weight" for name, module in model.model.named_modules() if isinstance(module, torch.nn.Linear)}
    tensors = {}
    for name, shape in shapes.items():
        adapted = name.removeprefix("model.") in layers
        tensors[name] = lazy(name, shape, lambda name=name, shape=shape, a=adapted: weight(name, shape, adapted=a))
        tensors[f"model_inf.{name}"] = lazy(name, shape, lambda name=name, shape=shape: weight(name, shape))
    for name in (*RESAMPLER_NAMES, RESAMPLER_KEYS_VALUES):
        shape = resampler_shape(name)
        tensors[f"knowledge_processor.{name}"] = lazy(name, shape, lambda name=name, shape=shape: weight(name, shape))
    write_shards(folder, tensors, max_bytes=SHARD_BYTES)
    config.save_pretrained(folder)


def lazy(name: str, shape: tuple[int, ...], load: Callable[[], torch.Tensor]) -> LazyTensor:
    """Return a bfloat16 tensor that is made when it is written."""
    return LazyTensor(name, torch.Size(shape), torch.bfloat16, load)


def weight(name: str, shape: tuple[int, ...], adapted: bool = False) -> torch.Tensor:
    """Return random numbers that depend on the name alone, changed by an adapter if `adapted`."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    base = torch.randn(shape, generator=generator).mul_(0.02).bfloat16()
    if not adapted:
        return base
    factors = torch.randn(shape[0], RANK, generator=generator), torch.randn(RANK, shape[1], generator=generator)
    return base.float().addmm_(*factors, alpha=3e-4).bfloat16()


def resampler_shape(name: str) -> tuple[int, ...]:
    """Return the shape of a tensor of the published resampler, 16 heads of 96."""
    if name == "latents":
        return 1, 8, HIDDEN
    rows = {"layers.0.to_kv.weight": 2 * HIDDEN, "layers.1.1.weight": 4 * HIDDEN}.get(name, HIDDEN)
    columns = 4 * HIDDEN if name == "layers.1.3.weight" else HIDDEN
    is_matrix = name.endswith("weight") and "norm" not in name and name != "layers.1.0.weight"
    return (rows, columns) if is_matrix else (HIDDEN,)


def main():
    """Generate, convert twice under the limit, print."""
    with tempfile.TemporaryDirectory() as temporary:
        source, output = Path(temporary) / "source", Path(temporary) / "output"
        source.mkdir()
        generate(source)
        sizes = [path.stat().st_size for path in source.glob("*.safetensors")]
        limit = max(sizes) + MARGIN_BYTES
        print(f"source: {sum(sizes) / 1e9:.2f} GB in {len(sizes)} shards, the largest {max(sizes) / 1e9:.2f} GB")
        print(f"limit:  {limit / 1e9:.2f} GB of data memory (RLIMIT_DATA)\n")
        print(f"{'target':<10}{'peak resident':>15}{'seconds':>10}{'rank':>6}{'largest error':>15}")
        for encoder in ("separate", "adapter"):
            arguments = [sys.executable, "-c", CONVERT, str(source), str(output / encoder), encoder, str(limit)]
            finished = subprocess.run(arguments, capture_output=True, text=True)
            if finished.returncode:
                sys.exit(finished.stderr)
            result = json.loads(finished.stdout)
            peak, rank = f"{result['peak'] / 1e9:.2f} GB", result["rank"] or "-"
            error = f"{result['max_error']:.1e}" if result["rank"] else "-"
            print(f"{encoder:<10}{peak:>15}{math.ceil(result['seconds']):>10}{rank:>6}{error:>15}", flush=True)


if __name__ == "__main__":
    main()
