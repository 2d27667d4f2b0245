"""Speed-up of building a bank by a second process, and a check that the bank is the same.

    python benchmarks/bank/processes.py [--items 1000]

The embedded model encodes copies of the embedded bank's items, under torchrun with one process and with two, one
thread each. The time is that of `MemoryBank.build`, without starting the processes and loading the model.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


THREADS = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def main():
    """Build with one process and with two, compare, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        _build(arguments.items, arguments.worker)
        return
    banks, seconds = [], []
    with tempfile.TemporaryDirectory() as folder:
        print(f"{arguments.items} items, one thread per process, {os.cpu_count()} cores")
        for count in (1, 2):
            output = Path(folder) / str(count)
            launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}"]
            command = [*launch, __file__, "--items", str(arguments.items), "--worker", str(output)]
            done = subprocess.run(command, env={**os.environ, **THREADS}, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                sys.exit(f"the build with {count} processes failed")
            banks.append({path.name: path.read_bytes() for path in output.iterdir()})
            seconds.append(float(done.stdout))
            rate = arguments.items / seconds[-1]
            print(f"{count} process{'es' if count > 1 else '  '}{seconds[-1]:>8.1f} s{rate:>8.1f} items/s", flush=True)
    same = banks[0] == banks[1]
    print(f"speed-up {seconds[0] / seconds[1]:.2f}; {len(banks[0])} files, {'all' if same else 'NOT ALL'} the same")
    sys.exit(not same)


def _build(number: int, output: Path) -> None:
    from kill import make_items
    from transformers.utils import logging

    from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryBank
    from comem_hf.default import default_path

    logging.disable_progress_bar()
    model = CoMemForConditionalGeneration.from_pretrained(default_path("model")).eval()
    processor = CoMemProcessor.from_pretrained(default_path("model"))
    items = make_items(number)
    began = time.perf_counter()
    MemoryBank.build(items, model=model, processor=processor, output_dir=output, shard_size=32, distributed=True)
    if os.environ["RANK"] == "0":
        print(time.perf_counter() - began)


if __name__ == "__main__":
    main()
