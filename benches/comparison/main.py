"""Measures cloakroom against a bare pingora proxy and against nginx, haproxy, Apache and Envoy.

    benches/compare                  everything, about 20 minutes
    benches/compare --quick          what the goals need, 3 short rounds, about 3 minutes
    benches/compare --out docs       also writes compare.json and compare.svg there

One worker each on the first core; load and backend on the second. Installs what is missing. All connections
are on 127.0.0.1. The figures are valid only if nothing else runs.
"""

import argparse
import json
import os
import pathlib
import platform
import resource
import signal
import subprocess
import sys
import tempfile

from . import install, matrix, measure, report, results
from .processes import Fault
from .proxies import FAMILIES


def arguments():
    parser = argparse.ArgumentParser(prog="benches/compare", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each case is measured: 9")
    parser.add_argument("--seconds", type=int, metavar="S", help="how long one round of a case takes: 2")
    parser.add_argument("--case", action="append", choices=matrix.SLUGS, metavar="CASE",
                        help=f"only this, and what it is set against: {', '.join(matrix.SLUGS)}")
    parser.add_argument("--peer", action="append", choices=[*FAMILIES, "none"], metavar="PEER",
                        help=f"only this beside bare: {', '.join(FAMILIES)} or none")
    parser.add_argument("--quick", action="store_true", help="3 rounds of 1 s, only what the goals need")
    parser.add_argument("--no-build", action="store_true", help="use the existing release build")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIRECTORY",
                        help="write compare.json and compare.svg there")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 9)
    options.seconds = options.seconds or (1 if options.quick else 2)
    if min(options.rounds, options.seconds) < 1:
        parser.error("--rounds and --seconds are at least 1")
    return options


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def prepare():
    """Room for 1,000 connections on both sides; ourselves on the second core, out of the way."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < 8192:
        raise Fault(f"at most {most} open files are allowed (ulimit -Hn): 8192 are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (16384 if most == resource.RLIM_INFINITY else min(most, 16384), most))
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise Fault(f"two processors are needed, and only {len(cores)} may be used here")
    return cores[0], cores[1]


def compare(options, folder, cores):
    families = options.peer or FAMILIES
    release, venv = install.everything(families, not options.no_build, bool(options.out))
    os.sched_setaffinity(0, {cores[1]})
    install.certificate(folder)
    stage = measure.Stage(folder, release, venv, *cores)
    chosen = matrix.chosen(options.case, options.quick)
    runners = []
    for group in dict.fromkeys(case.group for case in chosen):
        runners += measure.group(stage, [case for case in chosen if case.group == group], families,
                                 options.rounds, options.seconds)
    starts = {}
    if not options.case or matrix.START in options.case:
        starts = {name: results.spread(times, 1) for name, times in measure.starts(stage).items()}
    table = results.rows(runners)
    return {
        "made": {"rounds": options.rounds, "seconds": options.seconds, "processor": processor(),
                 "system": f"Linux {platform.release().partition('-')[0]}",
                 "versions": install.versions(release, venv, families)},
        "rows": table, "start_ms": starts, "goals": results.goals(table, starts),
    }, venv


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    options = arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        cores = prepare()
        with tempfile.TemporaryDirectory(prefix="cloakroom-compare-") as folder:
            comparison, venv = compare(options, pathlib.Path(folder), cores)
    except Fault as fault:
        print(f"benches/compare: {fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benches/compare: interrupted", file=sys.stderr)
        return 130
    print(report.text(comparison, options.markdown), end="")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        figures = options.out / "compare.json"
        figures.write_text(json.dumps(comparison, indent=1, ensure_ascii=False) + "\n")
        plot = pathlib.Path(__file__).with_name("plot.py")
        subprocess.run([venv / "bin" / "python", plot, figures, options.out / "compare.svg"], check=True)
    return 0
