"""Starts what a group of cases needs, checks it, and measures in rounds that alternate."""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time

import cases

from . import backend, due, load, matrix
from .checks import check, check_again, quiet_tls
from .exchange import ask, free_port
from .processes import Fault, Program, Programs
from .proxies import ALL, Proxy, Site, cloakroom

STARTS = 20


@dataclasses.dataclass
class Stage:
    """What all groups share."""
    folder: object
    binaries: object
    venv: object
    proxy_core: int
    load_core: int
    tokens: dict[str, str] = dataclasses.field(default_factory=dict)
    due: list[str] = dataclasses.field(default_factory=list)

    def token(self, content):
        key = json.dumps(content)
        if key not in self.tokens:
            site = Site(self.folder, self.binaries, self.venv, free_port(), 1, self.folder / "none")
            config = cloakroom(site)[-1]
            self.tokens[key] = subprocess.run(
                [self.binaries / "cloakroom", "token", "encode", "--config", config, key],
                check=True, capture_output=True, text=True).stdout.strip()
        return self.tokens[key]


@dataclasses.dataclass
class Runner:
    """One proxy in one case."""
    stage: Stage
    case: matrix.Case
    proxy: Proxy
    program: Program
    port: int
    app: backend.Backend
    load_cores: list[int]
    admin: int = 0
    own_cookie: str = ""
    sent: int = 0  # tokens that were due
    rounds: list[load.Round] = dataclasses.field(default_factory=list)

    def cookie(self, kind=""):
        kind = kind or self.case.dict
        if self.case.variant == "refresh":
            self.sent += 1
            token = self.stage.due[self.sent % due.COUNT]
        else:
            token = self.own_cookie.removeprefix("session=") or self.stage.token(matrix.DICTS[kind])
        return f"session={cases.forged(token) if kind == 'forged' else token}"

    def fields(self, kind=""):
        if not self.case.dict:
            return []
        if self.case.browser:
            return [*cases.BROWSER, f"Cookie: {cases.among_others(self.cookie(kind))}"]
        return [f"Cookie: {self.cookie(kind)}"]

    def run(self, seconds):
        scheme = "https" if self.case.variant == "tls" else "http"
        asked = load.Load(f"{scheme}://127.0.0.1:{self.port}{self.case.path}", self.fields(),
                          self.case.connections, self.case.workers, self.case.variant == "h2")
        if self.case.variant == "refresh":
            asked.fields, asked.due_from = [], self.sent
        seconds += self.case.longer + (self.proxy.longer if self.case.dict else 0)
        measured = load.run(asked, seconds, self.program, self.app, self.load_cores, self.stage.folder)
        if self.case.variant == "refresh":
            # Some more are under way when the time is over.
            self.sent += measured.requests + asked.connections
            if self.admin and (skipped := self.skipped()):
                raise Fault(f"{self.case.title}: {skipped} requests were not refreshed")
        check_again(self)
        return measured

    def skipped(self):
        """How many refreshes cloakroom says to have left out."""
        for line in ask(self.admin, "/metrics").body.splitlines():
            if line.startswith('cloakroom_session_writes_total{action="refresh_skipped"}'):
                return int(line.split()[-1])
        raise Fault("/metrics has no count of skipped refreshes")


def start(stage, programs, proxy, case, app, cores):
    """The proxy of that case, ready; its port, and that of its metrics where it has one."""
    site = Site(stage.folder, stage.binaries, stage.venv, free_port(), app.port, app.socket,
                case.workers, case.variant if proxy.name == "cloakroom" else "")
    if site.variant == "refresh":
        site.admin = free_port()
        stage.due = stage.due or due.prepare(stage.folder)
    name = "-".join([*proxy.name.replace(",", "").split(), case.slug])
    program = programs.start(name, proxy.command(site), cores)
    wrap = quiet_tls if site.variant == "tls" else None
    program.ready(lambda: ask(site.port, wrap=wrap).status == 200)
    return program, site.port, site.admin


def own_cookie(proxy, case, port):
    """The cookie that only this process can have set: one of another form than cloakroom's, and the ticket
    of a session in a store."""
    if proxy.family == "apache":
        path = backend.REPLACE
    elif proxy.name == "nginx + Lua session" or (proxy.name == "cloakroom" and case.variant == "store"):
        path = "/middle"
    else:
        return ""
    return ask(port, path).field("Set-Cookie").partition(";")[0]


def gather(stage, programs, chosen, families):
    """A runner for each row of a group; rows that differ in nothing but the request share a process."""
    first, second = stage.proxy_core, stage.load_core
    # Where it is asked how the work scales, all of it, load and app too, gets one core and then two.
    together = chosen[0].group == "workers"
    apps, shared, runners = {}, {}, []
    for case in chosen:
        cores = ([first], [second]) if not together else ([first, second][:case.workers],) * 2
        if case.workers not in apps:
            apps[case.workers] = backend.Backend(programs, cores[1], case.workers)
        for proxy in matrix.entrants(case, ALL, families):
            key = (proxy.name, case.workers, case.fresh, case.variant if proxy.name == "cloakroom" else "")
            if key not in shared:
                program, port, admin = start(stage, programs, proxy, case, apps[case.workers], cores[0])
                shared[key] = program, port, admin, own_cookie(proxy, case, port)
            program, port, admin, own = shared[key]
            runners.append(Runner(stage, case, proxy, program, port, apps[case.workers], cores[1], admin, own))
    return runners


def group(stage, chosen, families, rounds, seconds):
    with Programs(stage.folder) as programs:
        runners = gather(stage, programs, chosen, families)
        for runner in runners:
            check(runner)
        for number in range(rounds):
            # Nobody is always first, nor always behind the same one.
            turn = number % len(runners)
            order = runners[turn:] + runners[:turn]
            for runner in order if number % 2 else reversed(order):
                runner.rounds.append(runner.run(seconds))
            print(f"  {chosen[0].group}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return runners


def starts(stage):
    """Milliseconds from start to the first answer, the program not in the page cache."""
    measured = {}
    with Programs(stage.folder) as programs:
        app = backend.Backend(programs, [stage.load_core])
        for proxy in [proxy for proxy in ALL if not proxy.family]:
            times = []
            for _ in range(STARTS):
                with Programs(stage.folder) as one:
                    site = Site(stage.folder, stage.binaries, stage.venv, free_port(), app.port, app.socket)
                    command = proxy.command(site)
                    with open(command[0], "rb") as file:
                        os.fsync(file.fileno())  # what has just been built stays until it is written
                        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                    begin = time.perf_counter()
                    program = one.start(f"{proxy.name}-start", command, [stage.proxy_core])
                    program.ready(lambda port=site.port: ask(port).status == 200)
                    times.append(1e3 * (time.perf_counter() - begin))
            measured[proxy.name] = times
            print(f"  start of {proxy.name}: {statistics.median(times):.1f} ms", file=sys.stderr, flush=True)
    return measured
