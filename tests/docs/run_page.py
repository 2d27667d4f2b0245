"""Runs the code of a Markdown page in the working directory: `python run_page.py PAGE`. Used by test_pages.py.

Python blocks share one namespace, and print exactly the lines that their `# =>` comments announce, if they announce
any. Shell blocks must succeed; their `comem` is that of prepared_command.py. A block under `<!-- not run: reason -->`
is passed over.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

from markdown_it import MarkdownIt
from prepared_command import prepared_command


NOT_RUN = re.compile(r"<!-- not run: \S.* -->")
COMMAND = re.compile(r"^comem ", re.MULTILINE)
EXPECTED = re.compile(r"# => (.*)$", re.MULTILINE)


def run_page(path: Path) -> int:
    """Runs a page and returns the number of its blocks that were run."""
    blocks, previous = [], ""
    for token in MarkdownIt().parse(path.read_text(encoding="utf-8")):
        if token.type == "fence" and token.info in ("python", "bash") and not NOT_RUN.fullmatch(previous):
            blocks.append((token.info, token.content, f"{path.name}:{token.map[0] + 1}"))
        if token.content:
            previous = token.content.strip()
    namespace: dict = {"__name__": "__main__"}
    with contextlib.ExitStack() as stack:
        if any(kind == "bash" and COMMAND.search(code) for kind, code, _ in blocks):
            folder = stack.enter_context(prepared_command())  # before any block has run
            os.environ["PATH"] = os.pathsep.join([folder, os.environ["PATH"]])
        for kind, code, where in blocks:
            print(f"-- {where}", flush=True)
            (_python if kind == "python" else _shell)(code, where, namespace)
    return len(blocks)


def _python(code: str, where: str, namespace: dict) -> None:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, where, "exec"), namespace)
    expected = EXPECTED.findall(code)
    if expected and output.getvalue().splitlines() != expected:
        raise SystemExit(f"{where} prints {output.getvalue().splitlines()}, the page says {expected}.")


def _shell(code: str, where: str, namespace: dict) -> None:
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", code], capture_output=True, text=True)
    print(done.stdout, flush=True)
    if done.returncode:
        raise SystemExit(f"{where} failed with exit code {done.returncode}: {done.stderr}")


if __name__ == "__main__":
    if not run_page(Path(sys.argv[1])):
        raise SystemExit(f"{sys.argv[1]} has no code to run.")
