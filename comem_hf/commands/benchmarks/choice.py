"""What the command line asks for, and whether that fits together."""

from dataclasses import asdict, dataclass
from pathlib import Path

from comem_hf.commands.common.written_command import written_command


ALL = "all"
OPTIONS = {"ways": "way", "languages": "language"}
WITHOUT_BENCHMARKS = ("model", "bank", "reader", "top_k", "batch_size", "output")
"""Options that need no benchmark."""


@dataclass(frozen=True)
class Choice:
    """What the command line asks for; see its help for each."""

    names: tuple[str, ...]
    model: str | None = None
    bank: str | None = None
    reader: str = "adapter"
    data: Path | None = None
    records: Path | None = None
    predictions: Path | None = None
    multiple_choice: bool = False
    ways: tuple[str, ...] = ()
    top_k: tuple[int, ...] = ()
    protocol: str = "equal"
    split: str | None = None
    languages: tuple[str, ...] = ()
    limit: int | None = None
    max_new_tokens: int | None = None
    vocabulary: Path | None = None
    published: Path | None = None
    batch_size: int = 16
    output: Path | None = None

    def given(self) -> dict[str, object]:
        """Return the options that are not as usual, by their names with underscores."""
        usual = asdict(Choice(()))
        return {
            OPTIONS.get(name, name): value
            for name, value in asdict(self).items()
            if name != "names" and value != usual[name]
        }

    def command(self) -> str:
        """Return the command line, without what is as usual."""
        return written_command("evaluate", *self.names, **self.given())

    def check(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ValueError: Naming the option.
        """
        from comem_hf.evaluation.asking.run import RUN_NAME
        from comem_hf.evaluation.asking.terms.protocol import PROTOCOLS

        if self.data is None:
            raise ValueError(
                "`--data` must name the folder with the benchmarks' files; docs/how-to/benchmarks.md lists them."
            )
        if not self.data.is_dir():
            raise ValueError(f"`--data` must be a folder, but {str(self.data)!r} is none.")
        if self.output is None:
            raise ValueError("`--output` must name a folder for the predictions and the report.")
        if self.output.is_file():
            raise ValueError(f"`--output` must be a folder for benchmarks, but {str(self.output)!r} is a file.")
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"`--protocol` must be one of {list(PROTOCOLS)}, got {self.protocol!r}.")
        if self.bank is not None and self.records is not None:
            raise ValueError("Give `--bank` or `--records`, not both: items come from one of them.")
        if self.multiple_choice and (self.predictions is None or self.names != ("aokvqa",)):
            raise ValueError(
                "`--multiple-choice` scores `--predictions` of 'aokvqa': the prompts here ask for direct answers."
            )
        if self.predictions is None:
            return
        if len(self.names) > 1 or ALL in self.names:
            raise ValueError("`--predictions` are of one benchmark; name that one alone.")
        for name in ("model", "bank", "records", "ways", "top_k", "max_new_tokens"):
            if getattr(self, name):
                option = OPTIONS.get(name, name).replace("_", "-")
                raise ValueError(f"`--{option}` has no effect beside `--predictions`, for which nothing is asked.")
        if (self.output / RUN_NAME).exists():
            raise ValueError(
                f"{str(self.output)!r} is the folder of a run, whose report `--predictions` would replace."
            )
