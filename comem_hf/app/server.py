"""The server of the page, which deletes all uploads when it ends."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .comparison import Comparer
from .examples import Example


LOOPBACK = ("127.0.0.1", "localhost")


def serve(
    comparer: Comparer,
    examples: Sequence[Example],
    questions: Sequence[str],
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    opened: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve the page until the process is interrupted.

    Uploads lie in a temporary folder, which is removed at the end. Nothing is sent to, or fetched from, another
    server.

    Args:
        comparer (`Comparer`): Source of the answers.
        examples (`Sequence[Example]`): Pictures to start with.
        questions (`Sequence[str]`): Questions to start with.
        host (`str`, *optional*, defaults to `"127.0.0.1"`): Name or IPv4 address to listen on.
        port (`int`, *optional*): Port to listen on; if not given, the first free one from 7860.
        opened (`Callable[[str], None]`, *optional*): Called with the address when the page can be opened.

    Raises:
        ValueError: If the server cannot listen on the address.
    """
    if ":" in host:  # IPv6, for which Gradio makes an address that cannot be opened
        raise ValueError(f"`host` must be a name or an IPv4 address, got {host!r}.")
    with tempfile.TemporaryDirectory(prefix="comem-") as folder:
        # Gradio reads its settings from the environment, when it is imported and while it runs.
        uploads = Path(folder).resolve()
        os.environ.update(
            GRADIO_ALLOWED_PATHS="",
            GRADIO_ANALYTICS_ENABLED="False",
            GRADIO_RUN_HISTORY="False",
            GRADIO_SHARE="False",
            GRADIO_TEMP_DIR=str(uploads),
        )
        import gradio as gr
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        from comem_hf.app.incoming.guard import Guard
        from comem_hf.app.incoming.picture import MAX_FILE_BYTES

        from .page import build_page
        from .style import SCRIPT, style_sheet, theme

        middleware = [Middleware(Guard, uploads=uploads)]
        if host in LOOPBACK:  # a foreign site whose name resolves to this machine must not reach the page
            middleware.insert(0, Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK))
        page = build_page(comparer, examples, questions, uploads)
        try:
            _, address, _ = page.launch(
                server_name=host,
                server_port=port,
                theme=theme(),
                css=style_sheet(examples),
                js=SCRIPT,
                footer_links=[],
                allowed_paths=[],
                max_file_size=MAX_FILE_BYTES,
                state_session_capacity=100,
                enable_monitoring=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                share=False,
                inbrowser=False,
                quiet=True,
                prevent_thread_lock=True,
                app_kwargs={"middleware": middleware, "docs_url": None, "redoc_url": None, "openapi_url": None},
            )
        except (OSError, gr.exceptions.ServerFailedToStartError) as error:
            place = host if port is None else f"{host}:{port}"
            raise ValueError(
                f"Cannot listen on {place}: give a free `--port`, and an address of this machine."
            ) from error
        try:
            opened(address)
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            pass
        finally:
            page.close(verbose=False)
