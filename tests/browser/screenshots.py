"""Pictures of the demo: 1100 pixels wide, and 390 as on a telephone."""

import tempfile
from pathlib import Path

import processes
from chrome import Chrome
from shop import DemoShop
from test_demo import url_in

# For documentation that is read over slow lines, too.
MOST_BYTES = 150_000


def take(folder):
    folder.mkdir(parents=True, exist_ok=True)
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
    return 0


def picture(chrome, path, width):
    chrome.picture(path, width)
    size = path.stat().st_size
    print(f"{path}: {width} pixels wide, {size} bytes")
    if size > MOST_BYTES:
        raise SystemExit(f"{path}: {size} bytes are more than {MOST_BYTES}")
