"""Pictures that rows name in any of the ways that there are."""

import base64
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from comem_hf.bank.sources.places import web_pictures
from comem_hf.bank.sources.places.picture_places import PicturePlaces
from tests.conftest import make_image
from tests.picture_forms import encode


PICTURE = encode(make_image(1))
DATA = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"


@pytest.fixture
def places(tmp_path):
    (tmp_path / "a b.png").write_bytes(PICTURE)
    return PicturePlaces(tmp_path)


def test_files_addresses_of_files_and_pictures_in_the_row_are_found(places, tmp_path):
    path = tmp_path / "a b.png"
    for value in (
        "a b.png",
        " a b.png ",
        ".\\a b.png",
        str(path),
        f"file://{tmp_path}/a%20b.png",
        f"FILE:{tmp_path}/a%20b.png",
        path,
    ):
        assert places.find(value) == path
    for value in ({"path": "a b.png"}, {"bytes": None, "path": f"file://localhost{tmp_path}/a%20b.png"}):
        assert places.find(value) == path
    for value in (DATA, DATA[22:], DATA.replace("image/png", ""), PICTURE, {"bytes": PICTURE, "path": "x"}):
        found = places.find(value)
        assert found in (PICTURE, {"bytes": PICTURE, "path": "x"})
    for value in (None, "", "  ", float("nan")):
        assert places.find(value) is None


@pytest.mark.parametrize(
    "value, reason",
    [
        (5, "must be a path or a picture in base64, got 5."),
        (
            "gone.png",
            "names '{folder}/gone.png', and there is no such file; `images=` names another folder that paths",
        ),
        ("/gone.png", "names '/gone.png', and there is no such file."),
        (".", "names '{folder}', which is a folder."),
        (
            "https://shop.example/a.png",
            "is an address on the web, 'https://shop.example/a.png', and nothing is fetched",
        ),
        ("s3://shop/a.png", "is an address of a kind that is not read, 's3://shop/a.png': give the path of a file."),
        ("file://other/a.png", "is a file of another machine, 'file://other/a.png': copy it, and give its path."),
        ("data:text/plain,hello", "is a data URL of 'text/plain', which is no picture."),
        ("data:image/png,hello", "is no picture: "),
        ("data:image/png;base64,!!", "is no picture: 'data:image/png;base64,!!' is not a picture in base64"),
        ("data:image/png;base64" + "A" * 9000, "is no picture: "),
        ("A" * 9000, "names '"),
        ("a\0.png", "names 'a"),
    ],
)
def test_a_value_that_is_no_picture_is_refused_by_what_it_is(value, reason, places):
    with pytest.raises(ValueError) as error:
        places.find(value)
    assert str(error.value).startswith(reason.format(folder=places.folder)) or "\0" in str(value)
    assert len(str(error.value)) < 500


class Shop(BaseHTTPRequestHandler):
    """Gives a picture, too much, too slowly, or nothing."""

    def do_GET(self):
        self.send_response(404 if self.path == "/gone" else 200)
        self.end_headers()
        try:
            for _ in range({"/large": 50, "/slow": 20}.get(self.path, 1)):
                self.wfile.write(PICTURE)
                time.sleep(0.05 if self.path == "/slow" else 0)
        except OSError:  # the client has left
            pass

    def log_message(self, *arguments):
        pass


def test_pictures_on_the_web_are_fetched_if_that_is_allowed_within_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(web_pictures, "MAX_BYTES", 20 * len(PICTURE))
    monkeypatch.setattr(web_pictures, "SECONDS", 0.3)
    places = PicturePlaces(tmp_path, urls=True)
    with HTTPServer(("127.0.0.1", 0), Shop) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        shop = f"http://127.0.0.1:{server.server_port}"
        assert places.find(f"{shop}/a.png") == PICTURE
        for name, reason in {
            "gone": "404 Not Found",
            "large": f"has more than {20 * len(PICTURE):,} bytes",
            "slow": "took longer than 0.3 seconds",
        }.items():
            with pytest.raises(ValueError, match=f"could not be fetched: '{shop}/{name}'.*{reason}"):
                places.find(f"{shop}/{name}")
        server.shutdown()
    with pytest.raises(ValueError, match="could not be fetched: 'http://127.0.0.1:1/'"):
        places.find("http://127.0.0.1:1/")
