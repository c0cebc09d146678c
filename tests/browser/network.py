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
def isolate():
    """Gives this thread, and all that it starts from now on, a network with nothing in it but 127.0.0.1.

    Chromium drops open requests when an address of the machine changes (ERR_NETWORK_CHANGED), and each container
    that starts changes one. Without the right to make a network (CAP_SYS_ADMIN), the thread keeps the machine's.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) == 0:
        _up("lo")
    else:
        print("Tests with the browser may fail while containers start: they have no network of their own "
              f"({os.strerror(ctypes.get_errno())}). Run them as root.", flush=True)


def _up(interface):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        request = struct.pack("16sh14x", interface.encode(), 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(asked, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(asked, SIOCSIFFLAGS, struct.pack("16sh14x", interface.encode(), flags | IFF_UP))
