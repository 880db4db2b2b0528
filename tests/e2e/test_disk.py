"""A disk that is full, and one whose sync fails, under real processes."""

import contextlib
import shutil
import subprocess

import pytest
from harness import SANITIZE, RawClient, bulk, run, wait_for

DISK = "24m"
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
        ballast.unlink()
        wait_for(lambda: client.ask("SET", "room", "again") == b"+OK\r\n", "writes to go on")
    cluster.kill("n1")
    cluster.start("n1")
    with cluster.client() as client:
        wait_for(lambda: client.ask("GET", "room") == bulk(b"again"), "the node to serve again")
        for number in range(count):
            assert client.ask("GET", f"full:{number}") == bulk(VALUE)


@contextlib.contextmanager
def failing_sync(pid):
    """Every fdatasync of a process fails from now on."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    tracer = subprocess.Popen(
        [
            *("strace", "-f", "-p", str(pid), "-o", "/dev/null", "-e", "trace=fdatasync"),
            *("-e", "inject=fdatasync:error=EIO"),
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
        with failing_sync(cluster.pid("n1")):
            assert client.ask("SET", "after", "1").startswith((b"-UNCERTAIN", b"-NOQUORUM"))
            wait_for(lambda: cluster.pid("n1") is None, "the node to end")
        said = cluster.log("n1")
        assert "fdatasync of " in said and "/shard-0/log-" in said and "Input/output error" in said
        cluster.start("n1")
        wait_for(lambda: client.ask("GET", "before") == bulk(b"1"), "the node to serve again")
