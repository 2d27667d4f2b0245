"""Runs the code of a Markdown page in the working directory: `python run_page.py PAGE`. Used by test_pages.py.

Python blocks share one namespace, and print exactly the lines that their `# =>` comments announce, if they announce
any. Shell blocks must succeed. A block under `<!-- not run: reason -->` is passed over.
"""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

from markdown_it import MarkdownIt


NOT_RUN = re.compile(r"<!-- not run: \S.* -->")
EXPECTED = re.compile(r"# => (.*)$", re.MULTILINE)


def run_page(path: Path) -> int:
    """Runs a page and returns the number of its blocks that were run."""
    namespace: dict = {"__name__": "__main__"}
    count, previous = 0, ""
    for token in MarkdownIt().parse(path.read_text(encoding="utf-8")):
        if token.type == "fence" and token.info in ("python", "bash") and not NOT_RUN.fullmatch(previous):
            where = f"{path.name}:{token.map[0] + 1}"
            print(f"-- {where}", flush=True)
            run = _python if token.info == "python" else _shell
            run(token.content, where, namespace)
            count += 1
        if token.content:
            previous = token.content.strip()
    return count


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
