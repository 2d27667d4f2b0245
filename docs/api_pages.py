"""Hooks of mkdocs for the pages that are made of docstrings."""

import configparser
import re
import shutil
from pathlib import Path

from mkdocs.plugins import event_priority


@event_priority(100)  # before the plugin that reads the files
def on_config(config):
    """Lay the source files out by their import names under build/source, where mkdocs.yml expects them."""
    root = Path(config.config_file_path).parent
    setup = configparser.ConfigParser()
    setup.read(root / "setup.cfg")
    target = root / "build" / "source"
    shutil.rmtree(target, ignore_errors=True)
    for line in setup["options"]["package_dir"].strip().splitlines():
        name, folder = (part.strip() for part in line.split("="))
        ignored = shutil.ignore_patterns("__pycache__", "default")  # weights
        shutil.copytree(root / folder, target.joinpath(*name.split(".")), dirs_exist_ok=True, ignore=ignored)
    return config


def on_page_content(html, **_):
    """Show [`Name`], by which docstrings of Hugging Face's libraries refer to objects, as code."""
    return re.sub(r"\[<code>~?([\w.]+)</code>\]", r"<code>\1</code>", html)
