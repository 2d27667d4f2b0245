"""The options of a source."""

from dataclasses import dataclass, field
from pathlib import Path

from comem_hf.bank.sources.rows.columns import Columns
from comem_hf.files.option_names import option


@dataclass(frozen=True)
class SourceOptions:
    """Options of [`open_source`], of which each kind of source takes some."""

    columns: Columns = field(default_factory=Columns)
    images: str | Path | None = None
    split: str | None = None
    urls: bool = False
    encoding: str | None = None
    delimiter: str | None = None

    def check(self, kind: str, *taken: str) -> None:
        """Refuse options that are given and that a kind of source does not take.

        Args:
            kind (`str`): What it is, for the message: "a folder of images".
            *taken (`str`): Names of the options that it takes, besides the columns.
        """
        for name in ("images", "split", "urls", "encoding", "delimiter"):
            if getattr(self, name) and name not in taken:
                raise ValueError(f"{option(name)} is not for {kind}: leave it out.")
