"""Clients that scan all the time, to see whether a scan ever misses a key that was there throughout."""

import threading
import time

from harness import RawClient, elements

RETRY_SECONDS = 0.02
NO_RING = b"-NOQUORUM no ring yet"  # what a proxy says that has just been started


class Scanner(threading.Thread):
    """Scans one after the other. A scan goes from one of the proxies on `ports` to the next with each
    call, and on with another connection where one is lost. `options` are words of SCAN, behind the
    cursor; `expected` is what every scan must give; between two calls it waits."""

    def __init__(self, ports, options, expected, pause_seconds=0.0):
        super().__init__(daemon=True)
        self.ports = ports
        self.options = options
        self.expected = expected
        self.pause_seconds = pause_seconds
        self.stopping = threading.Event()
        self.clients = [None] * len(ports)
        self.calls = 0
        self.lost = 0  # connections
        self.scans = []  # when each began and ended, and how many keys it gave
        self.wrong = []  # errors, and what a scan missed

    def run(self):
        try:
            while not self.stopping.is_set() and not self.wrong:
                self.scan()
        except Exception as error:  # shown by check(), in the thread of the test
            self.wrong.append(repr(error))
        for client in filter(None, self.clients):
            client.close()

    def scan(self):
        """One scan, even if it is to stop: only whole ones tell anything."""
        begun, cursor, found = time.monotonic(), b"0", set()
        while True:
            reply = self.ask("SCAN", cursor, *self.options)
            if reply.startswith(b"-"):
                self.wrong.append(reply)
                return
            cursor, keys = elements(reply)
            found.update(keys)
            if cursor == b"0":
                break
            time.sleep(self.pause_seconds)
        self.scans.append((begun, time.monotonic(), len(found)))
        missed = self.expected - found
        if missed:
            self.wrong.append(f"a scan of {len(found)} keys missed {len(missed)}: {sorted(missed)[:8]}")

    def ask(self, *words):
        """The reply, from whichever proxy gives one."""
        while True:
            turn = self.calls % len(self.ports)
            self.calls += 1
            try:
                if not self.clients[turn]:
                    self.clients[turn] = RawClient(self.ports[turn])
                reply = self.clients[turn].ask(*words)
                if reply and not reply.startswith(NO_RING):
                    return reply
            except OSError:
                pass
            self.lost += 1
            if self.clients[turn]:
                self.clients[turn].close()
            self.clients[turn] = None
            time.sleep(RETRY_SECONDS)

    def across(self, moment):
        """How many scans had begun before a moment and ended after it."""
        return sum(begun < moment < ended for begun, ended, _ in self.scans)


class Scanners:
    """Several at once."""

    def __init__(self, *scanners):
        self.scanners = scanners

    def __enter__(self):
        for scanner in self.scanners:
            scanner.start()
        return self

    def __exit__(self, *_):
        for scanner in self.scanners:
            scanner.stopping.set()
        for scanner in self.scanners:
            scanner.join()

    def go_on(self):
        """Until each has ended a scan."""
        counts = [len(scanner.scans) for scanner in self.scanners]
        for scanner, count in zip(self.scanners, counts):
            while len(scanner.scans) == count and scanner.is_alive():
                time.sleep(RETRY_SECONDS)

    def check(self):
        for scanner in self.scanners:
            what = f"SCAN {' '.join(map(str, scanner.options))}"
            assert not scanner.wrong, f"{what}: {scanner.wrong}"
            assert scanner.scans, f"{what}: no scan has ended"
