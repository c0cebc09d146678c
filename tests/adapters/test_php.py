"""PHP: session_start() and $_SESSION behind cloakroom."""

import shlex
import unittest

from rules import Rules
from support import ADAPTERS, HERE, Client, Sidecar, served

ADAPTER = ADAPTERS / "php/cloakroom_session.php"


def php(folder, root, *settings, prefix="X-Session"):
    """PHP's own server, with the adapter as README.md says. It takes no auto_prepend_file for a router script."""
    given = [f"auto_prepend_file={ADAPTER}", f"session.save_path={folder}", "display_errors=0", "log_errors=1",
             f"cloakroom.header={prefix}", *settings]
    options = " ".join(f"-d {shlex.quote(one)}" for one in given)
    return served(f"php -n {options} -S 127.0.0.1:$PORT -t {root}", folder)


class Php(Rules, unittest.TestCase):
    # PHP knows one kind of array only; keys that stay as they are keep their kind all the same.
    tells_empty_objects = False
    keeps_big_integers_apart = False

    @classmethod
    def start(cls, folder, prefix):
        return php(folder, HERE / "apps/php", prefix=prefix)
