"""What of the server a visitor can reach."""

import asyncio
import json

import httpx
import pytest

from comem_hf.app.incoming.guard import MAX_UPLOADS, Guard
from comem_hf.app.incoming.picture import MAX_FILE_BYTES


@pytest.fixture
def uploads(tmp_path):
    (tmp_path / "uploads" / "hash").mkdir(parents=True)
    (tmp_path / "uploads" / "hash" / "a.png").write_bytes(b"picture")
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "uploads"


async def application(scope, receive, send):
    """Says what reached it."""
    message = await receive()
    if scope["path"].endswith("upload"):
        await asyncio.sleep(0.2)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"reached " + message.get("body", b"")})


@pytest.fixture
def ask(uploads):
    guard = Guard(application, uploads)

    async def requests(*all_arguments, **options):
        transport = httpx.ASGITransport(guard)
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            return await asyncio.gather(*(client.request(*arguments, **options) for arguments in all_arguments))

    return lambda *all_arguments, **options: asyncio.run(requests(*all_arguments, **options))


@pytest.mark.parametrize("path", ["/", "/config", "/assets/a.js", "/gradio_api/queue/data?session_hash=a"])
def test_the_pages_own_addresses_are_served_and_nothing_foreign_is_loaded(ask, path):
    [answer] = ask(("GET", path))
    assert answer.text == "reached "
    assert "default-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/gradio_api/proxy=http://127.0.0.1/"),
        ("GET", "/gradio_api/file=http://127.0.0.1/a.png"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/file/etc/passwd"),
        ("GET", "/gradio_api/runs"),
        ("GET", "/gradio_api/file="),
        ("POST", "/gradio_api/component_server"),
        ("POST", "/gradio_api/call/ask"),
        ("POST", "/gradio_api/run/ask"),
        ("POST", "/login"),
        ("PUT", "/"),
        ("DELETE", "/gradio_api/upload"),
    ],
)
def test_other_addresses_are_not(ask, method, path):
    [answer] = ask((method, path))
    assert (answer.status_code, answer.json()) == (404, {"detail": "There is nothing here."})


def test_only_uploaded_files_are_served(ask, uploads):
    [own, above, other] = ask(
        ("GET", f"/gradio_api/file={uploads}/hash/a.png"),
        ("GET", f"/gradio_api/file={uploads}/%2e%2e/secret.txt"),
        ("GET", f"/gradio_api/file={uploads.parent}/secret.txt"),
    )
    assert (own.status_code, above.status_code, other.status_code) == (200, 404, 404)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "http://127.0.0.1/a.png", "https://example.com/a.png", "file:///etc/passwd", 3, ["a"], {}]
)
@pytest.mark.parametrize("where", ["picture", "question", "deep"])
def test_a_request_that_names_another_file_is_refused(ask, path, where):
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    data = {"picture": [file, "What?"], "question": [None, file], "deep": [[{"a": [[{"b": file}]]}]]}[where]
    [answer] = ask(("POST", "/gradio_api/queue/join"), json={"data": data})
    assert (answer.status_code, answer.json()) == (
        400,
        {"detail": "The picture is not, or no longer, among the uploaded ones; choose it again."},
    )


def test_a_request_with_an_uploaded_file_arrives_as_it_was(ask, uploads):
    body = {"data": [{"path": f"{uploads}/hash/a.png"}, "What?"]}
    [answer] = ask(("POST", "/gradio_api/queue/join"), json=body)
    assert json.loads(answer.text.removeprefix("reached ")) == body


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 60_000])
def test_what_is_no_json_is_refused(ask, body):
    [answer] = ask(("POST", "/gradio_api/queue/join"), content=body)
    assert (answer.status_code, answer.json()) == (400, {"detail": "The request is no JSON."})


@pytest.mark.parametrize(
    "path, size", [("/gradio_api/queue/join", 2**16), ("/gradio_api/upload", MAX_FILE_BYTES + 2**16)]
)
def test_a_request_of_too_many_bytes_is_refused_unread(ask, path, size):
    [answer] = ask(("POST", path), content=bytes(size + 1))
    assert answer.status_code == 413 and "too big" in answer.json()["detail"]


def test_a_request_of_unknown_length_is_refused(ask):
    async def endless():
        yield b"[]"

    [answer] = ask(("POST", "/gradio_api/queue/join"), content=endless())
    assert answer.status_code == 411


@pytest.mark.parametrize("origin, status", [("http://page", 200), ("http://example.com", 403), ("null", 403)])
def test_what_another_site_makes_a_browser_send_is_refused(ask, origin, status):
    [answer] = ask(("POST", "/gradio_api/upload"), content=b"picture", headers={"Origin": origin})
    assert answer.status_code == status


def test_uploads_at_a_time_are_limited_and_the_next_ones_work(ask):
    upload = ("POST", "/gradio_api/upload")
    answers = ask(*[upload] * (MAX_UPLOADS + 3), content=b"picture")
    assert sorted(answer.status_code for answer in answers) == [200] * MAX_UPLOADS + [503] * 3
    assert ask(upload, content=b"picture")[0].status_code == 200


def test_a_full_folder_of_uploads_takes_no_more(ask, monkeypatch):
    monkeypatch.setattr("comem_hf.app.incoming.guard.MAX_UPLOADED_BYTES", 3)
    [answer] = ask(("POST", "/gradio_api/upload"), content=b"picture")
    assert (answer.status_code, answer.json()["detail"]) == (
        507,
        "There is no room for more pictures; try again later.",
    )
