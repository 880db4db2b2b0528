"""SCAN, KEYS, DBSIZE, RANDOMKEY, FLUSHALL over all partitions."""

import threading

import pytest
import redis
from harness import HOST, wait_for

CASES = {
    "scan_wrong": ["SCAN", "SCAN x", "SCAN -", "SCAN 1.5", "SCAN --1", "SCAN 1-", "SCAN 0 COUNT", "SCAN 0 COUNT 0", "SCAN 0 COUNT -1",
                   "SCAN 0 COUNT x", "SCAN 0 MATCH", "SCAN 0 TYPE", "SCAN 0 NONSENSE", "SCAN 0 NONSENSE 1",
                   "SCAN 99999999999999999999999"],
    "one_key": ["FLUSHALL", "DBSIZE", "RANDOMKEY", "KEYS *", "SET one 1", "DBSIZE", "RANDOMKEY", "KEYS *", "KEYS o?e",
                "KEYS O*", "KEYS [a-o]ne", "KEYS", "KEYS a b", "DBSIZE x", "RANDOMKEY x", "SCAN 0 COUNT 1000",
                "SCAN 0 COUNT 1000 MATCH x*", "SCAN 0 COUNT 1000 TYPE string", "SCAN 0 COUNT 1000 TYPE list",
                "FLUSHDB ASYNC", "DBSIZE", "FLUSHALL SYNC", "FLUSHALL WHAT", "FLUSHALL ASYNC SYNC", "FLUSHDB 1"],
}  # fmt: skip


@pytest.fixture
def client(cluster):
    client = redis.Redis(host=HOST, port=cluster.port_of("proxy1"))
    client.flushall()
    return client


@pytest.mark.parametrize("name", CASES)
def test_same_as_redis(redis_server, cluster, name):
    with redis_server.client() as theirs, cluster.client() as ours:
        answers = [[client.ask(*line.split()) for line in CASES[name]] for client in (theirs, ours)]
    if name == "one_key":
        # With few keys Redis' scan ends with the first call. Here it goes over partitions.
        for side in answers:
            side[15:19] = [reply.split(b"\r\n")[3:] for reply in side[15:19]]
    assert answers[0] == answers[1]


def load(client, keys):
    for at in range(0, len(keys), 1000):
        client.mset(dict.fromkeys(keys[at : at + 1000], b"v"))


def scan(client, most, **options):
    """All keys of a scan, each as often as it was given; no call gives more than `most`."""
    cursor, found = 0, []
    while True:
        cursor, keys = client.scan(cursor, **options)
        assert len(keys) <= most and cursor < 1 << 53
        found += keys
        if cursor == 0:
            return found


def test_complete(client):
    """Keys all over, and many with one hash tag, which share a position."""
    keys = [f"k{i}".encode() for i in range(5000)] + [f"{{tag}}{i}".encode() for i in range(3000)]
    keys += [f"{{few}}{i}".encode() for i in range(500)]
    load(client, keys)
    assert client.dbsize() == len(keys)
    for count in (1, 10, 1000, 100000):
        found = scan(client, count + 1500, count=count)
        assert sorted(found) == sorted(keys)
    assert sorted(scan(client, 1500, match="{few}*")) == sorted(key for key in keys if key.startswith(b"{few}"))
    assert scan(client, 0, count=1000, _type="hash") == []
    assert sorted(client.keys("*")) == sorted(keys)
    assert set(client.randomkey() for _ in range(100)) <= set(keys)
    client.flushall()
    assert client.dbsize() == 0 and client.keys("*") == [] and scan(client, 0) == []
    assert client.randomkey() is None


def test_recent_writes(client):
    """What was acknowledged is counted and found at once; what has expired is not."""
    for i in range(1, 20):
        client.set(f"recent{i}", i)
        assert client.dbsize() == i
    client.psetex("recent1", 1, "gone")
    client.delete("recent2")
    wait_for(lambda: client.exists("recent1") == 0, "the key to expire")
    assert client.dbsize() == 17
    assert len(client.keys("recent*")) == 17 == len(scan(client, 100))


def test_pipelined(client):
    """A scan waits for the client's writes before it, and those behind it wait for the scan."""
    with client.pipeline(transaction=False) as p:
        p.set("a", 1).dbsize().flushall().set("b", 2).dbsize().keys("*").delete("b").randomkey()
        assert p.execute() == [True, 1, True, True, 1, [b"b"], 1, None]


def test_too_many_keys(make_cluster):
    """KEYS is bounded, and says what to do instead."""
    cluster = make_cluster("--proxy", "client_output=64k")
    client = redis.Redis(host=HOST, port=cluster.port_of("proxy1"))
    load(client, [f"{'long' * 50}{i}" for i in range(1000)])
    with pytest.raises(redis.ResponseError, match="too many keys match for one reply: SCAN gives them in pieces"):
        client.keys("*")
    assert len(scan(client, 200)) == 1000


def test_nodes_die_and_return(make_cluster):
    """What is there from beginning to end is found, whichever nodes die, through two proxies, while
    other keys come and go."""
    cluster = make_cluster("--proxies", "2")
    proxies = [redis.Redis(host=HOST, port=cluster.port_of(name)) for name in ("proxy1", "proxy2")]
    keys = [f"stays{i}".encode() for i in range(4000)] + [f"{{tag}}{i}".encode() for i in range(2000)]
    load(proxies[0], keys)
    stop = threading.Event()
    scans = []

    def come_and_go():
        client = redis.Redis(host=HOST, port=cluster.port_of("proxy1"))
        i = 0
        while not stop.is_set():
            try:
                client.set(f"comes{i % 500}", "x")
                client.delete(f"comes{(i + 250) % 500}")
            except redis.ResponseError:
                pass
            i += 1

    def scan_all():
        while not stop.is_set():
            cursor, found, calls = 0, set(), 0
            while True:
                try:
                    cursor, some = proxies[calls % 2].scan(cursor, count=50)
                except redis.ResponseError:
                    continue
                calls += 1
                found.update(some)
                if cursor == 0:
                    break
            scans.append(set(keys) <= found)

    threads = [threading.Thread(target=come_and_go), threading.Thread(target=scan_all)]
    for thread in threads:
        thread.start()
    for name in ("n1", "n2", "n3"):
        cluster.kill(name)
        stop.wait(1)
        cluster.start(name)
        stop.wait(1.5)
    wait_for(lambda: scans, "a scan to end")
    stop.set()
    for thread in threads:
        thread.join()
    assert scans and all(scans)
