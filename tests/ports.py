"""Ports for servers that are told theirs. They lie below those that the system gives to connections, so that
nothing else takes one between its choice and its use."""

import random
import socket
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count):
    """That many, all different."""
    end = int(RANGE.read_text().split()[0]) if RANGE.exists() else 32768
    found = []
    for port in random.sample(range(max(end - 20000, 1024), end), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"fewer than {count} of 200 ports below {end} are free")


def free_port():
    return free_ports(1)[0]
