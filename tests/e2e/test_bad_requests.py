"""Bad requests by the hundred thousand: no crash, no leak, and every well-formed command of another
client is answered meanwhile.

    RINGKV_BAD_REQUESTS=1000000 RINGKV_SEED=7 tests/run e2e -- -k bad_requests
"""

import os
import random
import threading
import time

import pytest
from harness import SANITIZE, RawClient, array, bulk, elements, patiently, resident_bytes, wait_for

REQUESTS = int(os.environ.get("RINGKV_BAD_REQUESTS") or 40000)
WARM_UP = 20000 if SANITIZE else 300000  # requests after which memory has stopped growing, where it is looked at
SEED = int(os.environ.get("RINGKV_SEED") or 1)
BATCH = 200  # requests on one connection
SENDERS = 4
GROWTH_MAX = 1.05

# What would take away from others what the test looks at.
LEFT_OUT = {b"flushall", b"flushdb", b"config", b"quit", b"reset", b"shutdown", b"keys"}

NUMBERS = [b"0", b"1", b"-1", b"2", b"3", b"1048577", b"2147483647", b"2147483648", b"4294967296", b"536870913",
           b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616",
           b"99999999999999999999", b"+1", b" 1", b"01", b"1e3", b"0x10", b"nan", b"", b"--1", b"1.5"]  # fmt: skip
WORDS = [b"EX", b"PX", b"NX", b"XX", b"GET", b"KEEPTTL", b"EXAT", b"GT", b"LT", b"MATCH", b"COUNT", b"TYPE", b"LEN", b"IDX",
         b"MINMATCHLEN", b"WITHMATCHLEN", b"BYTE", b"BIT", b"REPLACE", b"DB", b"ID", b"ADDR", b"SETNAME", b"AUTH", b"LIB-NAME",
         b"on", b"off", b"skip", b"*", b"[", b"\\", b"a*b?[c-"]  # fmt: skip
ENDS = [b"\r\n", b"\n", b"\r", b"", b"\r\r\n", b"\0\r\n", b" \r\n"]


class Generator:
    """Requests that are wrong in one way or another, from one seed."""

    def __init__(self, seed, names):
        self.chance = random.Random(seed)
        self.names = names

    def value(self):
        chance = self.chance
        kind = chance.randrange(8)
        if kind == 0:
            return chance.choice(NUMBERS)
        if kind == 1:
            return chance.choice(WORDS)
        if kind == 2:
            return chance.randbytes(chance.choice([0, 1, 3, 16, 200]))
        if kind == 3:
            return b"k" * chance.choice([1, 496, 497, 2000])
        if kind == 4:
            return b"{bad}" + chance.choice(NUMBERS)
        return b"bad:%d" % chance.randrange(50)

    def words(self):
        """A command that there is, with arguments that it can hardly have."""
        name = self.chance.choice(self.names)
        rest = [self.value() for _ in range(self.chance.choice([0, 1, 1, 2, 2, 3, 4, 5, 9]))]
        return [*name.split(b"|"), *rest]

    def command(self):
        return array(*self.words())

    def line(self):
        text = b" ".join(self.words())
        if self.chance.random() < 0.3:
            text = text.replace(b" ", self.chance.choice([b"  ", b"\t", b' "', b" '", b'" ', b'"x"y ']), 1)
        return text.replace(b"\n", b"") + self.chance.choice(ENDS)

    def broken_frame(self):
        """An array whose counts and lengths are not those of what follows."""
        chance = self.chance
        words = self.words()
        count = chance.choice(NUMBERS) if chance.random() < 0.5 else b"%d" % len(words)
        out = [chance.choice([b"*", b"*", b"*", b"%", b"~", b"$", b":", b"-", b">"]), count, chance.choice(ENDS)]
        for word in words:
            size = chance.choice(NUMBERS) if chance.random() < 0.3 else b"%d" % len(word)
            kind = b"$" if chance.random() < 0.8 else chance.choice([b"*1\r\n$", b":", b"+", b"=", b"_", b","])
            out += [kind, size, chance.choice(ENDS), word, chance.choice(ENDS)]
        return b"".join(out)

    def mutated(self):
        """A good request with some bytes exchanged, left out or doubled."""
        chance = self.chance
        data = bytearray(self.command())
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data))
            kind = chance.randrange(3)
            if kind == 0:
                data[at] = chance.randrange(256)
            elif kind == 1:
                del data[at : at + chance.randint(1, 5)]
            else:
                data[at:at] = data[at : at + chance.randint(1, 20)]
            data = data or bytearray(b"\r\n")
        return bytes(data)

    def rubbish(self):
        return self.chance.randbytes(self.chance.choice([1, 2, 10, 100, 1000]))

    def request(self):
        kind = self.chance.random()
        if kind < 0.45:
            return self.command()
        if kind < 0.6:
            return self.line()
        if kind < 0.78:
            return self.broken_frame()
        return self.mutated() if kind < 0.93 else self.rubbish()


class Sender(threading.Thread):
    """Sends bad requests on one connection after the other. A connection that the proxy closes for a
    violation takes the rest of its batch along, which then goes on the next one."""

    def __init__(self, port, seed, names, count):
        super().__init__()
        self.port, self.count = port, count
        self.generator = Generator(seed, names)
        self.failure = None

    def run(self):
        try:
            while self.count > 0:
                self.batch([self.generator.request() for _ in range(min(BATCH, self.count))])
        except Exception as error:  # for the test's thread
            self.failure = error

    def batch(self, requests):
        with RawClient(self.port, timeout=patiently(60)) as client:
            if self.generator.chance.random() < 0.3:
                client.ask("HELLO", "3")
            for first in range(0, len(requests), 20):
                some = requests[first : first + 20]
                self.count -= len(some)
                try:
                    client.send(b"".join(some))
                except OSError:
                    return  # closed after a violation
            client.half_close()
            client.rest()


class Bystander(threading.Thread):
    """A client whose commands are all well-formed, and all answered as they should be."""

    def __init__(self, port):
        super().__init__()
        self.client = RawClient(port)
        self.running = True
        self.failure = None
        self.answered = 0
        self.slowest = 0

    def run(self):
        try:
            while self.running:
                self.turn(b"%d" % self.answered)
        except Exception as error:  # for the test's thread
            self.failure = error

    def turn(self, text):
        begun = time.monotonic()
        for words, wanted in (
            (("SET", "bystander", text), b"+OK\r\n"),
            (("GET", "bystander"), bulk(text)),
            (("PING",), b"+PONG\r\n"),
        ):
            reply = self.client.ask(*words)
            if reply != wanted:
                raise AssertionError(f"{words}: {reply!r}")
            self.answered += 1
        self.slowest = max(self.slowest, time.monotonic() - begun)


def command_names(client):
    names = elements(client.ask("COMMAND", "LIST"))
    parents = {name.partition(b"|")[0] for name in names if b"|" in name}
    return [
        name
        for name in names
        if name.partition(b"|")[0] not in LEFT_OUT and name != b"client|kill" and name not in parents
    ]


def send(cluster, count, seed, names):
    senders = [Sender(cluster.port, seed * 1000 + number, names, count // SENDERS) for number in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
        assert not sender.failure, f"seed {seed}: {sender.failure!r}"


def settled(pid, client):
    """Memory once all connections are gone and the idle ones have given back their buffers."""
    wait_for(lambda: len(elements(client.ask("CLIENT", "LIST")).splitlines()) == 1, "the connections to be gone")
    time.sleep(2.5)
    return resident_bytes(pid)


@pytest.mark.parametrize("seed", [SEED])
def test_bad_requests(make_cluster, seed):
    cluster = make_cluster()
    proxy = cluster.pid("proxy1")
    pids = {name: pid for name, pid in cluster.pids().items()}
    with cluster.client() as client:
        names = command_names(client)
        assert len(names) > 50
        # What a fresh process takes once, pools and the allocator's arenas, is no leak.
        send(cluster, max(REQUESTS // 4, WARM_UP), seed + 1, names)
        before = settled(proxy, client)
        bystander = Bystander(cluster.port)
        bystander.start()
        send(cluster, REQUESTS, seed, names)
        bystander.running = False
        bystander.join()
        bystander.client.close()
        after = settled(proxy, client)
        assert not bystander.failure, f"seed {seed}: {bystander.failure!r}"
        assert bystander.answered > 100
        assert cluster.pids() == pids, "a process ended"
        assert client.ask("PING") == b"+PONG\r\n"
        print(f"\n{REQUESTS} requests; another client was answered {bystander.answered} times, at the slowest in "
              f"{bystander.slowest * 1000:.0f} ms; memory {before >> 10} KiB before, {after >> 10} KiB after")  # fmt: skip
        if not SANITIZE:
            assert after <= before * GROWTH_MAX, f"seed {seed}: {before} bytes before, {after} after"
    cluster.check_healthy()
