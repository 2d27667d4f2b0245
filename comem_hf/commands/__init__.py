"""The command line `comem`: one file per command, named after it."""

import sys


def main(arguments: list[str] | None = None) -> None:
    """Run `comem`; errors are one line on stderr and exit code 2, with `--debug` the traceback. No words: the help.

    Args:
        arguments (`list[str]`, *optional*): Words of the command line; those of the process if not given.
    """
    from .application import application

    arguments = sys.argv[1:] if arguments is None else list(arguments)
    debug = "--debug" in arguments
    try:
        code = application([word for word in arguments if word != "--debug"], prog_name="comem", standalone_mode=False)
    except Exception as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        if type(error).__name__ == "NoArgsIsHelpError":  # of click or of typer's copy of it
            if message:  # with rich, making the error has printed the help already
                print(message)
            sys.exit(2)
        if debug:
            raise
        print(f"Error: {' '.join(message.split()) or type(error).__name__}", file=sys.stderr)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)
