"""The time of day stands still, goes back and jumps: nothing that clients see depends on it, but for keys
that expire. (Clocks that are apart all the time: test_chaos.)"""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from clocks import FILE_SECONDS, Clocks
from harness import SANITIZE, bulk, wait_for
from history import Keys, check, read_all, write_history
from load import Load
from test_failover import behind

CLIENTS = 24
LATENCY_SECONDS_MAX = 2
STILL = "2026-01-01 00:00:00"

pytestmark = pytest.mark.skipif(bool(SANITIZE), reason="a sanitizer has to be loaded before libfaketime")


@pytest.fixture
def timed(make_cluster):
    """A cluster, and its clocks."""
    cluster = make_cluster("--proxies", "2", up=False)
    clocks = Clocks(cluster.folder / "clocks", ["n1", "n2", "n3", "proxy1", "proxy2"])
    cluster.bin = clocks.programs(cluster.folder / "bin")
    cluster.up()
    assert "libfaketime" in Path(f"/proc/{cluster.pid('n1')}/maps").read_text()
    return cluster, clocks


def pass_time():
    """Until the clocks' files have been read."""
    time.sleep(2 * FILE_SECONDS)


SETTINGS = {
    "all stand still": dict.fromkeys(["n1", "n2", "n3", "proxy1", "proxy2"], STILL),
    "one stands still": {"n1": STILL, "n2": "+0", "n3": "+0", "proxy1": STILL, "proxy2": "+0"},
    "all go back": dict.fromkeys(["n1", "n2", "n3", "proxy1", "proxy2"], "-2d"),
    "apart, and jump": {"n1": "+40d", "n2": "-3h", "n3": "+10y", "proxy1": "-1y", "proxy2": "+7s"},
}


def test_clients_do_not_notice(timed, tmp_path):
    """Under load, a node being killed each time: no command fails, none waits long, and what was
    seen is what one copy of the data could have said."""
    cluster, clocks = timed
    wait_for(lambda: behind(cluster) == 0, "all replicas to be up to date")
    keys = Keys(random.Random(1))
    with Load([cluster.port, cluster.port + 1], CLIENTS, keys.choose) as load:
        for turn, settings in enumerate(SETTINGS.values()):
            clocks.set(settings)
            pass_time()
            name = f"n{turn % 3 + 1}"
            os.kill(cluster.pid(name), signal.SIGKILL)
            pass_time()
            cluster.start(name)
            wait_for(lambda: behind(cluster) == 0, f"{name} to catch up")
        load.stop()
    with cluster.client() as client:
        operations = load.operations + read_all(client, keys, CLIENTS)
    write_history(tmp_path / "history", operations)
    print(check(tmp_path / "history"))
    load.check_all_answered(LATENCY_SECONDS_MAX)
    for name in ("n1", "n2", "n3"):
        assert cluster.pid(name)


def test_keys_that_expire(timed):
    """They live as long as the clocks stand still, and go when these have passed their time."""
    cluster, clocks = timed
    with cluster.client() as client:
        clocks.set_all(STILL)
        pass_time()
        assert client.ask("SET", "still", "there", "PX", "600") == b"+OK\r\n"
        assert client.ask("SET", "always", "there") == b"+OK\r\n"
        time.sleep(1)
        assert client.ask("GET", "still") == bulk(b"there")
        assert client.ask("PTTL", "still") == b":600\r\n"
        clocks.set_all("2025-12-31 23:00:00")
        wait_for(lambda: client.ask("PTTL", "still") == b":3600600\r\n", "an hour more to live")
        assert client.ask("GET", "still") == bulk(b"there")
        clocks.set_all("2026-01-01 00:00:01")
        wait_for(lambda: client.ask("GET", "still") == b"$-1\r\n", "it to be gone")
        assert client.ask("GET", "always") == bulk(b"there")
        pass_time()
        assert client.ask("SET", "still", "again", "EX", "10") == b"+OK\r\n"
        clocks.set_all("+0")
        wait_for(lambda: client.ask("GET", "still") == b"$-1\r\n", "it to be gone")
        assert client.ask("GET", "always") == bulk(b"there")
