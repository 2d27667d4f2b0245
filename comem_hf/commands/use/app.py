"""`comem app`: a page to try a model and its memory bank in a browser."""

import importlib.util
import sys
from typing import Annotated

import typer


def app(
    model: Annotated[str | None, typer.Option(help="Model folder or Hub id [default: the embedded model].")] = None,
    bank: Annotated[str | None, typer.Option(help="Bank folder or Hub id [default: the embedded bank].")] = None,
    host: Annotated[str, typer.Option(help="Name or IPv4 address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on [default: the first free one from 7860].")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Memory items to retrieve. [default: 3, or what the model has slots for]")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 32,
    explain: Annotated[
        bool, typer.Option(help="Show which item decided, by reading each answer once more without each of them.")
    ] = True,
) -> None:
    """Open a page to ask about pictures, with and without memory, in a browser.

    All who reach the address can use the page: by default, this machine alone. Needs the extra `app` of comem_hf.

    Example:
        comem app --port 7860
    """
    if importlib.util.find_spec("gradio") is None:
        from comem_hf.modeling.installation_comem import how_to_install

        raise ValueError(f"The page needs gradio: {how_to_install('app')}.")

    from comem_hf.app import Comparer, serve
    from comem_hf.app.examples import bank_examples, embedded_examples, questions_for
    from comem_hf.app.server import LOOPBACK
    from comem_hf.commands.common.loading import load_model, open_bank

    loaded, processor = load_model(model, takes_items=True, top_k=top_k)
    memory = open_bank(bank).attach(loaded, processor)
    comparer = Comparer(loaded, processor, memory, top_k, max_new_tokens, explain)
    examples = embedded_examples() if bank is None else bank_examples(memory)
    questions = questions_for(embedded=bank is None)
    for example in examples[:1]:  # the first answer takes longer: no visitor should wait for it
        comparer.compare(example.picture, questions[0])
    if host not in LOOPBACK:
        typer.echo(f"Warning: everyone who can reach {host} can use the page and this machine's time.", err=True)

    def opened(address: str) -> None:
        typer.echo(f"The page is at {address} (Ctrl+C ends it).")
        sys.stdout.flush()

    serve(comparer, examples, questions, host=host, port=port, opened=opened)
