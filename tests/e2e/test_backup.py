"""What doc/operations.md says of backups: ringdump's files, and copies of all data folders together."""

import itertools
import random
import re
import shutil
import signal
import socketserver
import subprocess
import threading

import pytest
from harness import HOST, ROOT, PortBlock, RawClient, SANITIZE, array, bulk, elements, patiently, run, wait_for
from test_failover import behind

KEYS = 300 if SANITIZE else 3000


def ringdump(verb, path, port, *options, **more):
    return run(ROOT / "tools/ringdump", verb, path, "--port", port, *options, **more)


PASSING = (b"-NOQUORUM", b"-BUSY", b"-UNCERTAIN")  # on a machine that is busy with other things, too


def together(client, commands):
    """The replies, asked for a hundred at a time; what cannot be done just now is asked for again: it may be done twice."""
    replies = {}

    def ask():
        left = [index for index in range(len(commands)) if replies.get(index, b"-BUSY").startswith(PASSING)]
        for first in range(0, len(left), 100):
            batch = left[first : first + 100]
            client.send(b"".join(array(*commands[index]) for index in batch))
            replies.update((index, client.reply()) for index in batch)
        return not any(reply.startswith(PASSING) for reply in replies.values())

    wait_for(ask, "all commands to be done", 60)
    return [replies[index] for index in range(len(commands))]


def fill(client, seed=1):
    """Keys and values with all bytes, of all sizes, some with a time to live: {key: (value, expiry or -1)}."""
    rng, records = random.Random(seed), {}
    for number in range(KEYS):
        key = b"backup:%d:" % number + rng.randbytes(rng.randrange(0, 20))
        value = rng.randbytes(rng.choice((0, 1, 30, 200, 2000)))
        records[key] = (value, 4102444800000 + number if number % 3 == 0 else -1)
    records[b"backup:large"] = (rng.randbytes(9 << 20), -1)
    records[b"backup:larger"] = (rng.randbytes(10 << 20), -1)
    commands = [("SET", key, value, *(("PXAT", str(expiry)) if expiry >= 0 else ())) for key, (value, expiry) in records.items()]
    replies = set(together(client, commands))
    assert replies == {b"+OK\r\n"}, replies
    return records


def check(client, records):
    values = together(client, [("GET", key) for key in records])
    expiries = together(client, [("PEXPIRETIME", key) for key in records])
    for (key, (value, expiry)), found, when in zip(records.items(), values, expiries):
        assert (found, when) == (bulk(value), b":%d\r\n" % expiry), key
    assert client.ask("DBSIZE") == b":%d\r\n" % len(records)


def test_saved_and_loaded(cluster, tmp_path, redis_server):
    """Into the same cluster, through redis-cli --pipe, and into a Redis."""
    path = tmp_path / "dump"
    with cluster.client() as client:
        assert client.ask("FLUSHALL") == b"+OK\r\n"
        records = fill(client)
        done = ringdump("save", path, cluster.port)
        assert (done.returncode, done.stderr) == (0, f"{len(records)} keys saved\n")
        assert client.ask("FLUSHALL") == b"+OK\r\n"
        done = ringdump("load", path, cluster.port)
        assert (done.returncode, done.stderr) == (0, f"{len(records)} keys loaded\n")
        check(client, records)
        assert client.ask("FLUSHALL") == b"+OK\r\n"
        with open(path, "rb") as stream:
            done = run("redis-cli", "-p", cluster.port, "--pipe", stdin=stream)
        assert f"errors: 0, replies: {len(records) + 1}" in done.stdout, done.stdout + done.stderr
        check(client, records)
        client.ask("FLUSHALL")
    assert ringdump("load", path, redis_server.port).returncode == 0
    with RawClient(redis_server.port) as client:
        check(client, records)


def test_only_what_matches(cluster):
    with cluster.client() as client:
        client.ask("FLUSHALL")
        for name in ("a:1", "a:2", "b:1"):
            client.ask("SET", name, name)
    done = ringdump("save", "-", cluster.port, "--match", "a:*")
    assert sorted(word for word in done.stdout.split() if ":" in word and word[0] in "ab") == ["a:1", "a:1", "a:2", "a:2"]


def test_while_written_to_and_a_node_dies(make_cluster, tmp_path):
    """Keys that stay are all in the file; one that changes has a value with the time that belongs to it."""
    cluster, stopping = make_cluster(), threading.Event()
    with cluster.client() as client:
        records = fill(client)

    def write():
        with cluster.client() as client:
            number = 0
            while not stopping.is_set():
                number += 1
                expiry = 4102444800000 + number
                words = ("SET", "changing", b"%d" % expiry, "PXAT", str(expiry)) if number % 2 else ("SET", "changing", "-1")
                assert client.ask(*words) == b"+OK\r\n"

    writer = threading.Thread(target=write)
    writer.start()
    try:
        process = subprocess.Popen([str(ROOT / "tools/ringdump"), "save", str(tmp_path / "dump"), "--port",
                                    str(cluster.port)], stderr=subprocess.PIPE, text=True)  # fmt: skip
        cluster.kill("n2")
        _, errors = process.communicate(timeout=patiently(120))
    finally:
        stopping.set()
        writer.join()
    assert process.returncode == 0, errors
    with cluster.client() as client:
        client.ask("FLUSHALL")
        assert ringdump("load", tmp_path / "dump", cluster.port).returncode == 0
        changing = elements(client.ask("GET", "changing"))
        assert client.ask("PEXPIRETIME", "changing") == b":%s\r\n" % changing
        client.ask("DEL", "changing")
        check(client, records)


class Changing(socketserver.StreamRequestHandler):
    """A server of one key, which has another value and time whenever it is looked at; both are the same number."""

    looks = itertools.count(4102444800000)

    def handle(self):
        queued = None
        while words := self.command():
            name, number = words[0], next(self.looks)
            if name == b"MULTI":
                queued, reply = [], b"+OK\r\n"
            elif name == b"EXEC":
                reply = b"*%d\r\n" % len(queued) + b"".join(self.reply(each, number) for each in queued)
                queued = None
            elif queued is not None:
                queued.append(name)
                reply = b"+QUEUED\r\n"
            else:
                reply = self.reply(name, number)
            self.wfile.write(reply)

    def command(self):
        line = self.rfile.readline()
        return [self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2] for _ in range(int(line[1:] or 0))]

    @staticmethod
    def reply(name, number):
        return {b"SCAN": b"*2\r\n$1\r\n0\r\n*1\r\n$3\r\nkey\r\n", b"STRLEN": b":13\r\n", b"GET": b"$13\r\n%d\r\n" % number,
                b"PEXPIRETIME": b":%d\r\n" % number, b"ECHO": b"+\r\n"}[name]  # fmt: skip


def test_a_key_that_never_rests():
    with socketserver.ThreadingTCPServer((HOST, 0), Changing) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = ringdump("save", "-", server.server_address[1])
        server.shutdown()
    assert (done.returncode, done.stderr) == (0, "1 keys saved\n")
    words = done.stdout.split()
    assert words[words.index("key") + 2] == words[words.index("PXAT") + 2]


def test_nobody_there(tmp_path):
    """It is said for whom it waits, before it gives up; interrupted, it says what became of the file."""
    ports = PortBlock()
    path = tmp_path / "dump"
    process = subprocess.Popen([str(ROOT / "tools/ringdump"), "save", str(path), "--port", str(ports.base)],
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert "Connection refused; trying on for" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=patiently(30))
    ports.release()
    assert (process.returncode, errors) == (1, "ringdump: interrupted; nothing was saved\n")
    assert not list(tmp_path.iterdir())


def test_who_closes_at_once(tmp_path):
    """As a node does, whose port was taken for a proxy's."""
    with socketserver.ThreadingTCPServer((HOST, 0), socketserver.BaseRequestHandler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [str(ROOT / "tools/ringdump"), "save", str(tmp_path / "dump"), "--port", str(server.server_address[1])]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert re.search(r": (the connection was closed|.*reset by peer); trying on for", process.stderr.readline())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=patiently(30))
        server.shutdown()


class Banner(socketserver.StreamRequestHandler):
    """As an SSH server begins."""

    def handle(self):
        self.wfile.write(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
        self.rfile.read(1)


def test_something_else_there(tmp_path):
    with socketserver.ThreadingTCPServer((HOST, 0), Banner) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        done = ringdump("save", tmp_path / "dump", port)
        server.shutdown()
    assert (done.returncode, done.stderr) == (
        1, f"ringdump: {HOST}:{port}: no proxy answers there: not RESP: b'SSH-2.0-OpenSSH_9.2p1 Debian-2'\n"
    )  # fmt: skip
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kept", [0, 1, 30, 2000, -1])
def test_a_file_that_was_cut(cluster, tmp_path, kept):
    path = tmp_path / "dump"
    with cluster.client() as client:
        client.ask("FLUSHALL")
        for number in range(50):
            client.ask("SET", f"cut:{number}", "x" * 100)
    assert ringdump("save", path, cluster.port).returncode == 0
    path.write_bytes(path.read_bytes()[:kept])
    done = ringdump("load", path, cluster.port)
    assert done.returncode == 1
    assert done.stderr.startswith("ringdump: the file is damaged or was cut short after ")


def test_refused(cluster, tmp_path):
    path = tmp_path / "dump"
    path.write_bytes(array("FLUSHALL"))
    for done in (ringdump("load", path, cluster.port), ringdump("load", tmp_path / "none", cluster.port),
                 ringdump("save", tmp_path / "none/dump", cluster.port), ringdump("drop", path, cluster.port)):  # fmt: skip
        assert done.returncode in (1, 2)
        assert "ringdump: " in done.stderr and "Traceback" not in done.stderr
    # A dump that fails leaves what was there.
    path.write_bytes(b"the one before")
    with cluster.client() as client:
        client.ask("CONFIG", "SET", "maxclients", "1")
        wait_for(lambda: ringdump("save", path, cluster.port).returncode == 1, "a dump to be refused")
        client.ask("CONFIG", "SET", "maxclients", "20000")
    assert path.read_bytes() == b"the one before"
    assert [each.name for each in tmp_path.iterdir()] == ["dump"]


def test_all_folders_together(make_cluster, tmp_path):
    """Stopped, copied, written to, stopped, put back, started: as it was when it was copied."""
    cluster = make_cluster()
    with cluster.client() as client:
        records = fill(client)
    cluster.down()
    folders = {name: cluster.folder / "cluster" / name / "data" for name in cluster.nodes()}
    for name, folder in folders.items():
        shutil.copytree(folder, tmp_path / name)
    cluster.up()
    with cluster.client() as client:
        assert client.ask("FLUSHALL") == b"+OK\r\n"
        for number in range(100):
            client.ask("SET", f"later:{number}", "x")
    cluster.down()
    for name, folder in folders.items():
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / name, folder)
    cluster.up()
    with cluster.client() as client:
        check(client, records)
        assert client.ask("SET", "after", "1") == b"+OK\r\n"
    wait_for(lambda: behind(cluster) == 0, "all replicas to be up to date")
    done = cluster.ringctl("verify")
    assert done.returncode == 0, done.stdout
