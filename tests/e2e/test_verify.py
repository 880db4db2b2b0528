"""Replicas are compared while they serve; what a disk has damaged is never told, and mended."""

import json
import re
import time

from harness import bulk, wait_for

KEYS = 300


def name(number):
    return b"verify:%d" % number


def value(number):
    return b"the value of key %06d, long enough to be found in a file" % number


def fill(cluster):
    with cluster.client() as client:
        for number in range(KEYS):
            assert client.ask("SET", name(number), value(number)) == b"+OK\r\n"


def members(cluster):
    return {member["name"]: member for member in cluster.status()["members"]}


def settled(cluster):
    found = members(cluster).values()
    return all(m["state"] == "up" for m in found) and not any(
        m["partitions_behind"] + m["partitions_idle"] + m["partitions_transfer"] for m in found
    )


def verify(cluster, *options):
    wait_for(lambda: settled(cluster), "all replicas to be up to date")
    done = cluster.ringctl("--json", "verify", *options)
    return done.returncode, json.loads(done.stdout)


def flip_bits(folder):
    """Damages the values in a stopped node's trees; how many."""
    count = 0
    for path in folder.glob("shard-*/tree"):
        data = bytearray(path.read_bytes())
        for found in re.finditer(rb"the value of key \d{6},", bytes(data)):
            data[found.start() + 4] ^= 1
            count += 1
        path.write_bytes(data)
    return count


def check_reads(cluster):
    """No read tells anything but what was written: the whole value, or an error."""
    with cluster.client() as client:
        for number in range(KEYS):
            reply = client.ask("GET", name(number))
            assert reply == bulk(value(number)) or reply.startswith(b"-"), reply
        client.ask("READONLY")
        for number in range(KEYS):
            reply = client.ask("GET", name(number))
            assert reply == bulk(value(number)) or reply.startswith(b"-"), reply


def test_equal_under_load(make_cluster):
    cluster = make_cluster()
    fill(cluster)
    status, told = verify(cluster)
    assert (status, told["differ"], told["left_out"]) == (0, 0, 0)
    assert told["compared"] == 2 * 256 and told["complete"]
    done = cluster.ringctl("verify")
    assert "512 replicas compared with their primaries: 0 records differ" in done.stdout


def test_node_away(make_cluster):
    cluster = make_cluster()
    wait_for(lambda: settled(cluster), "all replicas to be up to date")
    cluster.kill("n3")
    done = cluster.ringctl("verify")
    assert done.returncode == 1
    assert "n3 does not answer" in done.stderr


def written_down(cluster):
    """Whether no checkpoint came for several times their interval: nothing is left to be written."""
    before = [m["store_checkpoints"] for m in members(cluster).values()]
    time.sleep(1)
    return before == [m["store_checkpoints"] for m in members(cluster).values()]


def test_damaged_disk(make_cluster):
    """Bits of one node's data flip while it is stopped: found, never told, and mended."""
    cluster = make_cluster("--node", "storage.checkpoint=200ms", "--node", "storage.scrub_rate=64m")
    fill(cluster)
    wait_for(lambda: written_down(cluster), "checkpoints of it all")
    cluster.kill("n2", "TERM")
    wait_for(lambda: not cluster.pids()["n2"], "n2 to stop")
    folder = next(path for path in (cluster.folder / "cluster" / "n2").rglob("shard-0")).parent
    assert flip_bits(folder) > KEYS / 2
    cluster.start("n2")
    check_reads(cluster)
    wait_for(lambda: members(cluster)["n2"]["scrub_damaged"] > 0, "the scrub to find it")
    check_reads(cluster)
    status, told = verify(cluster, "--repair")
    for _ in range(3):  # what n2 leads it hands over first
        if status == 0 and told["differ"] == 0:
            break
        status, told = verify(cluster, "--repair")
    wait_for(lambda: verify(cluster)[0] == 0, "all replicas to be equal", 60)
    assert sum(m["records_repaired"] for m in members(cluster).values()) > 0
    with cluster.client() as client:
        for number in range(KEYS):
            assert client.ask("GET", name(number)) == bulk(value(number))
