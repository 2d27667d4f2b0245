"""The plugin for lmms-eval: `lmms_eval --model comem`, and the tasks that lmms-eval lacks."""

from pathlib import Path


TASKS = Path(__file__).parent / "tasks"
"""The folder of our tasks, for lmms-eval's `--include_path`."""
