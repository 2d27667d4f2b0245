"""The options by which commands open a source of items."""

from pathlib import Path
from typing import Annotated

import typer


ImagesOption = Annotated[
    Path | None,
    typer.Option(help="Folder that paths of pictures in a file start from [default: the folder of the file]."),
]
SplitOption = Annotated[str | None, typer.Option(help="Of a data set that has several [default: train].")]
ImageColumnOption = Annotated[str | None, typer.Option(help="Column of the pictures [default: by its name].")]
TextColumnOption = Annotated[str | None, typer.Option(help="Column of the texts [default: by its name].")]
IdColumnOption = Annotated[str | None, typer.Option(help="Column of the ids [default: 'id'].")]
UrlsOption = Annotated[bool, typer.Option("--urls", help="Fetch pictures whose path is an address on the web.")]
EncodingOption = Annotated[str | None, typer.Option(help="Of a CSV file [default: found out].")]
DelimiterOption = Annotated[str | None, typer.Option(help="Between the columns of a CSV file [default: found out].")]
