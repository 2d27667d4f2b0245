"""The notebook runs, and prints what it shows."""

import contextlib
import io
import json
from pathlib import Path

import pytest


NOTEBOOK = Path(__file__).parents[2] / "docs" / "quickstart.ipynb"


@pytest.mark.slow
def test_cells_of_the_notebook_print_what_it_shows():
    namespace: dict = {}
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    printed, shown = [], []
    for number, cell in enumerate(cells, start=1):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile("".join(cell["source"]), f"cell {number}", "exec"), namespace)
        printed.append(output.getvalue())
        shown.append("".join("".join(o["text"]) for o in cell["outputs"] if o.get("name") == "stdout"))
    assert any(shown)
    assert printed == shown
