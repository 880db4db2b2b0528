"""A real data set goes in through redis-cli --pipe and comes out the same, on every node."""

import hashlib
import re
import subprocess

import pytest
from frames import held_by
from harness import RawClient, SANITIZE, array, bulk, elements, run, wait_for

SLOW_BUILD_RECORDS = 5000
BATCH = 200


def package_records():
    """{key: record} of every package that apt knows; of the installed ones when its lists are empty."""
    text = run("apt-cache", "dumpavail", text=False).stdout
    if not text.strip():
        text = open("/var/lib/dpkg/status", "rb").read()
    records = {}
    for record in text.split(b"\n\n"):
        fields = dict(re.findall(rb"^(Package|Version|Architecture): (.*)$", record, re.M))
        if b"Package" in fields:
            name = b"package:%s:%s:%s" % (
                *(fields[b"Package"], fields.get(b"Architecture", b"")),
                fields.get(b"Version", b""),
            )
            records[name] = record
    names = sorted(records)
    return {name: records[name] for name in names[: SLOW_BUILD_RECORDS if SANITIZE else None]}


def checksum(records):
    digest = hashlib.sha256()
    for name in sorted(records):
        digest.update(b"%d %s %d " % (len(name), name, len(records[name])) + records[name])
    return digest.hexdigest()


def read_back(port, names):
    found = {}
    with RawClient(port) as client:
        for first in range(0, len(names), BATCH):
            batch = names[first : first + BATCH]
            found.update(zip(batch, elements(client.ask("MGET", *batch))))
    return found


@pytest.fixture(scope="module")
def records():
    found = package_records()
    assert len(found) > 100
    return found


def test_package_records(make_cluster, records):
    cluster = make_cluster("--nodes", 3, "--replicas", 3)
    loaded = subprocess.run(
        ["redis-cli", "-p", str(cluster.port), "--pipe"],
        input=b"".join(array("SET", name, value) for name, value in records.items()),
        capture_output=True,
        timeout=600,
    )
    assert f"errors: 0, replies: {len(records)}" in loaded.stdout.decode(), loaded

    assert checksum(read_back(cluster.port, list(records))) == checksum(records)
    for name in cluster.nodes():
        port = cluster.port_of(name)
        wait_for(lambda: held_by(port, records) == len(records), f"{name} to hold every key")

    cluster.down()
    cluster.up()
    assert checksum(read_back(cluster.port, list(records))) == checksum(records)


def test_large_values(make_cluster):
    """Values of a few MiB, up to the largest, several at once, and after a restart."""
    cluster = make_cluster("--proxy", "request_timeout=10s")  # a slow disk takes longer than usual
    sizes = [1 << 20, 4 << 20, (16 << 20) - 1, 16 << 20]
    values = {b"large:%d" % size: hashlib.sha256(b"%d" % size).digest() * (size // 32) for size in sizes}
    for name, size in zip(values, sizes):
        values[name] += b"x" * (size - len(values[name]))
    with cluster.client() as client:
        client.send(b"".join(array("SET", name, value) for name, value in values.items()))
        assert [client.reply() for _ in sizes] == [b"+OK\r\n"] * len(sizes)
    cluster.down()
    cluster.up()
    with cluster.client() as client:
        for name, value in values.items():
            assert client.ask("GET", name) == bulk(value)
