"""SCAN, KEYS, DBSIZE and FLUSHALL while the ring gains and loses nodes: what is there throughout is
found, whatever moves meanwhile."""

import threading
import time

from changes import CHANGE_SECONDS, check_healthy, ended, moved, names, start_change, start_ringctl
from harness import RawClient, array, elements, wait_for
from scanning import Scanner, Scanners

BATCH = 500
SLOW = ("--rate", "0.15")  # so that several scans begin and end while partitions move
SPREAD = [b"stays:%d" % n for n in range(6000)]
TAGGED = [b"{tag}:%d" % n for n in range(2500)]  # all at one position: given by buckets
FEW = [b"{few}:%d" % n for n in range(300)]
LASTING = [b"lasting:%d" % n for n in range(500)]  # with a time to live that does not end here
KEYS = set(SPREAD + TAGGED + FEW + LASTING)


def load(cluster):
    def write(commands):
        for first in range(0, len(commands), BATCH):
            some = commands[first : first + BATCH]
            assert client.exchange(b"".join(some), len(some)) == [b"+OK\r\n"] * len(some)

    with cluster.client() as client:
        write([array("SET", key, key.ljust(150, b"x")) for key in KEYS - set(LASTING)])
        write([array("SET", key, key, "EX", 3600) for key in LASTING])


class ComeAndGo(threading.Thread):
    """Keys that are not there throughout: a scan may give them or not."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port = port
        self.stopping = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()

    def run(self):
        with RawClient(self.port) as client:
            number = 0
            while not self.stopping.is_set():
                client.ask("SET", f"comes:{number % 700}", "x")
                client.ask("SET", f"{{tag}}:comes:{number % 300}", "x", "PX", 50 + number % 100)
                client.ask("DEL", f"comes:{(number + 350) % 700}")
                number += 1


def scanners_of(cluster, proxies=2):
    """Of all kinds, over both proxies; the last is slow, so that a scan of it lasts through a change."""
    ports = [cluster.port + number for number in range(proxies)]
    return Scanners(
        Scanner(ports, (), KEYS, 0.001),
        Scanner(ports, ("COUNT", 1), KEYS),
        Scanner(ports, ("COUNT", 100), KEYS, 0.002),
        Scanner(ports, ("COUNT", 5000), KEYS, 0.02),
        Scanner(ports, ("COUNT", 200, "MATCH", "{tag}:*"), set(TAGGED), 0.002),
        Scanner(ports, ("COUNT", 50, "MATCH", "lasting:*", "TYPE", "string"), set(LASTING), 0.002),
        Scanner(ports, ("COUNT", 100), KEYS, 0.02),
    )


def test_nodes_join_and_leave(make_cluster):
    """A node is added, another removed, a third replaced; a proxy is killed and started on the way."""
    cluster = make_cluster("--proxies", 2)
    load(cluster)
    spare = {name: cluster.spawn(name) for name in ("n4", "n5")}
    moments = []

    def slowly(*words):
        process = start_change(cluster, *words, *SLOW)
        wait_for(lambda: moved(cluster), "some partitions to have moved", CHANGE_SECONDS)
        moments.append(time.monotonic())
        return process

    with scanners_of(cluster) as scanners, ComeAndGo(cluster.port):
        process = slowly("add", f"n4={spare['n4']}")
        assert ended(process)[0] == 0
        process = slowly("remove", "n1")
        cluster.kill("proxy2")
        time.sleep(0.5)
        cluster.start("proxy2")
        assert ended(process)[0] == 0
        cluster.kill("n1")
        process = slowly("replace", "n2", f"n5={spare['n5']}")
        assert ended(process)[0] == 0
        cluster.kill("n2")
        scanners.go_on()
    scanners.check()
    assert names(cluster) == {"n3", "n4", "n5"}
    for scanner in scanners.scanners:
        assert sum(map(scanner.across, moments)) > 0, f"no scan {scanner.options} saw the ring change"
    check_healthy(cluster)


def test_change_and_back(make_cluster):
    """A change that is paused, gone on with, and taken back half-way, while a node of it dies and returns."""
    cluster = make_cluster("--proxies", 2)
    load(cluster)
    with scanners_of(cluster) as scanners, ComeAndGo(cluster.port):
        process = start_change(cluster, "add", f"n4={cluster.spawn('n4')}", *SLOW)
        wait_for(lambda: moved(cluster), "some partitions to have moved", CHANGE_SECONDS)
        assert cluster.ringctl("pause").returncode == 0
        ended(process)
        scanners.go_on()
        cluster.kill("n2")
        scanners.go_on()
        cluster.start("n2")
        process = start_ringctl(cluster.addresses(), "resume", "--rate", "0.5")
        wait_for(lambda: moved(cluster) and moved(cluster) > 60, "more to have moved", CHANGE_SECONDS)
        done = cluster.ringctl("cancel", "--rate", "none")
        assert done.returncode == 0, done.stdout + done.stderr
        ended(process)
        scanners.go_on()
    scanners.check()
    assert names(cluster) == {"n1", "n2", "n3"}
    check_healthy(cluster)


def test_counts_are_exact(make_cluster):
    """With no key that comes or goes, DBSIZE and KEYS are exact all the time, and FLUSHALL leaves none."""
    cluster = make_cluster("--proxies", 2)
    load(cluster)
    with cluster.client(1) as one, cluster.client(2) as two:
        for words in (("add", f"n4={cluster.spawn('n4')}"), ("remove", "n2")):
            process = start_change(cluster, *words, *SLOW)
            while process.poll() is None:
                assert one.ask("DBSIZE") == b":%d\r\n" % len(KEYS)
                found = elements(two.ask("KEYS", "*"))
                assert len(found) == len(KEYS) and set(found) == KEYS
                assert elements(two.ask("RANDOMKEY")) in KEYS
            assert ended(process)[0] == 0
        process = start_change(cluster, "add", f"n5={cluster.spawn('n5')}", *SLOW)
        wait_for(lambda: moved(cluster), "some partitions to have moved", CHANGE_SECONDS)
        assert one.ask("FLUSHALL") == b"+OK\r\n"
        assert two.ask("DBSIZE") == b":0\r\n"
        assert ended(process)[0] == 0
        assert two.ask("DBSIZE") == b":0\r\n"
        assert elements(one.ask("KEYS", "*")) == []
    check_healthy(cluster)
