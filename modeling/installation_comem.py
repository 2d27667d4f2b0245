"""How comem_hf is installed: the only place that says it, for all hints, error messages and cards."""


def how_to_install(extra: str | None = None) -> str:
    """Return a phrase that says how to install comem_hf, such as "`pip install .` in a clone of its repository".

    Change it with the first release on PyPI, where nothing is yet.

    Args:
        extra (`str`, *optional*): An extra of the package to install, too, such as `"app"`.
    """
    what = "." if extra is None else f'".[{extra}]"'
    return f"`pip install {what}` in a clone of the comem_hf repository"


__all__ = ["how_to_install"]
