"""Take `docs/app.png`, the picture of the page with a real answer: `make screenshot`.

Needs Chromium and its driver: Debian's packages chromium and chromium-driver.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait


QUESTION = "What is the currency of this country?"
SWITCHES = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")


def main() -> None:
    """Start the page, take the picture, stop the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("app.png"))
    parser.add_argument("--width", type=int, default=1280, help="in pixels")
    parser.add_argument("--dark", action="store_true")
    arguments = parser.parse_args()
    server = subprocess.Popen([sys.executable, "-m", "comem_hf", "app"], stdout=subprocess.PIPE, text=True)
    try:
        words = server.stdout.readline().split()  # printed when the page can be opened
        address = next(word for word in words if word.startswith("http://"))
        arguments.output.write_bytes(picture_of(address, arguments.width, arguments.dark))
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def picture_of(address: str, width: int, dark: bool) -> bytes:
    """Return a PNG of the whole page after a question about the second example, the flag of Greece."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for switch in SWITCHES:
        options.add_argument(switch)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        _resize(driver, width, 900)
        driver.get(address)
        _wait_for(driver, "#example-1").click()
        _wait_for(driver, "#picture img")
        _wait_for(driver, "#question input").send_keys(QUESTION, Keys.ENTER)
        _wait_for(driver, ".results")
        driver.execute_script("document.activeElement.blur()")
        _resize(driver, width, driver.execute_script("return document.documentElement.scrollHeight"))
        time.sleep(1)  # for transitions
        return driver.get_screenshot_as_png()
    finally:
        driver.quit()


def _wait_for(driver, selector: str):
    return WebDriverWait(driver, 60).until(lambda driver: driver.find_element(By.CSS_SELECTOR, selector))


def _resize(driver, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


if __name__ == "__main__":
    main()
