"""A network for the tests alone."""

import ctypes
import fcntl
import functools
import os
import socket
import struct

# unshare(2), netdevice(7)
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP = 1


@functools.cache
def leave_the_machines():
    """From here on this thread, and whatever it starts, has a network of its own with nothing in it but 127.0.0.1.

    Chromium gives up the requests under way whenever an address of the machine changes (ERR_NETWORK_CHANGED), as one
    does with each container that starts. Where the kernel lets nobody leave, all stays as it was.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == 0:
        _up("lo")
    else:
        print(f"the browser shares the machine's network: {os.strerror(ctypes.get_errno())}", flush=True)


def _up(interface):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        request = struct.pack("16sh14x", interface.encode(), 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(asked, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(asked, SIOCSIFFLAGS, struct.pack("16sh14x", interface.encode(), flags | IFF_UP))
