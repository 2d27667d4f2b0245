"""Functions of a test, run by a Python of their own in which chosen packages cannot be imported."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


# Whatever way a package is installed (path line, editable hook, wheel), some finder on this list would find it.
HIDE = """\
import importlib.util, json, sys


class Without:
    def __init__(self, finder, names):
        self.finder, self.names = finder, names

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in self.names else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)


arguments, hidden = json.loads(sys.argv[1]), json.loads(sys.argv[2])
sys.meta_path[:] = [Without(finder, hidden) for finder in sys.meta_path]
assert not any(map(importlib.util.find_spec, hidden))
"""


@dataclass
class Done:
    """What a process returned and what it said."""

    result: Any
    output: str


def run_alone(
    function: Callable,
    *arguments: Any,
    folder: Path,
    uses: tuple[Callable, ...] = (),
    hidden: tuple[str, ...] = ("comem_hf",),
    **environment: str,
) -> Done:
    """Runs a function in a new process.

    Args:
        function (`Callable`): A function whose source is complete in itself: it imports what it needs, and returns
            something that JSON can hold.
        *arguments: Its arguments, which JSON can hold.
        folder (`pathlib.Path`): Where the process runs, and keeps the caches of Hugging Face's libraries.
        uses (`tuple[Callable]`, *optional*): Functions that it calls, complete in themselves too.
        hidden (`tuple[str]`, *optional*, defaults to `("comem_hf",)`): Packages that the process cannot import.
        **environment: Further environment variables. Without `HF_ENDPOINT` the process is offline.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / f"{function.__name__}.py"
    sources = [HIDE, *map(inspect.getsource, (*uses, function)), f"result = {function.__name__}(*arguments)"]
    script.write_text("\n\n".join([*sources, 'print("\\n" + json.dumps(result))\n']), encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    process = subprocess.run(
        [sys.executable, script, json.dumps(arguments), json.dumps(hidden)],
        cwd=folder,
        env={
            **inherited,
            "HF_HOME": str(folder / "hf_home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0" if "HF_ENDPOINT" in environment else "1",
            **environment,
        },
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    said, _, result = process.stdout.rstrip("\n").rpartition("\n")
    return Done(json.loads(result), said + process.stderr)
