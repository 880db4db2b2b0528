"""What is served while one node of three is dead, and how it comes back."""

import pytest
from frames import held_by
from harness import RawClient, array, bulk, wait_for

KEYS = [f"available:{number}" for number in range(90)]
SAMPLE = 24  # keys for each role of a node


@pytest.fixture
def cluster(make_cluster):
    cluster = make_cluster()
    with cluster.client() as client:
        for key in KEYS:
            assert client.ask("SET", key, "before") == b"+OK\r\n"
    return cluster


def by_leader(cluster):
    """{name of the preferred primary: its keys}, so many each."""
    found = {name: [] for name in cluster.nodes()}
    for key in KEYS:
        found[cluster.locate(key)[0]].append(key)
    assert all(len(keys) >= SAMPLE // 3 for keys in found.values())
    return {name: keys[:SAMPLE] for name, keys in found.items()}


def proxy_counter(client, name):
    text = client.ask("INFO", "ringkv").decode()
    return int(dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)[name])


def test_dead_primary(cluster):
    """Its partitions are led by others within a request; it comes back with everything that was
    written before and meanwhile."""
    cluster.kill("n1")
    with cluster.client() as client:
        for key in KEYS:
            assert client.ask("GET", key) == bulk(b"before")
            assert client.ask("SET", key, "meanwhile") == b"+OK\r\n"
        cluster.start("n1")
        for key in KEYS:
            assert client.ask("GET", key) == bulk(b"meanwhile")
            assert client.ask("SET", key, "after") == b"+OK\r\n"
    port = cluster.port_of("n1")
    wait_for(lambda: held_by(port, encoded(KEYS)) == len(KEYS), "n1 to hold every key")


def test_dead_backup_catches_up(cluster):
    """A backup misses writes and deletes while it is dead; afterwards it holds what the others do."""
    led = by_leader(cluster)
    served = led["n1"] + led["n2"]
    deleted, kept = served[::2], served[1::2]
    new = [f"{{{key}}}:new" for key in served]  # in the same partition as the key
    cluster.kill("n3")
    with cluster.client() as client:
        for key in deleted:
            assert client.ask("DEL", key) == b":1\r\n"
        for key in new:
            assert client.ask("SET", key, "x") == b"+OK\r\n"
    cluster.start("n3")
    port = cluster.port_of("n3")

    def caught_up():
        return held_by(port, encoded(new + kept)) == len(new + kept) and held_by(port, encoded(deleted)) == 0

    wait_for(caught_up, "n3 to hold what was written and not what was deleted")


def encoded(keys):
    return [key.encode() for key in keys]


def test_no_majority(cluster):
    """With two of three dead nothing is acknowledged, and nothing that was is lost."""
    led = by_leader(cluster)
    cluster.kill("n2")
    cluster.kill("n3")
    with cluster.client() as client:
        tried = led["n1"][:3]  # in one pipeline, as each takes as long as a request may
        for reply in client.exchange(b"".join(array("SET", key, "alone") for key in tried), len(tried)):
            assert reply.startswith((b"-NOQUORUM ", b"-UNCERTAIN ")), reply
        for reply in client.exchange(b"".join(array("GET", key) for key in tried), len(tried)):
            assert reply.startswith(b"-NOQUORUM "), reply
        cluster.start("n2")
        for key in led["n1"][3:]:
            wait_for(lambda: client.ask("SET", key, "two") == b"+OK\r\n", "a majority")
        for key in tried:
            assert client.ask("GET", key) in (bulk(b"before"), bulk(b"alone"))
        cluster.start("n3")
        for key in led["n3"]:
            wait_for(lambda: client.ask("GET", key) == bulk(b"before"), "n3 to serve")


def test_reads_go_around_a_stopped_node(cluster):
    """They do not wait until it counts as lost: other replicas are asked."""

    def reads_moved(client):
        before = proxy_counter(client, "reads_moved")
        cluster.kill("n1", "STOP")
        try:
            for key in KEYS:
                assert client.ask("GET", key) == bulk(b"before")
        finally:
            cluster.kill("n1", "CONT")
        return proxy_counter(client, "reads_moved") > before

    with cluster.client() as client:
        # On a machine that is too busy the node may have had its whole time at once.
        wait_for(lambda: reads_moved(client), "reads that were moved")
        for key in KEYS:
            assert client.ask("GET", key) == bulk(b"before")


def test_stopped_node(cluster):
    """A node that hangs (SIGSTOP) stops nobody, and goes on when it goes on."""
    cluster.kill("n1", "STOP")
    try:
        with RawClient(cluster.port) as client:
            for key in KEYS:
                assert client.ask("SET", key, "meanwhile") == b"+OK\r\n"
                assert client.ask("GET", key) == bulk(b"meanwhile")
    finally:
        cluster.kill("n1", "CONT")
    with RawClient(cluster.port) as client:
        for key in KEYS:
            assert client.ask("GET", key) == bulk(b"meanwhile")
            assert client.ask("SET", key, "after") == b"+OK\r\n"
