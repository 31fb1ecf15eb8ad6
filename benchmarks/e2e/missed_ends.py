"""How often a parent that has seen the end of a child's sockets finds the child still running, as Airflow 3 may.

``python -m benchmarks.e2e.missed_ends`` prints the share. The kernel closes the sockets of a process before the process
can be waited for; in between, ``waitpid`` with ``WNOHANG`` returns nothing.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys


def is_missed() -> bool:
    """Whether the child has ended its sockets, but cannot be waited for yet."""
    sockets = [socket.socketpair() for _ in range(4)]
    pid = os.fork()
    if pid == 0:
        # A task's process has imported Airflow: its memory, too, is released before it can be waited for.
        _ = bytearray(100 * 1024 * 1024)
        os._exit(0)
    selector = selectors.DefaultSelector()
    for own, theirs in sockets:
        theirs.close()
        selector.register(own, selectors.EVENT_READ)
    found = 0
    while selector.get_map():
        for key, _ in selector.select():
            selector.unregister(key.fileobj)
        found, _ = os.waitpid(pid, os.WNOHANG) if not found else (found, 0)
    if not found:
        os.waitpid(pid, 0)
    for own, _ in sockets:
        own.close()
    return not found


def main() -> None:
    count = 300
    missed = sum(is_missed() for _ in range(count))
    print(f"{missed} of {count} ends were missed ({missed / count:.0%}).", file=sys.stdout)


if __name__ == "__main__":
    main()
