"""Starts programs on chosen cores, reads what they use, and ends each of them by its id, whatever
happens meanwhile."""

import os
import pathlib
import shutil
import signal
import subprocess
import threading
import time


class Fault(Exception):
    """What ends a comparison, and is printed without a trace."""


def pause(seconds):
    threading.Event().wait(seconds)


class Program:
    """One program that runs, with its children: a worker is often one."""

    def __init__(self, name, command, cores, folder):
        self.name = name
        self.log = pathlib.Path(folder) / f"{name}.log"
        with self.log.open("wb") as log:
            # A kill of ours that cannot be caught ends it too.
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "taskset", "-c", ",".join(map(str, cores)),
                 *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.pid = self.process.pid

    def pids(self):
        found, waiting = [], [self.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            try:
                for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                    waiting += map(int, (task / "children").read_text().split())
            except OSError:
                continue
        return found

    def cpu(self):
        """Nanoseconds on a processor so far, all threads of all its processes."""
        total = 0
        for pid in self.pids():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                try:
                    total += int((task / "schedstat").read_text().split()[0])
                except FileNotFoundError:
                    continue  # a thread that has just ended
        return total

    def rss(self):
        """Resident bytes, of all its processes."""
        total = 0
        for pid in self.pids():
            pages = pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]
            total += int(pages) * os.sysconf("SC_PAGE_SIZE")
        return total

    def said(self):
        return self.log.read_text(errors="replace")[-2000:].strip()

    def ready(self, probe, seconds=20):
        """Waits until the probe answers true; a refused connection means not yet."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Fault(f"{self.name} has ended with status {self.process.returncode}:\n{self.said()}")
            try:
                if probe():
                    return
            except OSError:
                pass
            pause(0.0005)
        raise Fault(f"{self.name} does not answer after {seconds} s:\n{self.said()}")

    def stop(self):
        pids = self.pids()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process.wait()


class Programs:
    """All that runs for a while; leaving the block ends it."""

    def __init__(self, folder):
        self.folder = folder
        self.running = []

    def __enter__(self):
        return self

    def start(self, name, command, cores):
        program = Program(name, command, cores, self.folder)
        self.running.append(program)
        return program

    def __exit__(self, *_):
        while self.running:
            self.running.pop().stop()


def needed(*tools):
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        raise Fault(f"not installed: {', '.join(missing)}")
