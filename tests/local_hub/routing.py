"""HTTP requests find the method that answers them."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.local_hub.repository import HubError


ROUTES: list[tuple[str, re.Pattern, Callable]] = []


def route(method: str, path: str):
    """Has a method of a [`RoutedHandler`] answer requests to paths of this form, with its groups as arguments."""

    def add(function: Callable) -> Callable:
        ROUTES.append((method, re.compile(path), function))
        return function

    return add


@dataclass
class Reply:
    """An answer that is not plain JSON."""

    content: bytes = b""
    status: int = 200
    headers: dict[str, Any] = field(default_factory=dict)


class RoutedHandler(BaseHTTPRequestHandler):
    """Answers requests by the methods that [`route`] names, one at a time, and errors in the form Hub clients know."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        url = urlsplit(self.path)
        self.server.requests.append((self.command, unquote(url.path)))
        self.query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        method = "GET" if self.command == "HEAD" else self.command
        try:
            with self.server.lock:
                reply = self.find_route(method, url.path)
        except HubError as error:
            headers = {"X-Error-Code": error.code, "X-Error-Message": error.message}
            reply = Reply(json.dumps({"error": error.message}).encode(), error.status, headers)
        if not isinstance(reply, Reply):
            reply = Reply(json.dumps(reply).encode(), headers={"Content-Type": "application/json"})
        self.send_response(reply.status)
        for name, value in {"Content-Length": len(reply.content), **reply.headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.content)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 (the names that the base class looks for)

    def find_route(self, method: str, path: str) -> Any:
        for wanted, pattern, function in ROUTES:
            match = pattern.fullmatch(path)
            if match and wanted == method:
                return function(self, **{key: unquote(value or "") for key, value in match.groupdict().items()})
        raise HubError(404, message=f"This server has no {method} {path}.")

    def log_message(self, *args):
        pass
