"""`python -m comem_hf` is the command line `comem`."""

from .commands import main


if __name__ == "__main__":
    main()
