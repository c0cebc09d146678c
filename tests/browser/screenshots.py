"""Pictures of the demo and of the operator's page: wide, and narrow as on a telephone."""

import json
import tempfile
import threading
import urllib.parse
import urllib.request
from pathlib import Path

import processes
import test_admin
from chrome import Chrome
from selenium.webdriver.common.keys import Keys
from servers import Plain, Server
from shop import DemoShop
from test_demo import url_in

# For documentation that is read over slow lines, too.
MOST_BYTES = 250_000


def take(folder):
    folder.mkdir(parents=True, exist_ok=True)
    demo(folder)
    operator(folder)
    return 0


def demo(folder):
    with tempfile.TemporaryDirectory() as temporary:
        command = [processes.BINARY, "demo", "--listen", "127.0.0.1:0"]
        demo = processes.Process(command, temporary)
        chrome = Chrome(Path(temporary) / "profile")
        try:
            shop = DemoShop(chrome, demo.find(url_in))
            shop.enter()
            shop.log_in("Zoë", remember=True)
            for article in ("bowler", "scarf", "scarf"):
                shop.take(article)
            picture(chrome, folder / "demo-basket.png", 1100)
            shop.count()
            shop.enter()
            picture(chrome, folder / "demo-home.png", 1100)
            picture(chrome, folder / "demo-home-narrow.png", 390)
            shop.look_inside()
            picture(chrome, folder / "demo-inside.png", 1100)
        finally:
            chrome.quit()
            demo.stop()


def operator(folder):
    """The operator's page, with traffic of users while it is looked at."""
    with tempfile.TemporaryDirectory() as temporary:
        app, chrome = Server(Plain), Chrome(Path(temporary) / "profile", width=1600)
        sidecar = test_admin.sidecar(Path(temporary), app.port)
        home, admin = test_admin.addresses(sidecar)
        over = threading.Event()
        users = threading.Thread(target=traffic, args=(home, over))
        users.start()
        try:
            chrome.open(admin)
            line = "return document.querySelector('[data-plot=requests] polyline')?.points.length > 8"
            chrome.find("#secret").send_keys(test_admin.TOKEN, Keys.ENTER)
            chrome._until(lambda: chrome.find("#with-token").is_displayed(), "the operator's part")
            chrome.find("#subject").send_keys("ada", Keys.ENTER)
            chrome._until(lambda: chrome.has("#sessions tbody tr"), "the list")
            chrome._until(lambda: chrome.script(line), "some points")
            picture(chrome, folder / "admin.png", 1600, 2400)
            picture(chrome, folder / "admin-narrow.png", 360, 5000)
            features = [{"name": "prefers-color-scheme", "value": "dark"}]
            chrome.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            picture(chrome, folder / "admin-dark.png", 1600, 2400)
        finally:
            over.set()
            users.join()
            chrome.quit()
            sidecar.stop()
            app.stop()


def traffic(home, over):
    cookies, number = [], 0
    while not over.wait(0.01 + 0.03 * (number % 40 > 20)):
        number += 1
        request = urllib.request.Request(home)
        if number % 50 == 1:
            user = ["ada", "bob", "eve"][len(cookies) % 3]
            save = urllib.parse.quote(json.dumps({"user": user}))
            request = urllib.request.Request(f"{home}?save={save}")
        elif cookies and number % 4:
            request.add_header("Cookie", cookies[number % len(cookies)])
        elif number % 8 == 0:
            request.add_header("Cookie", "session=nonsense")
        with urllib.request.urlopen(request) as answer:
            cookie = answer.headers.get("Set-Cookie")
        if cookie and len(cookies) < 9:
            cookies.append(cookie.partition(";")[0])


def picture(chrome, path, width, most=1100):
    chrome.picture(path, width, most)
    size = path.stat().st_size
    print(f"{path}: {width} pixels wide, {size} bytes")
    if size > MOST_BYTES:
        raise SystemExit(f"{path}: {size} bytes are more than {MOST_BYTES}")
