"""What the tests of folders that are written whole share, here and in other folders."""

from pathlib import Path


OLD = b'{"model_type": "comem"}'


def make_old(folder: Path):
    """What passes for a checkpoint of this package."""
    folder.mkdir()
    (folder / "config.json").write_bytes(OLD)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
