"""A disk that is full, and one whose sync fails, under real processes."""

import contextlib
import os
import re
import resource
import shutil
import socket
import subprocess
import time

import pytest
from frames import PING, held_by, tagged
from harness import HOST, ROOT, SANITIZE, RawClient, bulk, ringlocal, run, wait_for
from test_failover import is_even
from test_verify import written_down

DISK = "24m"
NO_ROOM = "n1 gets no room from its disk"
VALUE = b"v" * 4000
SMALL = [
    *("--node", "shards=1", "--node", "storage.memory_table=2m", "--node", "storage.log_segment=1m"),
    *("--node", "storage.map_size=64m"),
]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with little room."""
    if run("mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", tmp_path).returncode != 0:
        pytest.skip("a file system can be mounted by root only")
    yield tmp_path
    run("umount", "--lazy", tmp_path)


def fill(client):
    """Sets keys until one is refused: how many were acknowledged, and the refusal."""
    for number in range(100000):
        reply = client.ask("SET", f"full:{number}", VALUE)
        if reply != b"+OK\r\n":
            return number, reply
    raise AssertionError("the disk does not fill")


def test_full_disk(make_cluster, small_disk):
    """Writes are refused with -NOSPACE, reads are served, and with room again writes go on by
    themselves. All that was acknowledged is there, before and after a kill."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(4 << 20))
    cluster = make_cluster("--nodes", "1", "--replicas", "1", "--node", f"data={small_disk}/data", *SMALL)
    with cluster.client() as client:
        count, refusal = fill(client)
        assert refusal.startswith(b"-NOSPACE"), refusal
        assert count > 100
        for number in range(count):
            assert client.ask("GET", f"full:{number}") == bulk(VALUE)
        assert client.ask("GET", f"full:{count}") == b"$-1\r\n"
        wait_for(lambda: NO_ROOM in cluster.ringctl("check").stdout, "check to tell of it")
        ballast.unlink()
        wait_for(lambda: client.ask("SET", "room", "again") == b"+OK\r\n", "writes to go on")
        wait_for(lambda: NO_ROOM not in cluster.ringctl("check").stdout, "check to tell of it no more")
    cluster.kill("n1")
    cluster.start("n1")
    with cluster.client() as client:
        wait_for(lambda: client.ask("GET", "room") == bulk(b"again"), "the node to serve again")
        for number in range(count):
            assert client.ask("GET", f"full:{number}") == bulk(VALUE)


def test_file_size_is_limited(make_cluster):
    """As with a quota, there is room on the disk and none for the node: its log says why, and when that has passed."""
    cluster = make_cluster("--nodes", "1", "--replicas", "1", "--node", "storage.log_segment=1m")
    pid, large = cluster.pid("n1"), b"v" * 1400000  # for a segment of its own
    with cluster.client() as client:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (5 << 18, resource.RLIM_INFINITY))
        assert client.ask("SET", "large", large).startswith(b"-NOSPACE")
        said = re.findall(r"store: no room on the disk for the log folder=\S+: File too large", cluster.log("n1"))
        assert len(said) == 1, cluster.log("n1")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_for(lambda: client.ask("SET", "large", large) == b"+OK\r\n", "writes to go on")
    assert "store: there is room on the disk again folder=" in cluster.log("n1")


@contextlib.contextmanager
def spoilt_sync(pid, how):
    """What strace injects into every fdatasync of a process from now on."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    tracer = subprocess.Popen(
        [
            *("strace", "-f", "-p", str(pid), "-o", "/dev/null", "-e", "trace=fdatasync"),
            *("-e", f"inject=fdatasync:{how}"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        told = tracer.stderr.readline()
        if "attached" not in told:
            pytest.skip(f"strace cannot trace here: {told.strip()}")
        yield
    finally:
        tracer.terminate()
        tracer.communicate()


@pytest.mark.skipif(bool(SANITIZE), reason="sanitizers do not run under strace")
def test_failing_sync(make_cluster):
    """Nothing is acknowledged after it, and the node ends, naming the file and the error."""
    cluster = make_cluster("--nodes", "1", "--replicas", "1", "--node", "shards=1")
    with RawClient(cluster.port) as client:
        assert client.ask("SET", "before", "1") == b"+OK\r\n"
        with spoilt_sync(cluster.pid("n1"), "error=EIO"):
            assert client.ask("SET", "after", "1").startswith((b"-UNCERTAIN", b"-NOQUORUM"))
            wait_for(lambda: cluster.pid("n1") is None, "the node to end")
        said = cluster.log("n1")
        assert "fdatasync of " in said and "/shard-0/log-" in said and "Input/output error" in said
        cluster.start("n1")
        wait_for(lambda: client.ask("GET", "before") == bulk(b"1"), "the node to serve again")


SLOW_SECONDS = 0.4  # that each sync of a slow disk takes
SLOW_SETS = 40


def led_by_others(cluster, name, count):
    """Keys whose primary is another node."""
    keys = (f"slow:{number}" for number in range(10 * count))
    return [key for key in keys if cluster.locate(key)[0] != name][:count]


@pytest.mark.skipif(bool(SANITIZE), reason="sanitizers do not run under strace")
def test_slow_disk(make_cluster):
    """The disk of one node of three is slow: who writes where it is a backup does not notice, and it has
    everything in the end. (A read that happens to ask it waits: what it tells is on its disk.)"""
    cluster = make_cluster()
    wait_for(lambda: is_even(cluster), "each node to lead its share")
    keys = led_by_others(cluster, "n3", SLOW_SETS)
    with RawClient(cluster.port) as client:
        for key in keys:
            assert client.ask("SET", key, "before") == b"+OK\r\n"
        with spoilt_sync(cluster.pid("n3"), f"delay_enter={int(SLOW_SECONDS * 1e6)}"):
            begun = time.monotonic()
            for key in keys:
                assert client.ask("SET", key, "after") == b"+OK\r\n"
            took = time.monotonic() - begun
        assert took < SLOW_SETS * SLOW_SECONDS / 2
    names = [key.encode() for key in keys]
    wait_for(lambda: held_by(cluster.port_of("n3"), names) == len(names), "n3 to hold every key")


DESCRIPTORS = 128


def start_with(cluster, name, limit):
    """Starts a node under a limit, as prlimit(1) has it."""
    place = ("--dir", cluster.folder / "cluster", "--port", cluster.port, "--bin", cluster.bin)
    done = run("prlimit", limit, ROOT / "tools/ringlocal", "start", name, *place)
    assert done.returncode == 0, done.stderr


def test_connections_leave_descriptors_to_the_log(make_cluster):
    """Whoever connects to a node as often as it may cannot end it: it still can make the next segment of
    its log."""
    cluster = make_cluster("--nodes", "1", "--replicas", "1", *SMALL)
    cluster.kill("n1")
    start_with(cluster, "n1", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}")
    crowd = [socket.create_connection((HOST, cluster.port_of("n1"))) for _ in range(2 * DESCRIPTORS)]
    with cluster.client() as client:
        wait_for(lambda: client.ask("SET", "crowd", "x") == b"+OK\r\n", "the node to serve again")
        for number in range(2000):
            assert client.ask("SET", f"crowd:{number}", VALUE) == b"+OK\r\n"
    for one in crowd:
        one.close()


def test_limit_of_a_files_size(make_cluster):
    """A file that may not grow any more is as a full disk, and no signal that ends the node."""
    cluster = make_cluster("--nodes", "1", "--replicas", "1", *SMALL)
    with cluster.client() as client:
        assert client.ask("SET", "limit", "1") == b"+OK\r\n"
        cluster.kill("n1")
        start_with(cluster, "n1", f"--fsize={512 << 10}:unlimited")
        assert client.ask("SET", "limit", "2") != b"+OK\r\n"
        no_limit = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(cluster.pid("n1"), resource.RLIMIT_FSIZE, no_limit)
        wait_for(lambda: client.ask("SET", "limit", "3") == b"+OK\r\n", "writes to go on")


def test_page_that_cannot_be_read(make_cluster):
    """A file that is cut short under the node stands for a disk that cannot give a page: the node ends, and
    names the file."""
    cluster = make_cluster("--nodes", "1", "--replicas", "1", "--node", "storage.checkpoint=100ms", *SMALL)
    tree = cluster.folder / "cluster" / "n1" / "data" / "shard-0" / "tree"
    with cluster.client() as client:
        for number in range(1000):
            assert client.ask("SET", f"page:{number}", VALUE) == b"+OK\r\n"
        # A checkpoint that still writes would make it long again, with pages that are damaged instead of missing.
        wait_for(lambda: tree.stat().st_size > 1 << 20 and written_down(cluster), "the tree to be written")
        os.truncate(tree, 8192)
        for number in range(1000):
            if client.ask("GET", f"page:{number}") != bulk(VALUE):
                break
    wait_for(lambda: cluster.pid("n1") is None, "the node to end")
    assert f"the disk cannot give what is read file={tree}" in cluster.log("n1")


def test_wiped_disk(make_cluster):
    """A node that has lost its data is a stranger: it is refused with what is to be done, and the others
    serve. With its data back it is let in again."""
    cluster = make_cluster()
    data = cluster.folder / "cluster" / "n3" / "data"
    with cluster.client() as client:
        assert client.ask("SET", "wiped", "before") == b"+OK\r\n"
    cluster.kill("n3")
    data.rename(data.with_name("kept"))
    cluster.start("n3")
    refused = "another node answers at this address: its data folder was lost or exchanged"
    wait_for(lambda: refused in cluster.log("n1") + cluster.log("n2"), "the others to say why")
    with cluster.client() as client:
        assert client.ask("GET", "wiped") == bulk(b"before")
        assert client.ask("SET", "wiped", "meanwhile") == b"+OK\r\n"
    cluster.kill("n3")
    shutil.rmtree(data)
    data.with_name("kept").rename(data)
    cluster.start("n3")
    wait_for(lambda: held_by(cluster.port_of("n3"), [b"wiped"]) == 1, "n3 to be let in again")


def test_old_copy(make_cluster):
    """An old copy of a data folder is put in its place: those who were told more before refuse it, the
    node stops and does not start with it again, nothing is lost, and it can be replaced."""
    cluster = make_cluster()
    data = cluster.folder / "cluster" / "n3" / "data"
    old = data.with_name("old")
    with cluster.client() as client:
        for number in range(100):
            assert client.ask("SET", f"copy:{number}", "before") == b"+OK\r\n"
        cluster.kill("n3")
        shutil.copytree(data, old)
        cluster.start("n3")
        for number in range(100):
            assert client.ask("SET", f"copy:{number}", "after") == b"+OK\r\n"
        names = [b"copy:%d" % number for number in range(100)]
        wait_for(lambda: held_by(cluster.port_of("n3"), names) == 100, "n3 to have everything")
        for name in ("n1", "n2"):
            wait_for_signs_of_life(cluster, name)
        cluster.kill("n3")
        shutil.rmtree(data)
        old.rename(data)
        launch(cluster, "n3")
        wait_for(lambda: cluster.pid("n3") is None, "the node to stop")
        assert "comes with an old copy of its data folder: the log of shard" in cluster.log("n1") + cluster.log("n2")
        assert "another member says of this data folder: the log of shard" in cluster.log("n3")
        launch(cluster, "n3")
        wait_for(lambda: f"data folder {data} is an old copy" in cluster.log("n3"), "it to say why it does not start")
        for number in range(100):
            assert client.ask("GET", f"copy:{number}") == bulk(b"after")
    shutil.rmtree(data)
    cluster.start("n3")
    others = addresses_but(cluster, "n3")
    done = cluster.ringctl("replace", "n3", f"n4={HOST}:{cluster.port_of('n3')}", "--yes", nodes=others)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: cluster.ringctl("check", nodes=others).returncode == 0, "everything to be well again")


def wait_for_signs_of_life(cluster, name):
    """Until the node has heard a few more from each other one: with them it is told how far their logs are."""

    def node():
        return next(member for member in cluster.status()["members"] if member["name"] == name)

    before = node()["links_bytes_in"]  # maybe from before the last write
    wait_for(lambda: node()["links_bytes_in"] != before, f"{name} to report again")
    now = node()
    enough = now["links_bytes_in"] + 5 * now["links_up"] * len(tagged(PING))
    wait_for(lambda: node()["links_bytes_in"] >= enough, f"signs of life at {name}")


def launch(cluster, name):
    """Starts a node that will not stay."""
    local = ringlocal.Cluster.load(cluster.folder / "cluster")
    local.launch(name)
    local.save()


def addresses_but(cluster, name):
    return ",".join(f"{HOST}:{cluster.port_of(node)}" for node in cluster.nodes() if node != name)


def test_restarts_are_no_old_copies(make_cluster):
    """Whatever is killed and started again, with its own folder, is let in."""
    cluster = make_cluster("--nodes", "3")
    with cluster.client() as client:
        for turn in range(3):
            for name in cluster.nodes():
                assert client.ask("SET", f"restart:{turn}", name) == b"+OK\r\n"
                cluster.kill(name)
                assert client.ask("SET", f"restart:{turn}", "away") == b"+OK\r\n"
                cluster.start(name)
    assert not any("old copy" in text for text in cluster.logs().values())
    cluster.check_healthy()
