"""A build that is killed at random moments loses nothing and doubles nothing: `benchmarks/bank/kill.py` in small."""

import random
import signal
import subprocess
import sys
import time

import pytest

from comem_hf import MemoryBank
from tests.conftest import make_image


PROGRAM = """
import sys
from comem_hf import CoMemForConditionalGeneration, CoMemProcessor, MemoryBank
from comem_hf.bank.sources import read_image_folder

model, processor = (
    each.from_pretrained(sys.argv[1]) for each in (CoMemForConditionalGeneration, CoMemProcessor)
)
print("ready", flush=True)
items = read_image_folder(sys.argv[2])
MemoryBank.build(items, model=model, processor=processor, output_dir=sys.argv[3], batch_size=2, shard_size=2)
"""


@pytest.mark.slow
def test_a_build_killed_three_times_ends_as_an_undisturbed_one(model, tiny_processor, tmp_path):
    model.save_pretrained(tmp_path / "model")
    tiny_processor.save_pretrained(tmp_path / "model")
    (tmp_path / "images").mkdir()
    for seed in range(60):
        make_image(seed, (28 + 28 * (seed % 2), 56)).save(tmp_path / "images" / f"{seed:02d}.png")
        (tmp_path / "images" / f"{seed:02d}.txt").write_text(f"Fact {seed}.")
    (tmp_path / "images" / "30.png").write_bytes(b"")  # skipped in every life

    def start(output):
        arguments = [sys.executable, "-c", PROGRAM, tmp_path / "model", tmp_path / "images", tmp_path / output]
        build = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert build.stdout.readline() == b"ready\n"
        return build

    with start("undisturbed") as build:
        assert build.wait() == 0
    draw = random.Random(0)
    for shards in (3, 11, 19):  # of 30
        with start("killed") as build:
            while len(list(tmp_path.glob("killed.unfinished/journal/[0-9]*.json"))) < shards:
                assert build.poll() is None
                time.sleep(0.005)
            time.sleep(draw.uniform(0, 0.1))
            build.kill()
            assert build.wait() == -signal.SIGKILL, "the build ended before it could be killed"
    with start("killed") as build:
        assert build.wait() == 0

    bank = MemoryBank.from_pretrained(tmp_path / "killed")
    bank.verify()
    assert len(bank) == len(set(bank.ids)) == 59
    contents = [
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("undisturbed", "killed")
    ]
    assert "skipped.jsonl" in contents[0] and contents[0] == contents[1]
    assert not (tmp_path / "killed.unfinished").exists()
