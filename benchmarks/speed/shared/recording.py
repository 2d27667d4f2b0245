"""Results on disk: a JSON file per benchmark with an entry per shape and device, and tables made of it."""

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

from comem_hf.files.whole_file import write_durably


RESULTS = Path(__file__).parents[2] / "results"


@dataclass(frozen=True)
class Goal:
    """A figure that is to stay at or below a limit."""

    what: str
    measured: float
    at_most: float

    @property
    def is_met(self) -> bool:
        """Whether it does."""
        return self.measured <= self.at_most


def record(
    name: str,
    about: str,
    options: Any,
    rows: Sequence[dict[str, Any]],
    goals: Sequence[Goal] = (),
    notes: Sequence[str] = (),
    part: str = "",
) -> None:
    """Print a table and write it to `benchmarks/results/<name>.json`, in place of an older one of the same kind.

    Args:
        name (`str`): Name of the benchmark.
        about (`str`): One sentence that says what is compared.
        options (`argparse.Namespace`): `shape`, `depth_share` and `device`, which say what was measured.
        rows (`Sequence[dict]`): A mapping of the columns' names to values for each line.
        goals (`Sequence[Goal]`, *optional*): Goals, in the order in which they are shown.
        notes (`Sequence[str]`, *optional*): Sentences below the table.
        part (`str`, *optional*): Tells tables of one benchmark apart.
    """
    if getattr(options, "counts_only", False):
        measured = "counted only"
    elif options.depth_share == 1:
        measured = options.device
    else:
        measured = f"{options.depth_share:g} of the depth, {options.device}"
    key = f"{options.shape}, {measured}{part and ', '}{part}"
    command = f"python -m {sys.modules['__main__'].__spec__.name} {' '.join(sys.argv[1:])}".strip()
    run = {
        "about": about,
        "command": command,
        "date": date.today().isoformat(),
        "machine": machine(options.device),
        "versions": versions(),
        "rows": [{column: _plain(value) for column, value in row.items()} for row in rows],
        "goals": [{**asdict(goal), "met": goal.is_met} for goal in goals],
        "notes": list(notes),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    runs = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    runs[key] = run
    text = json.dumps(runs, indent=1, ensure_ascii=False) + "\n"
    write_durably(path, lambda file: file.write_text(text, encoding="utf-8"))
    print(f"\n{as_markdown(key, run)}", flush=True)


def as_markdown(key: str, run: dict[str, Any]) -> str:
    """Return a run's table with its command, goals and notes."""
    columns = list(dict.fromkeys(column for row in run["rows"] for column in row))
    lines = [f"`{run['command']}` ({run['date']}): {run['about']} {key}.", ""]
    lines += [f"| {' | '.join(columns)} |", f"|{' --- |' + ' ---: |' * (len(columns) - 1)}"]
    lines += [f"| {' | '.join(_shown(row.get(column)) for column in columns)} |" for row in run["rows"]]
    if run["notes"]:
        lines += ["", " ".join(run["notes"])]
    return "\n".join(lines)


def goals_as_markdown(runs: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return a table of all goals.

    Args:
        runs (`dict`): Runs by benchmark and key.
    """
    lines = ["| goal | measured | at most | |", "| --- | ---: | ---: | --- |"]
    for name, of_name in runs.items():
        for key, run in of_name.items():
            for goal in run["goals"]:
                verdict = "met" if goal["met"] else "missed"
                numbers = f"{_shown(goal['measured'])} | {_shown(goal['at_most'])}"
                lines.append(f"| {goal['what']} ({key}; `{name}`) | {numbers} | {verdict} |")
    return "\n".join(lines)


def machine(device: str) -> str:
    """Describe the processor, its cores and the memory; with another device, that one, too."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    described = f"{name}, {cores} cores{memory}"
    if device == "cpu":
        return f"{described}, one thread"
    import torch

    return f"{torch.cuda.get_device_name()} beside {described}"


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide the speed."""
    from importlib.metadata import version

    names = ("torch", "transformers", "faiss-cpu")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) else value


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):  # a spread
        return f"{_shown(value['median'])} ({_shown(value['low'])}-{_shown(value['high'])})"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        digits = 3 if abs(value) < 10 else 1
        return f"{value:,.{digits}f}"
    return str(value)
