"""An app that nobody here wrote, unmodified: DokuWiki from Debian, with the adapter in php.ini and nothing else."""

import re
import shutil
import subprocess
import unittest

from support import CACHE, ROOT, Client, Folder, Recorder, Sidecar, alone
from test_php import ADAPTER, served

PACKAGES = ["dokuwiki", "php-geshi", "php-phpseclib", "php-random-compat", "libphp-simplepie"]
PASSWORD = "long-enough"


def installed():
    """The packages, as Debian installs them but in a folder; of the code, only Debian's own paths are others.

    They are fetched once, and kept between runs.
    """
    root = CACHE / "dokuwiki"
    if root.exists():
        return root
    fresh = CACHE / "dokuwiki-unpacking"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    subprocess.run([ROOT / "tests/apt", "download", *PACKAGES], cwd=fresh, check=True, capture_output=True)
    for package in sorted(fresh.glob("*.deb")):
        subprocess.run(["dpkg", "-x", package, fresh], check=True)
    for path in fresh.rglob("*"):
        if path.is_symlink() and str(path.readlink()).startswith("/"):
            target = str(path.readlink()).lstrip("/")
            path.unlink()
            if (fresh / target).exists():
                path.symlink_to(root / target)
        elif path.suffix == ".php":
            text = path.read_text(errors="surrogateescape")
            moved = re.sub(r"(?<=['\"])/(?=(etc/dokuwiki|usr/share/php|var/lib/dokuwiki)\b)", f"{root}/", text)
            if moved != text:
                path.write_text(moved, errors="surrogateescape")
    hashed = subprocess.run(["php", "-r", "echo password_hash($argv[1], PASSWORD_BCRYPT);", PASSWORD],
                            check=True, capture_output=True, text=True).stdout
    for name, text in {
        "local.php": "<?php $conf['useacl'] = 1; $conf['superuser'] = 'ann'; $conf['passcrypt'] = 'bcrypt';"
                     " $conf['savedir'] = getenv('WIKI'); $conf['securecookie'] = 0;",
        "users.auth.php": f"ann:{hashed}:Ann:ann@example.org:admin,user\n",
        "acl.auth.php": "* @ALL 1\n* @user 8\n",
    }.items():
        (fresh / "etc/dokuwiki" / name).write_text(text)
    fresh.rename(root)
    return root


def dokuwiki(folder):
    with alone():
        root = installed()
    wiki = folder / "wiki"
    if not wiki.exists():
        shutil.copytree(root / "var/lib/dokuwiki/data", wiki)
    settings = f"-d auto_prepend_file={ADAPTER} -d include_path=.:{root}/usr/share/php"
    code = root / "usr/share/dokuwiki"
    command = f"php {settings} -d display_errors=0 -d log_errors=1 -S 127.0.0.1:$PORT -t {code}"
    return served(command, code, WIKI=str(wiki))


class DokuWiki(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = Folder()
        cls.addClassCleanup(folder.stop)
        cls.folder = folder.path
        cls.app = dokuwiki(folder.path)
        cls.addClassCleanup(cls.app.stop)
        cls.recorder = Recorder(cls.app.port)
        cls.addClassCleanup(cls.recorder.stop)
        cls.sidecar = Sidecar(cls.recorder.port, cls.folder, session='ttl = "14d"')
        cls.addClassCleanup(cls.sidecar.stop)

    def setUp(self):
        self.browser = Client(self.sidecar.port)

    def page(self, query, browser=None):
        answer = (browser or self.browser).get(f"/doku.php?{query}", follow=True)
        self.assertEqual(answer.status, 200, answer)
        return answer.text

    def fields(self, page):
        found = re.findall(r'<input type="hidden" name="([\w\[\]]+)" value="([^"]*)"', page)
        return dict(found)

    def log_in(self, password=PASSWORD):
        form = {**self.fields(self.page("id=start&do=login")), "do": "login", "id": "start", "u": "ann", "p": password}
        return self.browser.request("POST", "/doku.php?id=start", form, follow=True)

    def test_log_in_work_and_log_out(self):
        self.assertNotIn("Logged in as", self.page("id=start"))
        self.assertIn("Sorry, username or password was wrong.", self.log_in("wrong").text)
        answer = self.log_in()
        self.assertEqual(answer.status, 200, answer)
        self.assertIn("Logged in as", self.page("id=start"))
        self.assertEqual([name for name in self.browser.cookies if name in ("DokuWiki", "PHPSESSID")], [])

        # The token against forged forms comes from session_id().
        form = self.fields(self.page("id=hats&do=edit"))
        self.assertTrue(form["sectok"])
        text = "====== Hats ======\nOne for each day."
        saved = self.browser.request("POST", "/doku.php?id=hats",
                                     {**form, "wikitext": text, "do[save]": "1", "summary": ""}, follow=True)
        self.assertIn("One for each day.", saved.text)
        forged = self.browser.request("POST", "/doku.php?id=hats",
                                      {**form, "sectok": "0" * 32, "wikitext": "Forged.", "do[save]": "1"}, follow=True)
        self.assertIn("Security Token did not match.", forged.text)
        self.assertNotIn("Forged.", self.page("id=hats"))

        # A second tab, and another instance that takes over.
        second = dokuwiki(self.folder)
        self.addCleanup(second.stop)
        beside = Sidecar(second.port, self.folder, key=self.sidecar.key, session='ttl = "14d"')
        self.addCleanup(beside.stop)
        tab = self.browser.other(beside.port)
        self.assertIn("Logged in as", self.page("id=hats", tab))
        self.assertIn('class="breadcrumbs" title="hats"', self.page("id=wiki:syntax", tab))

        token = re.search(r"do=logout&amp;sectok=(\w+)", self.page("id=hats"))[1]
        self.page(f"id=hats&do=logout&sectok={token}")
        self.assertNotIn("Logged in as", self.page("id=hats"))
        self.assertNotIn("Logged in as", self.page("id=hats", tab))
        self.assertEqual(re.findall("(?m)^.*(?:cloakroom:|Fatal|Warning).*$", self.app.text()), [])

    def test_the_session_is_where_it_belongs(self):
        self.log_in()
        session = self.recorder.exchanges[-1]["in"]
        self.assertIn('"auth":{"user":"ann"', session)

    def test_without_its_sidecar_it_refuses_to_work(self):
        answer = Client(self.app.port).get("/doku.php?id=start")
        self.assertEqual(answer.status, 500, answer)
        self.app.find("X-Session is missing")
