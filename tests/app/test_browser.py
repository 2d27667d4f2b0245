"""The page in a real browser."""

import json
import shutil

import pytest


webdriver = pytest.importorskip("selenium.webdriver", reason="these tests need selenium")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")), reason="needs chromium and chromedriver"
    ),
]
QUESTION = "What is the currency of this country?"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


class Page:
    """The page, opened anew."""

    def __init__(self, driver, address: str, width: int = 1280, dark: bool = False):
        self.driver = driver
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        for log in ("browser", "performance"):
            driver.get_log(log)
        driver.get(address)
        self.wait(lambda: self.all("#picture input[type=file]") and self.all("#ask"))
        self.wait(lambda: self.all("#answers[aria-live]"))  # the last thing that happens when it opens

    def all(self, selector: str) -> list:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return " ".join(element.text for element in self.all(selector))

    def wait(self, condition) -> None:
        WebDriverWait(self.driver, 60, ignored_exceptions=(Exception,)).until(lambda _: condition())

    def press(self, *keys: str) -> None:
        for key in keys:
            webdriver.ActionChains(self.driver).send_keys(key).perform()

    def focused(self):
        return self.driver.switch_to.active_element

    def tab_to(self, selector: str) -> None:
        for _ in range(20):
            self.press(Keys.TAB)
            if self.focused() in self.all(selector):
                return
        raise AssertionError(f"{selector} cannot be reached by Tab.")

    def ask_about_greece(self) -> None:
        self.all("#example-1")[0].click()
        self.wait(lambda: self.all("#picture img"))
        self.all("#question input")[0].send_keys(QUESTION, Keys.ENTER)
        self.wait(lambda: self.all(".results"))

    def has_no_horizontal_scroll(self) -> bool:
        return self.driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.fixture
def page(chromium, address) -> Page:
    return Page(chromium, address)


def test_an_example_is_asked_about_by_keyboard_alone(page, address):
    page.tab_to("#example-1")
    assert page.focused().text == "Greece"
    assert page.focused().value_of_css_property("outline-style") == "solid"
    page.press(Keys.ENTER)
    page.wait(lambda: page.all("#picture img"))
    page.tab_to("#question input")
    page.press(*QUESTION, Keys.ENTER)
    page.wait(lambda: page.all(".results"))

    assert page.text(".answer.memory .text") == "Euro"
    assert page.text(".answer.alone .text") not in ("", "Euro")
    assert page.text(".results h2") == QUESTION
    positions = [int(cell.text) for cell in page.all(".costs .number")]
    assert positions[1] == positions[0] + 3 * 8 and positions[2] > 2 * positions[1]
    assert all(" s" in quiet.text for quiet in page.all(".answer .quiet"))
    assert [name.text for name in page.all(".items strong")][0] == "GR"
    assert "The currency is the Euro" in page.all(".items li")[0].text
    assert len(page.all(".items li")) == 3
    assert [share.text for share in page.all(".items .share")] == ["decided 100%", "decided 0%", "decided 0%"]
    assert page.complaints() == []


def test_the_browser_asks_no_other_server_for_anything(page, address):
    page.ask_about_greece()
    messages = [json.loads(entry["message"])["message"] for entry in page.driver.get_log("performance")]
    asked = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    assert len(asked) > 10
    assert [url for url in asked if not url.startswith((f"{address}/", "data:", "blob:"))] == []


def test_example_questions_fill_the_field(page):
    choice = page.all("#questions button")[1]
    choice.click()
    page.wait(lambda: page.all("#question input")[0].get_property("value") == choice.text)


def test_every_picture_and_control_has_a_name(page):
    page.ask_about_greece()
    assert all(image.get_attribute("alt") for image in page.all("#picture img, .results img"))
    assert len(page.all(".results img")) == 3
    controls = [each for each in page.all("button, input, textarea, select") if each.is_displayed()]
    assert len(controls) > 7
    assert all(control.accessible_name for control in controls)
    assert page.driver.execute_script("return document.documentElement.lang") == "en"


def test_without_picture_or_question_it_says_what_is_missing_and_then_answers(page):
    page.all("#ask")[0].click()
    page.wait(lambda: page.text("#problem") == "Choose an example or upload a picture first.")
    page.all("#example-1")[0].click()
    page.wait(lambda: page.all("#picture img"))
    page.wait(lambda: page.text("#problem") == "")
    page.all("#ask")[0].click()
    page.wait(lambda: page.text("#problem") == "Type a question first.")
    page.all("#question input")[0].send_keys(QUESTION, Keys.ENTER)
    page.wait(lambda: page.text(".answer.memory .text") == "Euro")
    assert page.text("#problem") == ""


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("a.png", b"no picture", "This file is no picture in PNG, JPEG, WebP, GIF or BMP format."),
        ("a.txt", b"no picture", "Invalid file type: a.txt."),
        ("a.png", bytes(11 * 2**20), "exceed the maximum allowed size of 10"),
    ],
)
def test_a_file_of_no_use_is_refused_in_a_sentence(page, tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    page.all("#picture input[type=file]")[0].send_keys(str(tmp_path / name))
    page.wait(lambda: sentence in page.text("#problem") + page.text(".toast-body"))
    assert page.all("#picture img") == []


def test_an_uploaded_picture_is_asked_about(page, greece):
    page.all("#picture input[type=file]")[0].send_keys(str(greece))
    page.wait(lambda: page.all("#picture img"))
    page.all("#question input")[0].send_keys(QUESTION)
    page.all("#ask")[0].click()
    page.wait(lambda: page.text(".answer.memory .text") == "Euro")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out_at_the_side(chromium, address, width, dark):
    page = Page(chromium, address, width, dark)
    assert page.has_no_horizontal_scroll()
    page.ask_about_greece()
    assert page.has_no_horizontal_scroll()
    assert page.complaints() == []
    [alone], [memory] = page.all(".answer.alone"), page.all(".answer.memory")
    assert (alone.location["y"] == memory.location["y"]) == (width == 1280)
