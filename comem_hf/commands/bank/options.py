"""Arguments that the commands of `comem bank` share."""

from typing import Annotated

import typer


BankArgument = Annotated[str, typer.Argument(metavar="BANK", help="Bank folder or Hub id.")]
FolderArgument = Annotated[str, typer.Argument(metavar="BANK", help="Folder of the bank.")]
IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="[IDS]...", help="Ids of items.")]
WaitOption = Annotated[float, typer.Option(min=0, help="Seconds to wait while another process is changing the bank.")]
