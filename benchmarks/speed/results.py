"""Write the tables of speed into `benchmarks/RESULTS.md`, and draw `docs/speed.png`, from what was recorded.

    python -m benchmarks.speed.results

Numbers are never typed by hand: the section between the two marks in RESULTS.md is replaced.
"""

import json
from pathlib import Path

from benchmarks.speed.shared.plot import draw
from benchmarks.speed.shared.recording import RESULTS, as_markdown, goals_as_markdown


TITLES = {
    "first_token": "Time to the first token",
    "decoding": "Decoding",
    "encoding": "Encoding",
    "memory": "Memory",
    "bank": "A bank of modest size",
    "training_step": "A training step",
    "training_cost": "A training step beside LoRA's",
    "start_up": "Start-up",
}
BEGIN, END = "<!-- speed: written by `python -m benchmarks.speed.results` -->", "<!-- end of speed -->"
PLOTTED = "qwen2-vl-2b, 0.25 of the depth, cpu, batch 1"


def section(runs: dict[str, dict]) -> str:
    """Return the section of all recorded runs, by benchmark and key."""
    everything = [run for of_name in runs.values() for run in of_name.values()]
    machines = sorted({run["machine"] for run in everything})
    versions = sorted(
        {", ".join(f"{name} {number}" for name, number in run["versions"].items()) for run in everything}
    )
    parts = [
        "## Speed",
        "`make bench-speed`: the ways are measured in turns in one process; ratios are medians, with quartiles, of "
        "those within a round. Random weights, whose speed is that of real ones. "
        f"{'; '.join(machines)}; {'; '.join(versions)}. Operations are those of the whole depth unless it is said.",
        goals_as_markdown(runs),
    ]
    for name, title in TITLES.items():
        parts += [f"### {title}"] if name in runs else []
        parts += [as_markdown(key, run) for key, run in runs.get(name, {}).items()]
    return "\n\n".join(parts)


def main() -> None:
    """Read the records, write section and plot."""
    files = {name: RESULTS / f"{name}.json" for name in TITLES}
    runs = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in files.items() if path.exists()}
    page = RESULTS.parent / "RESULTS.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{section(runs)}\n\n{END}{after}", encoding="utf-8")
    plotted = runs.get("first_token", {}).get(PLOTTED)
    if plotted is not None:
        draw(plotted, Path(__file__).parents[2] / "docs" / "speed.png")


if __name__ == "__main__":
    main()
