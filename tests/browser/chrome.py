"""Headless Chromium, which finds *.test on this machine and nothing anywhere else."""

import atexit
import functools
import os
import shutil
import tempfile

import network
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

# How long a page may take, in seconds.
PATIENCE = 60


class Chrome:
    def __init__(self, profile, width=1100, height=900):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        options.accept_insecure_certs = True
        for argument in [
            "--headless=new",
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            "--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--password-store=basic",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
        ]:
            options.add_argument(argument)
        if os.geteuid() == 0:
            # Chromium's own sandbox does not work for root.
            options.add_argument("--no-sandbox")
        service = Service(executable_path=shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(PATIENCE)

    @classmethod
    @functools.cache
    def shared(cls):
        """One for all tests, which is ended in the end. Start servers after it: see network.isolate."""
        network.isolate()
        profile = tempfile.TemporaryDirectory()
        atexit.register(profile.cleanup)
        chrome = cls(profile.name)
        atexit.register(chrome.quit)
        return chrome

    def quit(self):
        """Ends it as a user does: what is to be kept is written to the profile."""
        self.driver.quit()

    def open(self, url):
        self.driver.get(url)

    def url(self):
        return self.driver.current_url

    def text(self, css):
        return self.find(css).text

    def has(self, css):
        return bool(self.driver.find_elements(By.CSS_SELECTOR, css))

    def find(self, css):
        """What is on this page; if it is not, the page is shown in the error."""
        found = self.driver.find_elements(By.CSS_SELECTOR, css)
        if not found:
            shown = self.script("return document.body?.innerText")
            raise AssertionError(f"no {css} at {self.url()}: {self.driver.title!r}, {shown!r}")
        return found[0]

    def source(self):
        return self.driver.page_source

    def type(self, css, text):
        element = self.find(css)
        element.clear()
        # Key by key, a long text takes minutes on a busy machine.
        self.driver.execute_script("arguments[0].value = arguments[1]", element, text[:-10])
        element.send_keys(text[-10:])

    def click(self, css):
        """Clicks something that leads to another page, and waits until that is there."""
        self._leave(self.find(css).click)

    def submit(self, css):
        """Sends a form, and waits for the page that follows."""
        self.click(f"{css} button")

    def back(self):
        self.driver.back()
        self._loaded()

    def forward(self):
        self.driver.forward()
        self._loaded()

    def reload(self):
        self.driver.refresh()

    def script(self, code):
        return self.driver.execute_script(code)

    def cookies(self, url):
        """What the browser would send there, those that scripts cannot see among them, by name."""
        found = self.driver.execute_cdp_cmd("Network.getCookies", {"urls": [url]})
        return {cookie["name"]: cookie for cookie in found["cookies"]}

    def set_cookie(self, **cookie):
        done = self.driver.execute_cdp_cmd("Network.setCookie", cookie)
        if not done.get("success", True):
            raise AssertionError(f"the browser does not take the cookie {cookie['name']}")

    def forget(self):
        """No cookies, no cache, one empty tab."""
        handles = self.driver.window_handles
        self.driver.switch_to.new_window("tab")
        kept = self.driver.current_window_handle
        for handle in handles:
            self.driver.switch_to.window(handle)
            self.driver.close()
        self.driver.switch_to.window(kept)
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.driver.execute_cdp_cmd("Network.clearBrowserCache", {})

    def tab(self):
        """A new tab, shown now."""
        self.driver.switch_to.new_window("tab")
        return self.driver.current_window_handle

    def this_tab(self):
        return self.driver.current_window_handle

    def show(self, tab):
        self.driver.switch_to.window(tab)

    def picture(self, path, width, most=1100):
        """The page at this width, down to `most` pixels, as PNG."""
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        height = min(self.script("return document.documentElement.scrollHeight"), most)
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {**metrics, "height": height}
        )
        self.driver.save_screenshot(str(path))

    def _leave(self, action):
        # The mark is on this document only: where it is gone, another one is there.
        self.script("document.documentElement.dataset.left = 'yes'")
        action()
        self._until(lambda: not self.has("html[data-left]"), "the next page")
        self._loaded()

    def _loaded(self):
        self._until(lambda: self.script("return document.readyState") == "complete", "a page")

    def _until(self, condition, what):
        waiting = WebDriverWait(self.driver, PATIENCE, poll_frequency=0.02)
        waiting.until(lambda driver: condition(), f"{what} did not come within {PATIENCE} s")
