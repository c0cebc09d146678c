"""One round of load, and what the generator says of it."""

import dataclasses
import re
import statistics
import subprocess
import time

from .processes import Fault, pause

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclasses.dataclass
class Load:
    """What is asked, and how."""
    url: str
    fields: list[str]
    connections: int = 64
    threads: int = 1
    h2: bool = False
    due_from: int | None = None  # sends the tokens of due.py, from that one


@dataclasses.dataclass
class Round:
    requests: int
    rate: float
    p50: float  # milliseconds
    p99: float
    cpu: float  # microseconds a request
    rss: int


def headers(load):
    return [part for field in load.fields for part in ("-H", field)]


def generator(load, seconds, folder):
    if load.h2:
        # One stream a connection, as wrk has it.
        return ["h2load", "-t", load.threads, "-c", load.connections, "-m", 1, "-D", seconds,
                f"--log-file={folder}/h2load.log", *headers(load), load.url]
    script = [] if load.due_from is None else ["-s", folder / "due.lua"]
    return ["wrk", "-t", load.threads, "-c", load.connections, "-d", f"{seconds}s", "--timeout", "10s",
            "--latency", "-H", "Host: app.test", *headers(load), *script, load.url,
            *(["--", load.due_from] if script else [])]


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * UNITS[unit]


def read_wrk(text):
    """Requests, requests a second, p50 and p99."""
    bad = re.search(r"(Non-2xx or 3xx responses|Socket errors): .*", text)
    counted = re.search(r"(\d+) requests in", text)
    latency = dict(re.findall(r"^ +(\d+)% +(\S+) *$", text, re.M))
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if bad or not counted or not int(counted[1]) or not rate or not {"50", "99"} <= set(latency):
        raise Fault("a round with errors")
    return int(counted[1]), float(rate[1]), milliseconds(latency["50"]), milliseconds(latency["99"])


def read_h2load(text, log):
    done = re.search(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
    rate = re.search(r"finished in [\d.]+\w+, ([\d.]+) req/s", text)
    if not (done and codes and rate) or any(map(int, done.groups()[1:])) or any(map(int, codes.groups()[1:])):
        raise Fault("a round with errors")
    times = [int(line.split()[2]) / 1e3 for line in log.read_text().splitlines()]
    cuts = statistics.quantiles(times, n=100)
    return int(done[1]), float(rate[1]), cuts[49], cuts[98]


def reading(program, app):
    """What the program has used, and how many requests have passed it, as nearly at once as can be."""
    before = program.cpu()
    passed = app.count()
    return (before + program.cpu()) / 2, passed


def window(process, seconds, connections, program, app):
    """Microseconds a request, and memory, while all connections are busy: what comes before the
    first answers and after the last ones is of no request."""
    wanted = app.count() + connections
    while app.count() < wanted:
        if process.poll() is not None:
            raise Fault(f"{program.name}: not a request for each connection in {seconds} s")
        pause(0.01)
    begun, (cpu, passed) = time.monotonic(), reading(program, app)
    ended = begun
    while True:
        try:
            process.wait(0.05)
            break
        except subprocess.TimeoutExpired:
            ended, rss = time.monotonic(), program.rss()
            last_cpu, last_passed = reading(program, app)
        if ended > begun + seconds + 30:
            raise Fault(f"{program.name}: the load does not end")
    if ended < begun + 0.3 * seconds or last_passed == passed:
        raise Fault(f"{program.name}: its first {connections} requests take most of {seconds} s")
    return (last_cpu - cpu) / 1e3 / (last_passed - passed), rss


def run(load, seconds, program, app, cores, folder):
    """Loads the program for that long."""
    command = ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", ",".join(map(str, cores)),
               *map(str, generator(load, seconds, folder))]
    log = folder / "h2load.log"
    log.unlink(missing_ok=True)
    said = folder / "load.log"
    before = app.count()
    with said.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        cpu, rss = window(process, seconds, load.connections, program, app)
        if program.process.poll() is not None:
            raise Fault(f"{program.name} has ended under load")
        text = said.read_text()
        requests, rate, p50, p99 = read_h2load(text, log) if load.h2 else read_wrk(text)
        # wrk takes a redirect for a good answer: one that the proxy made has not been the app's.
        if requests > (passed := app.settle() - before):
            raise Fault(f"{program.name} has answered {requests} requests, of which the app had {passed}")
    except Fault as fault:
        raise Fault(f"{fault}\n{said.read_text()}\n{program.said()}") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return Round(requests, rate, p50, p99, cpu, rss)
