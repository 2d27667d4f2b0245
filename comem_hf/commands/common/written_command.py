"""Command lines as they are recorded with results."""

import shlex


def written_command(*words: str, **options: object) -> str:
    """Return a command line, without paths of this machine.

    Args:
        *words (`str`): The command and its arguments.
        **options: Values of the options, by the options' names with underscores; one that is `None` is left out,
            one that is `True` has no value, and one that is a tuple is given once for each of its values.
    """
    from comem_hf.modeling.local_paths_comem import public_name

    line = ["comem", *words]
    for name, value in options.items():
        for one in value if isinstance(value, tuple) else () if value is None else (value,):
            line += [f"--{name.replace('_', '-')}", *([] if one is True else [public_name(str(one))])]
    return shlex.join(line)
