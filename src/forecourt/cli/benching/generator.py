"""The load generator: keep-alive connections, each asking again as soon as it is answered.

A program of its own (standard library only, one thread, raw sockets), so that its cost is neither the server's nor the
harness's; it measures that cost. Protocol with who started it: a line of JSON comes in (see :func:`main`), ``ready``
goes out once the warm-up is over, a line comes in, and the load begins; a line of JSON with the counts goes out.

An answer that is not 200, or without Content-Length, ends the run: what is fast because it is wrong is not measured.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any


class Connection:
    """One keep-alive connection. ``at``: which of the requests comes next."""

    def __init__(self, address: tuple[str, int], at: int) -> None:
        self.address = address
        self.open()
        self.at = at
        self.sent = 0.0
        self.head = b""
        self.missing = -1

    def open(self) -> None:
        self.socket = socket.create_connection(self.address, timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def revive(self) -> None:
        """Opens it again where the server has closed it for idleness: nothing else is to read between answers."""
        if select.select([self.socket], [], [], 0)[0]:
            self.socket.close()
            self.open()

    def ask(self, request: bytes) -> None:
        self.head, self.missing = b"", -1
        self.sent = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Takes what has come; whether the answer is complete. Raises ValueError for a wrong one."""
        data = self.socket.recv(262_144)
        if not data:
            raise ValueError("the server closed a connection")
        if self.missing >= 0:
            self.missing -= len(data)
            return self.missing == 0
        self.head += data
        end = self.head.find(b"\r\n\r\n")
        if end < 0:
            return False
        if self.head[9:12] != b"200":
            raise ValueError(self.head[:600].decode("latin-1"))
        lower = self.head[:end].lower() + b"\r\n"
        at = lower.find(b"\r\ncontent-length:")
        if at < 0:
            raise ValueError("an answer without Content-Length")
        length = int(lower[at + 17 : lower.index(b"\r\n", at + 2)])
        self.missing = length - (len(self.head) - end - 4)
        return self.missing == 0


def drive(connections: Sequence[Connection], requests: Sequence[bytes], seconds: float) -> list[float]:
    """Keeps all connections busy for so long. Returns the time each request took, in seconds."""
    poll = select.epoll()
    by_handle = {}
    for connection in connections:
        connection.revive()
        by_handle[connection.socket.fileno()] = connection
        poll.register(connection.socket.fileno(), select.EPOLLIN)
        connection.ask(requests[connection.at % len(requests)])
    taken: list[float] = []
    end = time.perf_counter() + seconds
    waiting = len(connections)
    while waiting:
        for handle, _ in poll.poll(30):
            connection = by_handle[handle]
            if not connection.receive():
                continue
            now = time.perf_counter()
            taken.append(now - connection.sent)
            if now < end:
                connection.at += 1
                connection.ask(requests[connection.at % len(requests)])
            else:
                waiting -= 1
    poll.close()
    return taken


def main() -> None:
    """``{"host", "port", "connections", "seconds", "warm_up", "requests": [text …]}`` on standard input."""
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    requests = [text.encode("latin-1") for text in order["requests"]]
    address = (order["host"], order["port"])
    connections = [Connection(address, at) for at in range(order["connections"])]
    try:
        drive(connections, requests, order["warm_up"])
        print("ready", flush=True)
        sys.stdin.readline()
        began, used = time.perf_counter(), time.process_time()
        taken = sorted(drive(connections, requests, order["seconds"]))
        result: dict[str, Any] = {
            "requests": len(taken),
            "seconds": time.perf_counter() - began,
            "cpu": (time.process_time() - used) * 1e6,
            "p50": taken[len(taken) // 2] * 1e3,
            "p95": taken[len(taken) * 95 // 100] * 1e3,
            "p99": taken[len(taken) * 99 // 100] * 1e3,
        }
    except (OSError, ValueError) as error:
        result = {"error": str(error) or type(error).__name__}
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
