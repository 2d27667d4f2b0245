"""Guard of the server: visitors reach only the page's own addresses, with requests of limited size."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from .picture import MAX_FILE_BYTES, is_upload


# Gradio serves more than this page needs: endpoints for programs, a proxy, downloads of foreign addresses.
READABLE = re.compile(
    r"/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json|(static|assets|svelte)/.*"
    r"|gradio_api/(info|theme\.css|app_id|startup-events|upload_progress|queue/data|heartbeat/[^/]+))?"
)
FILE = re.compile(r"/gradio_api/file=(.*)", re.DOTALL)
# Largest number of bytes of a request, by its address.
WRITABLE = {
    "/gradio_api/upload": MAX_FILE_BYTES + 2**16,  # plus the form around the file
    "/gradio_api/queue/join": 2**16,
    "/gradio_api/cancel": 2**12,
    "/gradio_api/reset": 2**12,
}
MAX_UPLOADS = 4  # at a time
MAX_UPLOADED_BYTES = 2**29  # on disk; files older than an hour are deleted

# The page loads nothing from, and sends nothing to, another server. Gradio's own scripts need the unsafe words.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class Guard:
    """ASGI middleware that refuses, with a sentence, requests that the page itself would never send.

    Args:
        app: The ASGI application behind it.
        uploads (`Path`): Folder of uploaded files; no other file is served, and a request must not name one.
    """

    def __init__(self, app, uploads: Path):
        self.app = app
        self.uploads = uploads
        self.uploading = 0

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})

        async def send_with_headers(message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *HEADERS]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None and scope["path"] == "/gradio_api/queue/join":
            body = await _read(receive)
            refusal, receive = self._refusal_of_files(body), _replay(body, receive)
        if refusal is not None:
            return await _answer(send_with_headers, *refusal)
        uploading = scope["path"] == "/gradio_api/upload"
        self.uploading += uploading
        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            self.uploading -= uploading

    def _refusal(self, scope) -> tuple[int, str] | None:
        method, path = scope["method"], scope["path"]
        if method in ("GET", "HEAD"):
            file = FILE.fullmatch(path)
            served = is_upload(file[1], self.uploads) if file else READABLE.fullmatch(path)
            return None if served else (404, "There is nothing here.")
        if method != "POST" or path not in WRITABLE:
            return 404, "There is nothing here."
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc != headers.get(b"host"):
            return 403, "Requests from other sites are refused."
        length = headers.get(b"content-length", b"")
        if not length.isdigit():
            return 411, "The request must state its length."
        if int(length) > WRITABLE[path]:
            return 413, f"The request is too big: at most {WRITABLE[path]} bytes are allowed."
        if path == "/gradio_api/upload":
            if self.uploading >= MAX_UPLOADS:
                return 503, "Too many uploads at a time; try again in a moment."
            if sum(file.stat().st_size for file in self.uploads.rglob("*") if file.is_file()) > MAX_UPLOADED_BYTES:
                return 507, "There is no room for more pictures; try again later."
        return None

    def _refusal_of_files(self, body: bytes) -> tuple[int, str] | None:
        # Gradio would download a web address in the place of a path, for any kind of input.
        try:
            paths = list(_paths(json.loads(body)))
        except (ValueError, RecursionError):
            return 400, "The request is no JSON."
        if all(path is None or (isinstance(path, str) and is_upload(path, self.uploads)) for path in paths):
            return None
        return 400, "The picture is not, or no longer, among the uploaded ones; choose it again."


def _paths(value: object) -> Iterator[object]:
    """Yield the values of all keys `path`, at any depth."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if "path" in value:
                yield value["path"]
            left += value.values()
        elif isinstance(value, list):
            left += value


async def _read(receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def _replay(body: bytes, receive):
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay():
        return messages.pop() if messages else await receive()

    return replay


async def _answer(send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
