"""Examples that come with Tomcat, Express and Plack, and OmniAuth's log-in on Sinatra, in a real browser."""

import shutil
import unittest
from pathlib import Path

import needs
import test_node
import test_perl
import test_ruby
import test_tomcat
from sites import Site
from support import served


def setUpModule():
    for module in [test_node, test_perl, test_ruby, test_tomcat]:
        module.setUpModule()
    needs.install({
        "/usr/share/nodejs/ejs": "node-ejs",
        "/usr/share/doc/ruby-omniauth": "ruby-omniauth",
    })


class Tomcat(Site, unittest.TestCase):
    """FORM of web.xml, with the valve."""

    page, mark = test_tomcat.PROTECTED, "You are logged in as remote user"

    @classmethod
    def start(cls):
        return test_tomcat.tomcat(cls.folder)

    def log_in(self):
        self.chrome.open(f"{self.home}{self.page}")
        self.chrome.type("input[name=j_username]", "ann")
        self.chrome.type("input[name=j_password]", test_tomcat.PASSWORD)
        self.chrome.click("input[type=submit]")

    def work(self):
        self.chrome.open(f"{self.home}{self.page}?role=tomcat")
        self.assertIn("You have been granted role", self.chrome.source())
        # More than a cookie takes.
        name = f"of{self.home[-5:]}"
        self.chrome.open(f"{self.home}{self.page}?dataName={name}&dataValue={'x' * 3000}")
        self.assertIn(f"<td>{name}</td>", self.chrome.source())

    def log_out(self):
        self.chrome.click("a[href*=logoff]")


# What Debian does not have of the example's needs, with what it takes of it.
PBKDF2_PASSWORD = """
const { pbkdf2, randomBytes } = require('node:crypto');
module.exports = () => ({ password, salt = randomBytes(32).toString('base64') }, done) =>
  pbkdf2(password, salt, 12000, 64, 'sha1', (error, hash) => done(error, password, salt, hash?.toString('base64')));
"""


class Express(Site, unittest.TestCase):
    """Its example "auth", with the adapter as node_modules/express-session."""

    page, mark = "/restricted", "Wahoo! restricted area"

    @classmethod
    def prepare(cls):
        root = cls.folder / "express"
        shutil.copytree("/usr/share/doc/node-express/examples/auth", root / "examples/auth")
        for name, text in {
            "index.js": "module.exports = require('express');",
            "node_modules/pbkdf2-password/index.js": PBKDF2_PASSWORD,
            "node_modules/express-session/index.js": test_node.ADAPTER.read_text(encoding="utf-8"),
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")

    @classmethod
    def start(cls):
        command = "node -e \"require('./examples/auth').listen(process.env.PORT, '127.0.0.1')\""
        return served(command, cls.folder / "express", NODE_PATH="/usr/share/nodejs")

    def form(self, password):
        self.chrome.open(f"{self.home}/login")
        self.chrome.type("#username", "tj")
        self.chrome.type("#password", password)
        self.chrome.click("input[type=submit]")

    def log_in(self):
        self.form("wrong")
        self.assertIn("Authentication failed", self.chrome.source())
        self.form("foobar")
        self.assertIn("Authenticated as tj", self.chrome.source())

    def work(self):
        self.chrome.open(f"{self.home}/login")
        self.assertNotIn("Authenti", self.chrome.text("h1 + *"), "a message that is shown twice")

    def log_out(self):
        self.chrome.click("a[href='/logout']")


EXAMPLE = Path("/usr/share/doc/libplack-middleware-session-perl/examples/counter-raw.psgi")


class Plack(Site, unittest.TestCase):
    """The example of Plack::Middleware::Session, with the adapter in its place: it knows its users by their session's id.

    As it is, it works with neither: Plack::Request's session was an object once, and is a hash.
    """

    page, known = "/", "nobody"

    @classmethod
    def start(cls):
        test_perl.in_place_of_session(cls.folder)
        text = EXAMPLE.read_text(encoding="utf-8").replace("$r->session", "Plack::Session->new($env)")
        (cls.folder / "counter.psgi").write_text(text, encoding="utf-8")
        return test_perl.plack(cls.folder, "-MPlack::Request counter.psgi")

    def private(self):
        return f"Session Id: {self.known}<"

    def log_in(self):
        self.known = self.chrome.text("h1").removeprefix("Session Id: ")

    def work(self):
        count = int(self.chrome.text("h2").removeprefix("Counter: "))
        self.chrome.reload()
        self.assertEqual(self.chrome.text("h2"), f"Counter: {count + 1}")

    def log_out(self):
        self.chrome.click("a[href*=logout]")


SINATRA = """
require ENV.fetch('ADAPTER')
require 'sinatra/base'
require 'omniauth'

class Shop < Sinatra::Base
  enable :sessions
  set :session_store, Rack::Session::Cloakroom
  use OmniAuth::Builder do
    provider :developer
  end
  token = ->(session) { "<input type=hidden name=authenticity_token value='#{Rack::Protection::AuthenticityToken.token(session)}'>" }

  get('/') do
    action = session[:user] ? '/logout' : '/auth/developer'
    "<p>#{session[:user]}</p><p id=seen>#{session[:seen]}</p><form method=post action='#{action}'>#{token.call(session)}<button>Go</button></form>"
  end
  get('/seen') { session[:seen] = (session[:seen] || 0) + 1; redirect '/' }
  post('/auth/developer/callback') do
    session.options[:renew] = true
    session[:user] = "It is #{request.env['omniauth.auth'].info.name}"
    redirect '/'
  end
  post('/logout') { session.destroy; redirect '/' }
end

run Shop
"""


class OmniAuth(Site, unittest.TestCase):
    """Its log-in for developers, with its token against forged requests; the app around it is Sinatra's."""

    page, mark = "/", "It is Ann"

    @classmethod
    def prepare(cls):
        (cls.folder / "shop.ru").write_text(SINATRA, encoding="utf-8")

    @classmethod
    def start(cls):
        return test_ruby.rack(cls.folder, cls.folder / "shop.ru")

    def log_in(self):
        self.chrome.open(f"{self.home}/")
        self.chrome.submit("form")
        self.chrome.type("input[name=name]", "Ann")
        self.chrome.type("input[name=email]", "ann@example.org")
        self.chrome.submit("form")

    def work(self):
        before = self.chrome.text("#seen")
        self.chrome.open(f"{self.home}/seen")
        self.assertEqual(self.chrome.text("#seen"), str(int(before or 0) + 1))

    def log_out(self):
        self.chrome.submit("form")


if __name__ == "__main__":
    unittest.main()
