"""What is wrong with a YAML file, in a sentence."""

from pathlib import Path


def yaml_problem(path: Path, error: Exception) -> str:
    """Return a sentence that names the file, the line where known, and the problem.

    Args:
        path (`Path`): The file.
        error (`Exception`): What reading it has raised; a `yaml.MarkedYAMLError` knows the line.
    """
    mark = getattr(error, "problem_mark", None)
    line = "" if mark is None else f", line {mark.line + 1}"
    return f"{str(path)!r}{line} cannot be read: {' '.join(str(getattr(error, 'problem', None) or error).split())}."
