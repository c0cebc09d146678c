"""Every proxy that is compared: how it is configured, what cookie it takes, and what it does less of
than cloakroom. The configurations of the peers are in modules of their own."""

import dataclasses
import pathlib
import typing

from cases import SECRET

from . import apache, envoy, haproxy, nginx, resty

REFRESH = '[session]\nttl = "14d"\nrefresh_after = "1d"\n'


@dataclasses.dataclass
class Site:
    """What a configuration is written for."""
    folder: pathlib.Path
    binaries: pathlib.Path
    venv: pathlib.Path
    port: int
    backend: int
    socket: pathlib.Path
    workers: int = 1
    variant: str = ""  # of cloakroom: "unix", "tls", "log", "refresh", "store"
    admin: int = 0


@dataclasses.dataclass
class Proxy:
    name: str
    command: typing.Callable[[Site], list]
    family: str = ""
    session: bool = True  # whether it makes anything of the cookie
    less: str = ""
    # Seconds that its rounds take more, where so few requests end in time that those under way at the
    # end would count for much.
    longer: int = 0


def bare(site):
    return [site.binaries / "bare", f"127.0.0.1:{site.port}",
            f"127.0.0.1:{site.backend}", site.workers]


def alike(site):
    return [*bare(site), "alike"]


def cloakroom(site):
    backend = f"unix:{site.socket}" if site.variant == "unix" else f"http://127.0.0.1:{site.backend}"
    access = "true" if site.variant == "log" else "false"
    text = f'listen = "127.0.0.1:{site.port}"\nbackend = "{backend}"\nworkers = {site.workers}\n'
    text += f'[[keys]]\nsecret = "{SECRET}"\n'
    text += f'[log]\naccess = {access}\nlevel = "{"info" if site.variant == "log" else "error"}"\n'
    if site.variant == "tls":
        text += f'[tls]\ncert = "{site.folder}/tls.crt"\nkey = "{site.folder}/tls.key"\n'
    if site.variant == "refresh":
        text += f'{REFRESH}[admin]\nlisten = "127.0.0.1:{site.admin}"\n'
    if site.variant == "store":
        # Its folder must not be writable by others.
        (site.folder / "store").mkdir(mode=0o700, exist_ok=True)
        text += f'[store]\nurl = "file:{site.folder}/store/{site.port}.db"\n[session]\nttl = "14d"\n'
    config = site.folder / f"cloakroom-{site.port}.toml"
    config.write_text(text)
    run = [site.binaries / "cloakroom", "run", "--config", config]
    if site.variant == "log":
        return ["sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh", *run]
    return run


ALL = [
    Proxy("bare", bare, session=False,
          less="pingora and nothing else: no session, no metrics, no limits, no forwarding headers"),
    Proxy("bare, same fields", alike, "alike", False,
          "writes the fields that cloakroom writes for a request without a cookie, with constant values"),
    Proxy("cloakroom", cloakroom),
    Proxy("haproxy", haproxy.plain, "haproxy", False, "no session"),
    Proxy("haproxy jwt_verify", haproxy.jwt, "haproxy", True,
          "HS256 only, of the first cookie; neither the JSON nor exp is checked; the cookie stays in; no save"),
    Proxy("nginx", nginx.plain, "nginx", False, "no session"),
    Proxy("nginx + Lua", nginx.lua, "nginx", True,
          "HS256 only, of the first cookie; no look-alikes removed, no escapes, no limits, no metrics; no save"),
    Proxy("nginx + Lua session", resty.command, "nginx", True,
          "a sealed cookie as lua-resty-session makes it; reads and saves; no look-alikes removed, no escapes, "
          "no limits, no metrics"),
    Proxy("envoy", envoy.plain, "envoy", False, "no session"),
    Proxy("envoy jwt_authn", envoy.jwt, "envoy", True,
          "payload sent as base64; the cookie stays in; no save"),
    Proxy("apache", apache.plain, "apache", False, "no session"),
    Proxy("apache mod_session_crypto", apache.session, "apache", True,
          "an encrypted cookie of form-encoded pairs, its own and no JWT; reads and saves", longer=2),
]
FAMILIES = ["alike", "haproxy", "nginx", "envoy", "apache"]
