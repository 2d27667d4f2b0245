"""The command line `comem`: one file per command, named after it."""

import io
import sys


INTERRUPTED = 130  # as a shell reports SIGINT


def main(arguments: list[str] | None = None) -> None:
    """Run `comem`, and exit.

    An error is one line on stderr and exit code 2, or the traceback with `--debug`. Without arguments, the help is
    printed. Ctrl-C ends the program at once and silently, with exit code 130.

    Args:
        arguments (`list[str]`, *optional*): Words of the command line; those of the process if not given.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    debug = "--debug" in arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # items of any language are shown in any locale
            stream.reconfigure(errors="backslashreplace")
    try:
        from comem_hf.files.option_names import options_as_words

        from .application import application

        with options_as_words():
            words = [word for word in arguments if word != "--debug"]
            code = application(words, prog_name="comem", standalone_mode=False)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if _is_interrupt(error):
            sys.exit(INTERRUPTED)
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        if type(error).__name__ == "NoArgsIsHelpError":  # of click or of typer's copy of it
            if message:  # with rich, the help was printed when the error was made
                print(message)
            sys.exit(2)
        if debug:
            raise
        print(f"Error: {' '.join(message.split()) or type(error).__name__}", file=sys.stderr)
        code = 2
    _leave_other_processes()
    sys.exit(code if isinstance(code, int) else 0)


def _leave_other_processes() -> None:
    # Threads of the connection that are left to the interpreter's end may abort the process there.
    torch = sys.modules.get("torch")
    if torch is not None and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _is_interrupt(error: BaseException | None) -> bool:
    # click turns `KeyboardInterrupt` into another error, and so may a package during its import.
    return error is not None and (
        isinstance(error, KeyboardInterrupt) or _is_interrupt(error.__cause__ or error.__context__)
    )
