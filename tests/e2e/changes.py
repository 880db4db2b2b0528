"""Changing the ring of a cluster, and what has to be true afterwards."""

import contextlib
import json
import subprocess

from harness import BIN, array, bulk, patiently, run, wait_for

CHANGE_SECONDS = 90
SLOW = ("--rate", "0.3")  # megabytes a second: a change that lasts for seconds

PRELOADED = 4000
BATCH = 500


def preload(cluster, count=PRELOADED, size=128, proxy=1):
    """Keys with values that tell which key they are of; every tenth is deleted again."""
    with cluster.client(proxy) as client:
        for first in range(0, count, BATCH):
            names = range(first, min(first + BATCH, count))
            sets = [array("SET", f"old:{n}", f"{n}:".ljust(size, "x")) for n in names]
            assert client.exchange(b"".join(sets), len(sets)) == [b"+OK\r\n"] * len(sets)
        dead = [array("DEL", f"old:{n}") for n in range(0, count, 10)]
        assert client.exchange(b"".join(dead), len(dead)) == [b":1\r\n"] * len(dead)


def check_preloaded(cluster, count=PRELOADED, size=128, proxy=1):
    """What was written is there, what was deleted is not."""
    with cluster.client(proxy) as client:
        for first in range(0, count, BATCH):
            names = range(first, min(first + BATCH, count))
            replies = client.exchange(b"".join(array("GET", f"old:{n}") for n in names), len(names))
            for n, reply in zip(names, replies):
                expected = b"$-1\r\n" if n % 10 == 0 else bulk(f"{n}:".ljust(size, "x").encode())
                assert reply == expected, f"old:{n}: {reply[:80]}"


def ring(cluster):
    return cluster.status()


def names(cluster):
    return {member["name"] for member in ring(cluster)["members"]}


def change(cluster, *words, timeout=CHANGE_SECONDS):
    """A change to its end; what it printed."""
    done = run(BIN / "ringctl", "--nodes", cluster.addresses(), *words, "--yes", timeout=timeout)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def check_healthy(cluster):
    """Nothing is wrong, and every replica has what its primary has. Both take a while: a preferred
    primary gets its partitions back some seconds after it has caught up, and one that does so just
    then is not compared."""
    for words in (("check",), ("verify",)):
        done = []
        with contextlib.suppress(AssertionError):
            wait_for(lambda: done.append(cluster.ringctl(*words)) or done[-1].returncode == 0, f"ringctl {words[0]}")
        assert done[-1].returncode == 0, done[-1].stdout + done[-1].stderr


def start_ringctl(nodes, *words):
    """A ringctl that is left to itself."""
    return subprocess.Popen(
        [str(BIN / "ringctl"), "--nodes", nodes, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_change(cluster, *words):
    return start_ringctl(cluster.addresses(), *words, "--yes")


def ended(process, seconds=CHANGE_SECONDS):
    output, _ = process.communicate(timeout=patiently(seconds))
    return process.returncode, output


def moved(cluster):
    """Partitions that have moved; None when nothing is being changed."""
    change = ring(cluster).get("change")
    return change and change["partitions_moved"]
