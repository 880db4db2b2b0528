"""Nodes die and stop under load: nobody notices as long as a majority is there."""

import os
import signal
import struct
import time

import frames
import pytest
from frames import Peer
from harness import REQUEST_SECONDS, SANITIZE, array, bulk, wait_for
from load import Load, mixed

CLIENTS = 50
CLIENTS_ALONE = 20
MARGIN_SECONDS = 10 if SANITIZE else 1
LATENCY_SECONDS_MAX = 12 if SANITIZE else 1
PARTITIONS = 256


def members(cluster):
    return {member["name"]: member for member in cluster.status()["members"]}


def leads(cluster):
    return {name: member.get("partitions_primary") for name, member in members(cluster).items()}


def behind(cluster):
    """How many replicas of partitions are not up to date; None while a node is down."""
    found = members(cluster).values()
    if any(member["state"] != "up" for member in found):
        return None
    return sum(m["partitions_behind"] + m["partitions_idle"] + m["partitions_transfer"] for m in found)


@pytest.fixture
def settled(make_cluster):
    """make(OPTION...): a cluster in which everything is where it should be."""

    def make(*options):
        cluster = make_cluster(*options)
        wait_for(lambda: behind(cluster) == 0, "all replicas to be up to date")
        wait_for(lambda: is_even(cluster), "each node to lead its share")
        return cluster

    return make


def is_even(cluster):
    found = leads(cluster)
    share = PARTITIONS / len(found)
    return None not in found.values() and all(abs(count - share) < 2 for count in found.values())


def after(load, count, seconds=30):
    wait_for(lambda: load.count() >= count or not load.is_alive(), f"{count} commands", seconds)


def test_kill_one_of_three(settled):
    """kill -9: no command fails, none waits long; the node comes back, catches up, and leads what
    it should lead."""
    cluster = settled("--proxies", 2)
    with Load([cluster.port, cluster.port + 1], CLIENTS, mixed("failover")) as load:
        after(load, 1500)
        os.kill(cluster.pid("n1"), signal.SIGKILL)
        after(load, load.count() + 4000)
        wait_for(lambda: leads(cluster)["n1"] is None, "n1 to be seen as down")
        assert sum(leads(cluster)[name] for name in ("n2", "n3")) > PARTITIONS * 2 / 3
        cluster.start("n1")
        wait_for(lambda: behind(cluster) == 0, "n1 to catch up")
        wait_for(lambda: is_even(cluster), "n1 to lead again", 15)
        after(load, load.count() + 1000)
        load.stop()
        load.check_all_answered(LATENCY_SECONDS_MAX)


def test_majority_gone(settled):
    """Without a majority everything ends in time, in an error that says what is known; reads that
    do not need one go on; all resumes by itself."""
    cluster = settled()
    with cluster.client() as client:
        for number in range(100):
            assert client.ask("SET", f"failover:old:{number}", number) == b"+OK\r\n"
    wait_for(lambda: behind(cluster) == 0, "all replicas to be up to date")
    with Load([cluster.port], CLIENTS_ALONE, mixed("failover")) as load:
        after(load, 500)
        for name in ("n2", "n3"):
            os.kill(cluster.pid(name), signal.SIGKILL)
        wait_for(lambda: not any(cluster.pids()[name] for name in ("n2", "n3")), "both to be gone")
        gone = time.monotonic_ns()
        rounds = 3  # each takes as long as a request may
        after(load, load.count() + rounds * CLIENTS_ALONE, (rounds + 1) * REQUEST_SECONDS)
        with cluster.client() as client:
            assert client.ask("READONLY") == b"+OK\r\n"
            for number in range(100):
                assert client.ask("GET", f"failover:old:{number}") == bulk(b"%d" % number)
        back = time.monotonic_ns()
        cluster.start("n2")
        wait_for(lambda: recent_successes(load) >= 300, "everything to be served again")
        load.stop()
    alone = [o for o in load.operations if gone < o.invoked < back - REQUEST_SECONDS * 1e9]
    assert alone
    for operation in alone:
        assert operation.reply and operation.reply.startswith((b"-NOQUORUM ", b"-UNCERTAIN ")), operation
        assert operation.words[0] != "GET" or operation.reply.startswith(b"-NOQUORUM "), operation
    load.check_in_time(REQUEST_SECONDS + MARGIN_SECONDS)


def recent_successes(load):
    """How many of the newest finished commands succeeded without one that failed among them."""
    count = 0
    for operation in reversed(load.operations[:]):
        if operation.returned is None:
            continue
        if operation.failed():
            break
        count += 1
    return count


def test_stopped_nodes(settled):
    """A node that hangs for a while and goes on, again and again: no command fails."""
    cluster = settled("--proxies", 2)
    pauses = [("n1", 0.2), ("n2", 0.5), ("n3", 1), ("n1", 3), ("n2", 0.3), ("n3", 2)]
    with Load([cluster.port, cluster.port + 1], CLIENTS, mixed("failover")) as load:
        after(load, 1500)
        for name, seconds in pauses:
            pid = cluster.pid(name)
            os.kill(pid, signal.SIGSTOP)
            try:
                time.sleep(seconds)
            finally:
                os.kill(pid, signal.SIGCONT)
            wait_for(lambda: behind(cluster) == 0, f"{name} to catch up")
            after(load, load.count() + 200)
        load.stop()
        load.check_all_answered(LATENCY_SECONDS_MAX)


def led_by(cluster, name, count):
    found, number = [], 0
    while len(found) < count:
        key = f"failover:stale:{number}"
        if cluster.locate(key)[0] == name:
            found.append(key)
        number += 1
    return found


def test_primary_that_wakes_is_not_stale(settled):
    """A primary hangs, others take over and write; what asks it when it goes on, by a proxy that hung
    with it and knows nothing newer, does not get what was there before."""
    cluster = settled("--proxies", 2)
    keys = led_by(cluster, "n1", 12)
    with cluster.client(2) as stale, cluster.client(1) as client:
        for key in keys:
            assert stale.ask("SET", key, "before") == b"+OK\r\n"
            assert stale.ask("GET", key) == bulk(b"before")
        hung = [cluster.pid("n1"), cluster.pid("proxy2")]
        for pid in hung:
            os.kill(pid, signal.SIGSTOP)
        try:
            for key in keys:
                assert client.ask("SET", key, "after") == b"+OK\r\n"
            # Behind a write a read goes to the primary, or who is taken for it.
            for key in keys:
                stale.send(array("GET", key) + array("SET", f"{{{key}}}:other", "x") + array("GET", key))
        finally:
            for pid in hung:
                os.kill(pid, signal.SIGCONT)
        for key in keys:
            assert stale.reply() == bulk(b"after")
            assert stale.reply() == b"+OK\r\n"
            assert stale.reply() == bulk(b"after")


def test_primary_that_wakes_answers_no_read(settled):
    """Likewise on its own port: reads that reach it, addressed to the view that it led, while it
    hangs."""
    cluster = settled()
    key = led_by(cluster, "n1", 1)[0].encode()
    partition = frames.position(key)[0]
    with cluster.client() as client, Peer(cluster.port_of("n1")) as front:
        assert client.ask("SET", key, "before") == b"+OK\r\n"
        front.send(frames.hello())
        known = front.welcome()
        with Peer(cluster.port_of("n1")) as peer:
            fields = {"epoch": known["epoch"], "partition": partition, "level": frames.LEVEL_LINEAR}
            peer.send(
                frames.hello(
                    *(frames.ROLE_PROXY, partition % known["shards"], known["epoch"], known["cluster"]),
                    target=known["identity"],
                )
            )
            peer.welcome()
            peer.send(frames.request(frames.OP_GET, frames.store_key(key), **fields))
            _, body = peer.receive()
            assert body[8:10] == bytes([frames.REPLY_REFUSED, frames.REFUSAL_ELSEWHERE])
            fields["view"] = struct.unpack("<Q", body[20:28])[0]
            peer.send(frames.request(frames.OP_GET, frames.store_key(key), **fields))
            _, body = peer.receive()
            assert body[12:18] == b"before"
            pid = cluster.pid("n1")
            os.kill(pid, signal.SIGSTOP)
            try:
                assert client.ask("SET", key, "after!") == b"+OK\r\n"
                peer.send(frames.request(frames.OP_GET, frames.store_key(key), **fields))
            finally:
                os.kill(pid, signal.SIGCONT)
            _, body = peer.receive()
            assert body[8] == frames.REPLY_REFUSED, body
