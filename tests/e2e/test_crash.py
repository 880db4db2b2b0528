"""What was acknowledged is there after kill -9 of everything at once."""

import threading

import pytest
import redis
from harness import SANITIZE, patiently, wait_for

WRITERS = 4
ROUNDS = 2 if SANITIZE else 4
ACKNOWLEDGED_BEFORE_KILL = 300


class Writer(threading.Thread):
    """Writes new keys, overwrites one and counts, and remembers what was acknowledged."""

    def __init__(self, port, name):
        super().__init__(daemon=True)
        self.port = port
        self.name = name
        self.keys = {}  # acknowledged
        self.last = None  # of the key that is overwritten: the newest acknowledged number
        self.counted = 0  # acknowledged INCRs
        self.tried = 0
        self.unexpected = None
        self.stopping = threading.Event()

    def run(self):
        client = redis.Redis(port=self.port, socket_timeout=patiently(60))
        while self.unexpected is None and not self.stopping.is_set():
            self.tried += 1
            key, value = f"{self.name}:{self.tried}", f"{self.tried}" * (self.tried % 50 + 1)
            try:
                client.set(key, value)
                self.keys[key] = value.encode()
                client.set(f"{self.name}:last", self.tried)
                self.last = self.tried
                self.counted_now(client.incr(f"{self.name}:count"))
            except redis.ConnectionError:
                return
            except redis.RedisError as error:
                self.ended_by(error)
                return

    def counted_now(self, count):
        if count != self.counted + 1:
            self.unexpected = f"INCR gave {count} after {self.counted}"
        self.counted = count

    def ended_by(self, error):
        # While the nodes die one after the other a proxy may still say so.
        if not str(error).startswith(("NOQUORUM", "UNCERTAIN")):
            self.unexpected = str(error)

    def check(self, client):
        assert self.unexpected is None
        names = list(self.keys)
        found = [value for at in range(0, len(names), 500) for value in client.mget(names[at : at + 500])]
        lost = [name for name, value in zip(names, found) if value != self.keys[name]]
        assert not lost, f"{len(lost)} of {len(names)} acknowledged keys are lost or wrong: {lost[:5]}"
        assert int(client.get(f"{self.name}:last") or 0) in (self.last or 0, self.tried)
        assert int(client.get(f"{self.name}:count") or 0) in (self.counted, self.counted + 1)


def test_kill_everything(make_cluster):
    cluster = make_cluster()
    done = []
    for number in range(ROUNDS):
        writers = [Writer(cluster.port, f"crash:{number}:{writer}") for writer in range(WRITERS)]
        for writer in writers:
            writer.start()
        wait_for(
            lambda: sum(len(writer.keys) for writer in writers) >= ACKNOWLEDGED_BEFORE_KILL
            or any(not writer.is_alive() for writer in writers),
            "writes to be acknowledged",
        )
        cluster.kill_all_at_once()
        for writer in writers:
            writer.join(60)
        done += writers
        cluster.up()
        with redis.Redis(port=cluster.port) as client:
            for writer in done:
                writer.check(client)


@pytest.mark.parametrize("name", ["n1", "proxy1"])
def test_kill_one(make_cluster, name):
    """One process dies under load: nothing acknowledged is lost either."""
    cluster = make_cluster()
    writer = Writer(cluster.port, "crash:one")
    writer.start()
    wait_for(lambda: len(writer.keys) >= 100 or not writer.is_alive(), "writes to be acknowledged")
    cluster.kill(name)
    cluster.start(name)
    wait_for(lambda: serves(cluster), "the cluster to serve again")
    writer.stopping.set()
    writer.join(60)
    with redis.Redis(port=cluster.port) as client:
        writer.check(client)


def serves(cluster):
    """Whether writes to all partitions succeed."""
    try:
        with redis.Redis(port=cluster.port) as client:
            return client.mset({f"serves:{number}": 1 for number in range(500)})
    except redis.RedisError:
        return False
