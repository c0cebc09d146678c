"""What a visitor does in the shop of the examples, and in that of the demo."""


class Shop:
    """The one page of the examples, and of the app of the migration."""

    def __init__(self, chrome, home, cookie="session"):
        self.chrome = chrome
        self.home = home
        self.cookie_name = cookie

    def enter(self):
        self.chrome.open(self.home)

    def log_in(self, name, remember=False):
        self.chrome.type("form[action='/login'] input[name=name]", name)
        if remember:
            self.chrome.find("form[action='/login'] input[name=remember]").click()
        self.chrome.submit("form[action='/login']")

    def log_out(self):
        self.chrome.submit("form[action='/logout']")

    def count(self):
        self.chrome.submit("form[action='/count']")

    def take(self, article):
        self.chrome.click(f"button[value={article}]")

    def put_all_back(self):
        self.chrome.submit("form[action='/empty']")

    def name(self):
        return self.chrome.text("#name") if self.chrome.has("#name") else None

    def counted(self):
        return int(self.chrome.text("#count"))

    def pieces(self, article):
        return int(self.chrome.text(f"#{article}"))

    def look_inside(self):
        self.chrome.click("a[href='/session']")

    def inside(self):
        return self.chrome.text("#session")

    def home_again(self):
        self.chrome.click("a[href='/']")

    def cookie(self):
        return self.chrome.cookies(self.home).get(self.cookie_name)


class DemoShop(Shop):
    """The same in the demo, which has a page for each thing."""

    def log_in(self, name, remember=False):
        self.chrome.open(f"{self.home}login")
        super().log_in(name, remember)

    def count(self):
        self.chrome.open(f"{self.home}counter")
        self.chrome.click("form[action='/counter']:not(:has(input)) button")

    def take(self, article):
        self.chrome.open(f"{self.home}basket")
        self.chrome.click(f"form:has(input[value={article}]):not(:has([name=do])) button")

    def put_all_back(self):
        self.chrome.open(f"{self.home}basket")
        while self.chrome.has("input[value=remove]"):
            self.chrome.click("form:has(input[value=remove]) button")

    def name(self):
        return self.chrome.text(".who") if self.chrome.has(".who") else None

    def counted(self):
        self.chrome.open(f"{self.home}counter")
        return int(self.chrome.text(".number.big"))

    def pieces(self, article):
        self.chrome.open(f"{self.home}basket")
        row = f"tr:has(input[value={article}]) td:nth-child(2)"
        return int(self.chrome.text(row)) if self.chrome.has(row) else 0

    def greet(self, greeting):
        self.chrome.open(f"{self.home}basket")
        self.chrome.type("textarea[name=greeting]", greeting)
        self.chrome.submit("form[action='/greeting']")

    def greeted(self):
        return int(self.chrome.text("#greeting"))

    def log_out_everywhere(self):
        self.chrome.submit("form[action='/logout-everywhere']")

    def look_inside(self):
        self.chrome.open(f"{self.home}inside")

    def inside(self):
        return self.chrome.text(".marked td")

    def home_again(self):
        self.chrome.click("a.brand")
