"""Python: WSGI and ASGI, deploy/adapters/python/cloakroom_session.py."""

import unittest

from rules import Rules
from support import ADAPTERS, HERE, PYTHON, served

FOLDER = ADAPTERS / "python"


def python(folder, name, *options, **environment):
    return served(f"{PYTHON} {HERE}/apps/serve.py {name} {' '.join(options)}", folder, **environment)


class WSGI(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return python(folder, "wsgi_app", PREFIX=prefix)


class ASGI(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return python(folder, "asgi_app", "--asgi", PREFIX=prefix)


class Flask(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return python(folder, "flask_app", PREFIX=prefix)


class Django(Rules, unittest.TestCase):
    @classmethod
    def start(cls, folder, prefix):
        return python(folder, "django_app", PREFIX=prefix)
