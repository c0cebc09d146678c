"""The own tests of rack-session and of Plack::Middleware::Session, with sessions of a real cloakroom and its store.

Neither the gem nor Debian's packages have them, and not each mirror has the packages' sources: they run where
FRAMEWORK_SOURCES names a folder with both, rack-session and Plack-Middleware-Session, unpacked. What they say of a session
is in test_ruby.py and test_perl.py as well. Of express-session's own tests nearly all look into a store, or at a cookie.
"""

import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

import needs
import test_perl
import test_ruby
from support import ADAPTERS, HERE, Folder, Told, store

SOURCES = os.environ.get("FRAMEWORK_SOURCES")

# What does not apply, and why.
COOKIE = "the cookie, and when it is sent, is the sidecar's"
STORE = "ids and their kinds are a store's"
RACK_LEFT_OUT = {
    "does not send the same session id if it did not change": COOKIE,
    "deletes cookies with :drop option": COOKIE + ", which deletes it at once; the spec wants none",
    "omits cookie with :defer option": COOKIE,
    "passes through same_site option to session pool": COOKIE,
    "allows using a lambda to specify same_site option": COOKIE,
    "provides new session id with :renew option": "the old id can be read for 10 s more",
    "can read the session with the legacy id": STORE,
    "cannot read the session with the legacy id": STORE,
    "drops the session in the legacy id as well": STORE,
    "returns even if not read/written if :expire_after is set": "what stands in rack.session before is not taken in",
}
PLACK = ["001_basic", "001a_basic", "010_middleware", "010a_middleware"]
PLACK_LEFT_OUT = {
    "002, 002a": COOKIE + "; of their 95 checks the 8 about that fail",
    "003 to 006, 013, 016": "they are about a store's own files, caches, databases and cookies",
    "012_streaming": "late_store means nothing: no header can follow the head",
    "014, 015": COOKIE,
}


@unittest.skipUnless(SOURCES, "not run: FRAMEWORK_SOURCES is not set")
class Own(unittest.TestCase):
    def setUp(self):
        folder = Folder()
        self.addCleanup(folder.stop)
        self.folder = folder.path
        self.told = Told(folder.path, **store(folder.path))
        self.addCleanup(self.told.stop)

    def run_in(self, folder, command, **environment):
        environment = {**os.environ, "SIDECAR": str(self.told.sidecar.port), **environment}
        ran = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(ran.returncode, 0, ran.stdout)
        return ran.stdout

    def test_rack_session(self):
        test_ruby.setUpModule()
        needs.install({"/usr/share/doc/ruby-minitest-global-expectations": "ruby-minitest-global-expectations"})
        for name, text in {
            "lib/rack/session.rb": "require 'rack'",
            "lib/rack/session/pool.rb": (HERE / "own/pool.rb").read_text(encoding="utf-8"),
        }.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text, encoding="utf-8")
        shutil.copytree(Path(SOURCES) / "rack-session/test", self.folder / "test")
        left_out = "|".join(re.escape(name).replace("/", r"\/").replace("\\ ", " ") for name in RACK_LEFT_OUT)
        output = self.run_in(self.folder, ["ruby", "-W0", "test/spec_session_pool.rb", "--verbose", "--exclude", f"/{left_out}/"],
                             ADAPTER=str(ADAPTERS / "ruby/cloakroom.rb"))
        print(output)
        self.assertGreaterEqual(output.count(" = 0"), 8, output)

    def test_plack_middleware_session(self):
        test_perl.setUpModule()
        needs.install({"/usr/share/perl5/Test/Fatal.pm": "libtest-fatal-perl", "/usr/share/perl5/HTTP/Cookies.pm": "libhttp-cookies-perl"})
        place = self.folder / "lib/Plack/Middleware"
        place.mkdir(parents=True)
        shutil.copy(test_perl.ADAPTER, place)
        shutil.copy(HERE / "own/Session.pm", place)
        shutil.copytree(Path(SOURCES) / "Plack-Middleware-Session/t", self.folder / "t")
        output = self.run_in(self.folder, ["prove", "--verbose", "-Ilib", "-It/lib", *(f"t/{name}.t" for name in PLACK)])
        self.assertGreaterEqual(len(re.findall("^ok ", output, re.MULTILINE)), 80, output)
        print(output.splitlines()[-2])


if __name__ == "__main__":
    unittest.main()
