"""kill -9 of a node at random moments under load, again and again: what was acknowledged is there,
what was deleted stays deleted.

RINGKV_KILL_ROUNDS says how often (default: a few); RINGKV_KILL_SEED repeats the moments of a run.
"""

import os
import random
import socket
import threading
import time

from harness import HOST, SANITIZE, RawClient, array, bulk, patiently, wait_for

ROUNDS = int(os.environ.get("RINGKV_KILL_ROUNDS", "3" if SANITIZE else "6"))
SEED = int(os.environ.get("RINGKV_KILL_SEED") or random.randrange(10**9))
WRITERS = 4
KEYS = 2000  # of each writer
PIPELINE = 32
ALIVE_SECONDS_MAX = 0.8  # between a start and the next kill

# Small bounds, so that a kill meets checkpoints and new segments of the log as often as plain writes.
SMALL = [
    *("--node", "storage.memory_table=2m", "--node", "storage.checkpoint=100ms"),
    *("--node", "storage.log_segment=1m"),
]


class Writer(threading.Thread):
    """Sets and deletes keys of its own, many in a pipeline, until an error comes. `may_be` holds what
    each key may be now: the acknowledged value alone, or also what was tried and not acknowledged."""

    def __init__(self, port, name, may_be, seed):
        super().__init__(daemon=True)
        self.port = port
        self.name = name
        self.may_be = may_be
        self.chance = random.Random(seed)
        self.acknowledged = 0
        self.unexpected = None

    def run(self):
        try:
            with RawClient(self.port, timeout=patiently(60)) as client:
                while self.batch(client):
                    pass
        except (OSError, socket.timeout) as error:
            self.unexpected = repr(error)

    def batch(self, client):
        """One pipeline. False: the node is gone."""
        changes = []
        for number in self.chance.sample(range(KEYS), PIPELINE):
            value = None if self.chance.random() < 0.3 else b"%x" % self.chance.getrandbits(400)
            changes.append((f"{self.name}:{number}", value))
        client.send(b"".join(array("DEL", k) if v is None else array("SET", k, v) for k, v in changes))
        goes_on = True
        for key, value in changes:
            reply = client.reply()
            if reply[:1] in (b"+", b":"):
                self.may_be[key] = {value}
                self.acknowledged += 1
            else:
                goes_on = False
                if reply.startswith(b"-UNCERTAIN"):
                    self.may_be.setdefault(key, {None}).add(value)
                elif not reply.startswith(b"-NOQUORUM"):
                    self.unexpected = repr(reply)
        return goes_on


def serves(port):
    try:
        with RawClient(port, timeout=patiently(5)) as client:
            return client.ask("SET", "serves", "1") == b"+OK\r\n"
    except OSError:
        return False


def check(port, may_be):
    """Reads every key; and what is found is what a key is from now on."""
    names = list(may_be)
    with RawClient(port) as client:
        for first in range(0, len(names), 500):
            part = names[first : first + 500]
            replies = client.exchange(b"".join(array("GET", name) for name in part), len(part))
            for name, reply in zip(part, replies):
                options = {b"$-1\r\n" if value is None else bulk(value): value for value in may_be[name]}
                assert reply in options, f"{name} is {reply}, not one of {list(options)}"
                may_be[name] = {options[reply]}


def test_kill_again_and_again(make_cluster):
    cluster = make_cluster("--nodes", "1", "--replicas", "1", *SMALL)
    chance = random.Random(SEED)
    may_be = {}
    for number in range(ROUNDS):
        told = f"round {number} of RINGKV_KILL_ROUNDS={ROUNDS} RINGKV_KILL_SEED={SEED}"
        writers = [Writer(cluster.port, f"kill:{w}", may_be, chance.random()) for w in range(WRITERS)]
        for writer in writers:
            writer.start()
        time.sleep(chance.random() * ALIVE_SECONDS_MAX)  # the moment is what is tried
        cluster.kill("n1")
        for writer in writers:
            writer.join(60)
            assert not writer.is_alive() and writer.unexpected is None, f"{told}: {writer.unexpected}"
        cluster.start("n1")
        wait_for(lambda: serves(cluster.port), f"{told}: the node to serve again")
        try:
            check(cluster.port, may_be)
        except AssertionError as error:
            raise AssertionError(f"{told}: {error}") from None
    assert may_be, f"nothing was written at {HOST}:{cluster.port}"
