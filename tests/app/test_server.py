"""The served page over real HTTP: what it answers, and what it refuses."""

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from comem_hf.answering import WITHOUT_WORDS
from comem_hf.app.incoming.picture import MAX_FILE_BYTES


pytestmark = pytest.mark.slow
QUESTION = "What is the currency of this country?"


@pytest.fixture(scope="module")
def client(address):
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def function(client):
    """Number of the function that answers: the only one with three inputs."""
    return next(each["id"] for each in client.get("/config").json()["dependencies"] if len(each["inputs"]) == 3)


@pytest.fixture(scope="module")
def uploaded(client, greece):
    return upload(client, greece.read_bytes()).json()[0]


def upload(client, content: bytes, name: str = "a.png"):
    return client.post("/gradio_api/upload", files={"files": (name, content)})


def file(path, **more) -> dict:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


def join(client, function, picture, question, session="a", min_score=0):
    body = {"data": [picture, question, min_score], "fn_index": function, "session_hash": session}
    return client.post("/gradio_api/queue/join", json=body)


def outputs(client, session="a"):
    """The message and the answers that a session gets; `None` if Gradio itself refuses what was sent."""
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as events:
        for line in events.iter_lines():
            event = json.loads(line.removeprefix("data: ")) if line else {}
            if event.get("msg") == "process_completed":
                return event["output"]["data"] if event["success"] else None


def ask(client, function, picture, question, session="a", min_score=0):
    answer = join(client, function, picture, question, session, min_score)
    assert answer.status_code == 200, answer.text
    return outputs(client, session)


def test_an_uploaded_picture_is_asked_about(client, function, uploaded):
    message, answers = ask(client, function, file(uploaded), QUESTION)
    assert message == "" and ">Euro<" in answers and ">GR<" in answers


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../../etc/passwd", "http://127.0.0.1:1/a.png", "https://example.com/a.png", "file:///etc/x"],
)
@pytest.mark.parametrize("field", ["picture", "question"])
def test_no_other_path_or_address_is_taken_as_a_file(client, function, uploaded, path, field):
    data = {"picture": (file(path), QUESTION), "question": (file(uploaded), file(path))}[field]
    answer = join(client, function, *data)
    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "The picture is not, or no longer, among the uploaded ones; choose it again.",
    )
    assert ">Euro<" in ask(client, function, file(uploaded), QUESTION)[1]


@pytest.mark.parametrize(
    "picture, question, sentence",
    [
        (None, "", "Choose an example or upload a picture first."),
        ("uploaded", "", "Type a question first."),
        ("uploaded", {"a": 1}, "Type a question first."),
        ("uploaded", "why " * 5000, "The question has 19,999 characters; at most 500 are allowed."),
        ("fake", QUESTION, "This file is no picture in PNG, JPEG, WebP, GIF or BMP format."),
    ],
)
def test_what_cannot_be_answered_is_one_sentence_and_the_next_question_works(
    client, function, uploaded, picture, question, sentence
):
    if picture == "fake":
        picture = file(upload(client, b"no picture").json()[0])
    elif picture == "uploaded":
        picture = file(uploaded)
    message, answers = ask(client, function, picture, question)
    assert message == f'<p class="problem">{sentence}</p>'
    assert "answer" in answers and "Euro" not in answers
    assert ">Euro<" in ask(client, function, file(uploaded), QUESTION)[1]


def test_a_question_without_a_picture_is_searched_for_by_its_words(client, function, uploaded):
    message, answers = ask(client, function, None, "What is the currency of Greece?")
    assert message == "" and "With memory" in answers and "found by words" in answers
    message, answers = ask(client, function, None, "Xyzzy?")
    assert message == "" and WITHOUT_WORDS in answers and "With memory" not in answers


@pytest.mark.parametrize("picture", ["/etc/passwd", ["a"], 3, {"path": None, "url": "data:image/png;base64,AAAA"}])
def test_a_picture_of_another_form_is_never_answered_and_the_next_question_works(client, function, uploaded, picture):
    refused = ask(client, function, picture, QUESTION)
    assert refused is None or "Choose an example or upload a picture first." in refused[0]
    assert ">Euro<" in ask(client, function, file(uploaded), QUESTION)[1]


def test_an_address_beside_an_uploaded_file_is_not_fetched(client, function, uploaded):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.server_address[1]}/a.png"
            assert httpx.get(address).status_code == 404  # it would notice
            for picture in (file(uploaded, url=address), file(uploaded, url=address, is_stream=True)):
                join(client, function, picture, QUESTION)
                outputs(client)
        finally:
            server.shutdown()
            thread.join()
    assert asked == ["/a.png"]


def test_files_of_the_machine_are_not_served(client, uploaded):
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port)  # sends paths as they are
    for path, status in (
        (f"/gradio_api/file={uploaded}", 200),
        ("/gradio_api/file=/etc/passwd", 404),
        (f"/gradio_api/file={uploaded}/../../../../../../../../etc/passwd", 404),
        (f"/gradio_api/file={uploaded}/..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd", 404),
        ("/gradio_api/file=http://127.0.0.1:1/", 404),
        ("/gradio_api/proxy=http://127.0.0.1:1/", 404),
        ("/gradio_api/stream/a/b/1/playlist.m3u8", 404),
        ("/static/../../../../../../../../../../etc/passwd", 403),
        ("/assets/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd", 403),
    ):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert b"root:" not in answer.read()
        assert answer.status == status, path


def test_there_are_no_endpoints_for_programs(client):
    for path in ("call/ask", "call/v2/ask", "run/ask", "api/ask", "component_server", "stream/a"):
        assert client.post(f"/gradio_api/{path}", json={"data": []}).status_code == 404
    assert client.get("/gradio_api/info").json()["named_endpoints"] == {}


def test_a_file_that_is_too_big_is_refused(client):
    assert upload(client, bytes(MAX_FILE_BYTES + 1)).status_code == 413
    assert upload(client, bytes(MAX_FILE_BYTES + 2**17)).status_code == 413


def test_a_foreign_site_cannot_reach_the_page(client, function, uploaded):
    assert client.get("/", headers={"Host": "example.com"}).status_code == 400
    answer = client.get("/", headers={"Origin": "https://example.com"})
    assert "access-control-allow-origin" not in answer.headers


def test_more_questions_than_the_queue_holds_are_refused_and_the_others_answered(client, function, uploaded):
    answers = [join(client, function, file(uploaded), QUESTION, session=f"s{number}") for number in range(60)]
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 503}
    assert "Queue is full" in next(answer.text for answer in answers if answer.status_code == 503)
    for number, answer in enumerate(answers):
        if answer.status_code == 200:
            assert ">Euro<" in outputs(client, f"s{number}")[1]


def test_a_least_probability_leaves_out_items_and_a_bad_one_is_one_sentence(client, function, uploaded):
    message, answers = ask(client, function, file(uploaded), QUESTION, min_score=0.1)
    assert message == "" and ">GR<" in answers and ">FM<" not in answers and "probability 0.15" in answers
    answers = ask(client, function, file(uploaded), QUESTION, min_score=0.9)[1]
    assert "Nothing found: no item of the bank shows the same thing" in answers and "With memory" not in answers
    for value in ("0.5", -1, {"a": 1}):
        message, _ = ask(client, function, file(uploaded), QUESTION, min_score=value)
        assert message == '<p class="problem">The least probability must be a number from 0 to 1.</p>'
