"""Many clients in one thread, each asking one thing after the other, and what became of it."""

import math
import random
import selectors
import socket
import threading
import time

from harness import HOST, array, patiently

RECONNECT_SECONDS = 0.05
REPORTED = 8  # operations that a failed test shows


# What INCR of a text is answered is an answer.
NO_NUMBER = (b"-ERR value is not an integer", b"-ERR increment or decrement would overflow")


class Steps(tuple):
    """What a client does in several steps. Each is a list of commands, which are sent together when
    all before are answered."""


class Operation:
    """One command, or Steps: the moments when it began, or its last step did, and when its last reply
    was there, and that reply (None: the connection was lost, and when, or the load stopped, before
    one came)."""

    __slots__ = ("client", "words", "invoked", "returned", "lost", "reply", "replies", "sent", "since", "waited")

    def __init__(self, client, words, invoked):
        self.client = client
        self.words = words
        self.invoked = invoked
        self.returned = None
        self.lost = None
        self.reply = None
        self.replies = []  # to all commands, as far as they came
        self.sent = 0  # steps
        self.since = invoked  # since when the client waits for the next reply
        self.waited = 0  # nanoseconds, at most, for the reply to a command

    def steps(self):
        return self.words if isinstance(self.words, Steps) else ([self.words],)

    def next_step(self, now):
        """The commands that are to be sent now."""
        if self.sent:
            self.invoked = self.since = now
        self.sent += 1
        return self.steps()[self.sent - 1]

    def take(self, reply, now):
        """True when it was the last one of a step."""
        self.waited = max(self.waited, now - self.since)
        self.since = now
        self.replies.append(reply)
        steps = self.steps()
        if len(self.replies) < sum(map(len, steps[: self.sent])):
            return False
        if self.sent == len(steps):
            self.reply, self.returned = reply, now
        return True

    def seconds(self):
        """How long the client waited for the reply to any command, from its turn on; without end if
        nothing ended it."""
        end = self.returned or self.lost
        return max(self.waited, end - self.since) / 1e9 if end else math.inf

    def failed(self):
        return self.reply is None or any(r.startswith(b"-") and not r.startswith(NO_NUMBER) for r in self.replies)

    def __repr__(self):
        took = "no reply" if self.returned is None else f"{self.seconds():.3f} s"
        return f"{self.words} -> {self.replies} ({took}, client {self.client})"


class Client:
    """A connection, or the want of one. Goes around the proxies when one does not answer."""

    def __init__(self, number, load):
        self.number = number
        self.load = load
        self.turn = number
        self.socket = None
        self.operation = None
        self.input = b""
        self.next = time.monotonic() + load.think_seconds * random.random()

    def connect(self):
        port = self.load.ports[self.turn % len(self.load.ports)]
        try:
            self.socket = socket.create_connection((HOST, port), 1)
        except OSError:
            self.lost()
            return
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.load.selector.register(self.socket, selectors.EVENT_READ, self)

    def lost(self):
        """What was asked stays unanswered."""
        self.close()
        if self.operation:
            self.operation.lost = time.monotonic_ns()
        self.operation = None
        self.input = b""
        self.turn += 1
        self.next = time.monotonic() + RECONNECT_SECONDS

    def close(self):
        if self.socket:
            if self.socket.fileno() in self.load.selector.get_map():
                self.load.selector.unregister(self.socket)
            self.socket.close()
        self.socket = None

    def ask(self):
        if not self.socket:
            self.connect()
        if not self.socket:
            return
        words = self.load.choose(self.number)
        self.operation = Operation(self.number, words, time.monotonic_ns())
        self.load.operations.append(self.operation)
        self.send_step()

    def send_step(self):
        step = self.operation.next_step(time.monotonic_ns())
        try:
            # Far below what a socket's buffer holds.
            self.socket.sendall(b"".join(array(*words) for words in step))
        except OSError:
            self.lost()

    def readable(self):
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.lost()
            return
        self.input += data
        while self.operation and (end := reply_end(self.input)):
            reply, self.input = self.input[:end], self.input[end:]
            self.replied(reply)

    def replied(self, reply):
        if not self.operation.take(reply, time.monotonic_ns()):
            return
        if not self.operation.returned:
            self.send_step()
            return
        self.operation = None
        self.next = time.monotonic() + self.load.think_seconds * (0.5 + random.random())


def reply_end(data, at=0):
    """Where the reply at `at` ends; None while it is not whole."""
    line = data.find(b"\r\n", at)
    if line < 0:
        return None
    kind, end = data[at : at + 1], line + 2
    if kind not in (b"$", b"*") or data[at + 1 : line] == b"-1":
        return end
    count = int(data[at + 1 : line])
    if kind == b"$":
        end += count + 2
        return end if end <= len(data) else None
    for _ in range(count):
        end = reply_end(data, end)
        if end is None:
            return None
    return end


class Load(threading.Thread):
    """Clients at the proxies on `ports`; choose(number of the client) gives a command's words. A
    client waits think_seconds, on average, between a reply and its next command."""

    def __init__(self, ports, clients, choose, think_seconds=0.03):
        super().__init__(daemon=True)
        self.ports = ports
        self.choose = choose
        self.think_seconds = think_seconds
        self.selector = selectors.DefaultSelector()
        self.operations = []
        self.stopping = threading.Event()
        self.broke = None
        self.clients = [Client(number, self) for number in range(clients)]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.turn()
        except Exception as error:  # shown by stop(), in the thread of the test
            self.broke = error

    def turn(self):
        for key, _ in self.selector.select(0.002):
            key.data.readable()
        now = time.monotonic()
        for client in self.clients:
            if not client.operation and now >= client.next:
                client.ask()

    def stop(self, patience_seconds=5):
        """No further commands; those under way may still be answered for a while."""
        if not self.stopping.is_set():
            self.stopping.set()
            self.join()
            deadline = time.monotonic() + patiently(patience_seconds)
            while time.monotonic() < deadline and any(c.operation for c in self.clients):
                for key, _ in self.selector.select(0.05):
                    key.data.readable()
            for client in self.clients:
                client.close()
            self.selector.close()
        if self.broke:
            raise self.broke

    def count(self):
        return len(self.operations)

    def check_all_answered(self, seconds_max):
        """Every command had a reply that is no error, in time."""
        failed = [operation for operation in self.operations if operation.failed()]
        assert not failed, f"{len(failed)} of {self.count()} failed: {failed[:REPORTED]}"
        self.check_in_time(seconds_max)

    def check_in_time(self, seconds_max):
        """Nobody waited longer, be it for a reply or for the connection's end."""
        late = sorted(self.operations, key=Operation.seconds)[-REPORTED:]
        assert late and late[-1].seconds() <= seconds_max, late[::-1]


def mixed(prefix, keys=400, seed=1):
    """A choice of reads and writes over some keys."""
    chance = random.Random(seed)

    def choose(client):
        key = f"{prefix}:{chance.randrange(keys)}"
        command = chance.choice(["GET", "GET", "GET", "SET", "SET", "INCR", "DEL", "APPEND", "SETNX"])
        if command == "INCR":
            return (command, f"{key}:count")
        return (command, key) if command in ("GET", "DEL") else (command, key, f"v{chance.random()}")

    return choose
