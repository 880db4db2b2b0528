"""The programs as an operator meets them: options, exit codes, signals, logs, ringctl."""

import configparser
import fnmatch
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest
import redis
from harness import BIN, HOST, ROOT, SANITIZE, PortBlock, Program, RawClient, array, bulk, run, wait_for

RESET_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER of a client that breaks off

PROGRAMS = ["ringnode", "ringproxy", "ringctl"]
DAEMONS = ["ringnode", "ringproxy"]


@pytest.fixture
def ports():
    block = PortBlock()
    yield block
    block.release()


def configuration(folder, name, ports, **changed):
    """Writes a right configuration file with the given settings on top; returns its path."""
    if name == "ringnode":
        text = f"[node]\nlisten = {HOST}:{ports.other()}\ndata = {folder}/data\n"
    else:
        text = f"[proxy]\nlisten = {HOST}:{ports.other()}\n[cluster]\nnodes = {HOST}:{ports.other(1)}\n"
    text += "".join(changed.values())
    path = folder / f"{name}.conf"
    path.write_text(text)
    return path


# Options


@pytest.mark.parametrize("name", PROGRAMS)
def test_version(name):
    done = run(BIN / name, "-V")
    assert done.returncode == 0
    assert re.fullmatch(rf"{name}\b.* \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("name", PROGRAMS)
def test_help(name):
    done = run(BIN / name, "-h")
    assert done.returncode == 0
    assert name in done.stdout and done.stderr == ""


@pytest.mark.parametrize("name", DAEMONS)
@pytest.mark.parametrize("wrong", [[], ["--nonsense"], ["-c"], ["-c", "x", "left over"], ["--set"]])
def test_wrong_usage(name, wrong):
    done = run(BIN / name, *wrong)
    assert done.returncode == 2
    assert done.stdout == "" and done.stderr != ""


@pytest.mark.parametrize("name", DAEMONS)
def test_check_only(name, tmp_path, ports):
    """-n checks the file and exits; it makes nothing."""
    path = configuration(tmp_path, name, ports)
    done = run(BIN / name, "-n", "-c", path)
    assert done.returncode == 0, done.stderr
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", DAEMONS)
def test_check_finds_a_secret_that_a_start_would_stop_at(name, tmp_path, ports):
    secret = tmp_path / "secret"
    path = configuration(tmp_path, name, ports, security=f"[security]\nsecret_file = {secret}\n")
    done = run(BIN / name, "-n", "-c", path)
    assert done.returncode == 1 and f"{secret}: the secret cannot be read: not found" in done.stderr
    secret.write_text("sixteen bytes, or more")
    secret.chmod(0o644)
    done = run(BIN / name, "-n", "-c", path)
    assert done.returncode == 1 and "chmod o-rwx" in done.stderr
    secret.chmod(0o640)
    assert run(BIN / name, "-n", "-c", path).returncode == 0


@pytest.mark.parametrize("name", DAEMONS)
def test_set_overrides_the_file(name, tmp_path, ports):
    section = name.removeprefix("ring")
    path = configuration(tmp_path, name, ports)
    assert run(BIN / name, "-n", "-c", path, "--set", "log.level=debug").returncode == 0
    for wrong in (f"{section}.listen=nonsense", "log.level=loud", "log.nonsense=1", "nonsense.x=1", "x"):
        done = run(BIN / name, "-n", "-c", path, "--set", wrong)
        assert done.returncode in (1, 2)
        assert wrong.partition("=")[0].partition(".")[2] in done.stderr


# Configuration files


def broken_files(section):
    """What may be wrong with a file: {what: (text, line of the complaint or None)}."""
    right = f"[{section}]\nlisten = {HOST}:7001\n"
    return {
        "unknown section": (right + "[nonsense]\nx = 1\n", 3),
        "unknown key": (right + "nonsense = 1\n", 3),
        "misspelt key": (f"[{section}]\nlisen = {HOST}:7001\n", 2),
        "key twice": (right + f"listen = {HOST}:7002\n", 3),
        "no section": (f"listen = {HOST}:7001\n", 1),
        "port 0": (f"[{section}]\nlisten = {HOST}:0\n", 2),
        "port 65536": (f"[{section}]\nlisten = {HOST}:65536\n", 2),
        "no port": (f"[{section}]\nlisten = {HOST}\n", 2),
        "no value": (right + "[log]\nlevel =\n", 4),
        "bad level": (right + "[log]\nlevel = loud\n", 4),
        "not INI": (right + "what is this\n", 3),
        "NUL": (right + "[log]\nlevel = in\0fo\n", 4),
        "rubbish": ("\x7fELF\2\1\1\0\n", 1),
        "empty": ("", None),
        "unclosed section": (f"[{section}\nlisten = {HOST}:7001\n", 1),
        "cut short": (right + "[log]\nlevel = inf", 4),
        "long line": (right + "[log]\nfile = /tmp/" + "x" * 100000 + "\n", 4),
    }


@pytest.mark.parametrize("what", broken_files("node"))
@pytest.mark.parametrize("name", DAEMONS)
def test_broken_file(name, what, tmp_path):
    """Refused with file and line."""
    text, line = broken_files(name.removeprefix("ring"))[what]
    path = tmp_path / "broken.conf"
    path.write_text(text)
    for options in (["-n"], []):
        done = run(BIN / name, *options, "-c", path)
        assert done.returncode == 1, done.stderr
        assert f"{path}:{line}:" in done.stderr if line else str(path) in done.stderr, done.stderr


@pytest.mark.parametrize("name", DAEMONS)
def test_file_that_cannot_be_read(name, tmp_path):
    for path in (tmp_path / "none.conf", tmp_path):
        done = run(BIN / name, "-c", path)
        assert done.returncode == 1
        assert str(path) in done.stderr


@pytest.mark.parametrize("name", DAEMONS)
def test_file_with_byte_order_mark(name, tmp_path, ports):
    path = configuration(tmp_path, name, ports)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert run(BIN / name, "-n", "-c", path).returncode == 0


@pytest.mark.parametrize("name", DAEMONS)
def test_file_cut_at_every_byte(name, tmp_path, ports):
    """Never a crash, and a file that lost something it needs is never taken."""
    whole = configuration(tmp_path, name, ports).read_bytes()
    path = tmp_path / "cut.conf"
    needed = len(whole) - 1  # without the last newline it may have been cut in the value
    for size in range(0, needed + 1, 3):
        path.write_bytes(whole[:size])
        assert run(BIN / name, "-n", "-c", path).returncode == 1, whole[:size]


@pytest.mark.parametrize("sample", ["ringnode.conf", "ringproxy.conf"])
def test_examples(sample):
    """The commented examples are right as they stand."""
    done = run(BIN / sample.removesuffix(".conf"), "-n", "-c", ROOT / "etc" / sample)
    assert done.returncode == 0, done.stderr


# What a daemon cannot have


@pytest.mark.parametrize("name", DAEMONS)
def test_port_in_use(name, cluster, tmp_path, ports):
    path = configuration(tmp_path, name, ports)
    section, taken = name.removeprefix("ring"), cluster.port_of("n1")
    with Program(name, "-c", path, "--set", f"{section}.listen={HOST}:{taken}") as program:
        status, output = program.wait()
    assert status == 1
    assert f"{HOST}:{taken}" in output


def test_unwritable_data_directory(tmp_path, ports):
    """As root every folder can be written to, so: below a file, and below /proc."""
    (tmp_path / "file").write_text("")
    path = configuration(tmp_path, "ringnode", ports)
    for data in (tmp_path / "file" / "data", "/proc/ringkv", tmp_path / "no" / "such" / "parent"):
        with Program("ringnode", "-c", path, "--set", f"node.data={data}") as program:
            status, output = program.wait()
        assert status == 1
        assert str(data) in output


def test_data_directory_in_use(cluster, tmp_path, ports):
    """Two nodes on the same data would destroy them."""
    path = configuration(tmp_path, "ringnode", ports)
    data = cluster.folder / "cluster" / "n1" / "data"
    with Program("ringnode", "-c", path, "--set", f"node.data={data}") as program:
        status, output = program.wait()
    assert status == 1
    assert str(data) in output


def test_other_shard_count(make_cluster):
    """The number of shards is fixed when the data directory is made."""
    cluster = make_cluster("--node", "shards=2")
    with cluster.client() as client:
        assert client.ask("SET", "shards:a", "x") == b"+OK\r\n"
    cluster.kill("n1", "TERM")
    wait_for(lambda: cluster.pid("n1") is None, "n1 to end")
    path = cluster.folder / "cluster" / "n1" / "ringnode.conf"
    with Program("ringnode", "-c", path, "--set", "node.shards=3", "--set", "log.file=") as program:
        status, output = program.wait()
    assert status == 1
    assert "2" in output and "3" in output and "shard" in output
    cluster.start("n1")
    with cluster.client() as client:
        wait_for(lambda: client.ask("GET", "shards:a") == bulk(b"x"), "the value to be served")


# Signals


def test_term_answers_what_is_in_flight(make_cluster):
    """Every command that the proxy took is answered, then it closes and exits with 0."""
    cluster = make_cluster()
    path = cluster.folder / "cluster" / "proxy1" / "ringproxy.conf"
    cluster.kill("proxy1")
    with Program("ringproxy", "-c", path) as program:
        client = wait_for(lambda: connect(cluster.port), "the proxy to listen")
        wait_for(lambda: client.ask("SET", "term:a", "1") == b"+OK\r\n", "the proxy to serve")
        commands = [array("SET", f"term:{number}", "x" * 100) for number in range(2000)]
        client.send(b"".join(commands))
        assert client.reply() == b"+OK\r\n"
        program.process.send_signal(signal.SIGTERM)
        rest = client.rest()
        status, output = program.wait()
        client.close()
    assert status == 0, output
    # What it had not read when the signal came is not answered, and no reply is cut.
    assert rest == b"+OK\r\n" * (len(rest) // 5)
    answered = 1 + len(rest) // 5
    cluster.start("proxy1")
    with redis.Redis(port=cluster.port) as after:
        assert after.exists(*(f"term:{number}" for number in range(answered))) == answered


def test_term_while_a_client_sends(make_cluster):
    """A reply on its way arrives whole, whatever the client sends meanwhile."""
    size = 8 << 20
    cluster = make_cluster()
    path = cluster.folder / "cluster" / "proxy1" / "ringproxy.conf"
    cluster.kill("proxy1")
    with Program("ringproxy", "-c", path) as program:
        client = wait_for(lambda: connect(cluster.port), "the proxy to listen")
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        wait_for(lambda: client.ask("SET", "term:large", "x" * size) == b"+OK\r\n", "the proxy to serve")
        client.send(array("GET", "term:large"))
        got = client.stream.read(1000)
        program.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not connect(cluster.port), "the proxy to stop listening")
        client.send(array("PING"))
        rest = client.rest()
        status, output = program.wait()
        client.close()
    assert status == 0, output
    assert len(got) + len(rest) == size + len(b"$%d\r\n\r\n" % size)


def test_term_while_clients_that_left_wait(make_cluster):
    """Commands whose clients are gone, and whose nodes do not answer, keep the proxy from nothing."""
    cluster = make_cluster()
    path = cluster.folder / "cluster" / "proxy1" / "ringproxy.conf"
    cluster.kill("proxy1")
    with Program("ringproxy", "-c", path) as program:
        client = wait_for(lambda: connect(cluster.port), "the proxy to listen")
        wait_for(lambda: client.ask("SET", "left:a", "1") == b"+OK\r\n", "the proxy to serve")
        for name in cluster.nodes():
            cluster.kill(name, "STOP")
        for number in range(50):
            left = RawClient(cluster.port)
            left.send(array("GET", f"left:{number}") + array("SET", f"left:{number}", "1"))
            left.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
            left.close()
        wait_for(lambda: b"connected_clients:1\r\n" in client.ask("INFO", "clients"), "the others to be gone")
        client.close()
        program.process.send_signal(signal.SIGTERM)
        status, output = program.wait()
        for name in cluster.nodes():
            cluster.kill(name, "CONT")
    assert status == 0, output


def connect(port):
    try:
        return RawClient(port)
    except OSError:
        return None


def test_term_of_a_node(make_cluster):
    """A node that is told to end syncs what it has and exits with 0."""
    cluster = make_cluster("--nodes", 1, "--replicas", 1)
    path = cluster.folder / "cluster" / "n1" / "ringnode.conf"
    cluster.kill("n1", "TERM")
    wait_for(lambda: cluster.pid("n1") is None, "n1 to end")
    with Program("ringnode", "-c", path) as program:
        with cluster.client() as client:
            wait_for(lambda: client.ask("SET", "node:a", "1") == b"+OK\r\n", "the cluster to serve")
        program.process.send_signal(signal.SIGTERM)
        status, output = program.wait()
    assert status == 0, output
    cluster.start("n1")
    with cluster.client() as client:
        wait_for(lambda: client.ask("GET", "node:a") == bulk(b"1"), "the value to be served")


@pytest.mark.skipif(bool(SANITIZE), reason="sanitizers do not run under strace")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_during_the_start(tmp_path, ports, number):
    """A start that takes long (here: each shard's first sync takes a second) does not keep a node from ending when it
    is told to."""
    strace = shutil.which("strace")
    if not strace:
        pytest.skip("strace is not installed")
    slow = ("-D", "-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=1000000")
    path = configuration(tmp_path, "ringnode", ports, shards="shards = 16\n")
    with Program(strace, *slow, BIN / "ringnode", "-c", path) as program:
        wait_for(lambda: list(tmp_path.glob("data/shard-*/tree")), "the start to be under way")
        program.process.send_signal(number)
        status, output = program.wait()
    assert status == 0, output
    assert "during the start" in output


def test_int_is_like_term(tmp_path, ports):
    path = configuration(tmp_path, "ringproxy", ports)
    with Program("ringproxy", "-c", path) as program:
        wait_for(lambda: connect(ports.other()), "the proxy to listen").close()
        program.process.send_signal(signal.SIGINT)
        assert program.wait()[0] == 0


@pytest.mark.parametrize("name", ["n1", "proxy1"])
def test_hup_reopens_the_log(cluster, name):
    log = cluster.folder / "cluster" / name / "log"
    moved = log.with_name("log.1")
    log.rename(moved)
    cluster.kill(name, "HUP")
    wait_for(log.exists, "a new log file")
    log.rename(log.with_name("log.2"))
    moved.rename(log)
    cluster.kill(name, "HUP")
    with cluster.client() as client:
        assert client.ask("PING") == b"+PONG\r\n"


def test_logs_tell_no_values(cluster):
    """Neither a value nor, at the usual level, a key."""
    with cluster.client() as client:
        client.ask("SET", "log:secretkey", "secretvalue")
        client.ask("INCR", "log:secretkey")
        client.ask("SET", "log:secretkey" * 50, "secretvalue")
    for name, text in cluster.logs().items():
        assert "secret" not in text, name


def test_log_lines(cluster):
    """Time, level, program; one line an event."""
    line = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warn|info|debug) +ring\w+\S* .*")
    for name, text in cluster.logs().items():
        assert text.splitlines(), name
        for each in text.splitlines():
            assert line.fullmatch(each), f"{name}: {each}"


# ringlocal


def test_ringlocal_list(cluster):
    lines = cluster.ringlocal("list").stdout.splitlines()
    pids = cluster.pids()
    assert lines == [
        *(f"n{k} {HOST}:{cluster.port + 20 + k} {pids[f'n{k}']} up" for k in (1, 2, 3)),
        f"proxy1 {HOST}:{cluster.port} {pids['proxy1']} up",
    ]


def test_ringlocal_up_again(cluster):
    """Up on a running cluster changes nothing."""
    before = cluster.pids()
    cluster.ringlocal("up")
    assert cluster.pids() == before and None not in before.values()


def test_ringlocal_down_and_up(make_cluster):
    """A stopped cluster comes back with its data."""
    cluster = make_cluster("--nodes", 2, "--replicas", 2, "--proxies", 2)
    with cluster.client() as client:
        assert client.ask("SET", "kept", "x") == b"+OK\r\n"
    cluster.down()
    assert set(cluster.pids().values()) == {None}
    cluster.up()
    with cluster.client(proxy=2) as client:
        assert client.ask("GET", "kept") == bulk(b"x")


def test_ringlocal_side_by_side(cluster, make_cluster):
    other = make_cluster("--nodes", 1, "--replicas", 1)
    with cluster.client() as here, other.client() as there:
        assert here.ask("SET", "side", "here") == there.ask("SET", "side", "there") == b"+OK\r\n"
        assert here.ask("GET", "side") == bulk(b"here")


def test_ringlocal_reports_failure(make_cluster):
    cluster = make_cluster("--node", "nonsense=1", up=False)
    with pytest.raises(AssertionError, match="nonsense"):
        cluster.up()


# ringctl


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["help", "nonsense"],
        ["--nonsense", "status"],
        ["status", "left over"],
        ["status", "--nonsense"],
        ["locate"],
        ["init"],
        ["init", "n1"],
        ["init", f"n1={HOST}"],
        ["init", f"n1={HOST}:0"],
        ["init", f"n1={HOST}:65536"],
        ["init", f"={HOST}:7001"],
        ["init", f"a b={HOST}:7001"],
        ["init", f"n1={HOST}:7001", "--replicas", "0"],
        ["init", f"n1={HOST}:7001", "--replicas", "-1"],
        ["init", f"n1={HOST}:7001", "--replicas", "8"],
        ["init", f"n1={HOST}:7001", "--replicas", "x"],
        ["init", f"n1={HOST}:7001", "--replicas"],
        ["init", f"n1={HOST}:7001:east:0"],
        ["init", f"n1={HOST}:7001:east:-1"],
        ["init", f"n1={HOST}:7001:east:x"],
        ["init", f"n1={HOST}:7001:east west"],
        ["init", f"n1={HOST}:7001", "--partitions", "0"],
        ["init", f"n1={HOST}:7001", "--partitions", "3"],
        ["init", f"n1={HOST}:7001", "--partitions", "131072"],
        ["init", f"n1={HOST}:7001", "--hash", "crc"],
        ["init", f"n1={HOST}:7001", f"n1={HOST}:7002", "--replicas", "2"],
        ["init", f"n1={HOST}:7001", f"n2={HOST}:7001", "--replicas", "2"],
    ],
    ids=" ".join,
)
def test_ringctl_wrong_usage(words):
    done = run(BIN / "ringctl", "--nodes", f"{HOST}:1", *words)
    assert done.returncode == 2, done.stderr
    assert done.stdout == "" and done.stderr != ""


@pytest.mark.parametrize("words", [["help"], ["help", "set"], ["--help", "set"]], ids=" ".join)
def test_ringctl_help_before_a_command(words):
    """It is that of the command, as behind it."""
    assert run(BIN / "ringctl", *words).stdout == run(BIN / "ringctl", *words[1:], "--help").stdout


def test_ringctl_needs_nodes(cluster):
    """From --nodes or RINGCTL_NODES; without either, wrong usage."""
    assert run(BIN / "ringctl", "status", env={}).returncode == 2
    assert run(BIN / "ringctl", "status", env={"RINGCTL_NODES": cluster.addresses()}).returncode == 0
    assert run(BIN / "ringctl", "--nodes", "nonsense", "status").returncode == 2


def test_ringctl_forms_of_nodes(cluster):
    """With '=', with blanks behind the commas; what is wrong is said."""
    first, second, *_ = cluster.addresses().split(",")
    for words in ([f"--nodes={first}"], ["--nodes", f" {first}, {second} "], [f"--nodes={first},{first}"]):
        assert run(BIN / "ringctl", *words, "status").returncode == 0
    for nodes in (f"{first} {second}", f"{first},"):
        done = run(BIN / "ringctl", "--nodes", nodes, "status")
        assert done.returncode == 2 and "with one comma between two" in done.stderr, done.stderr
    done = run(BIN / "ringctl", "--nodes", HOST, "status")
    assert done.returncode == 2 and "no port" in done.stderr, done.stderr


def test_ringctl_key_that_looks_like_an_option(cluster):
    for key in ("--json", "-h", "--nodes=x"):
        done = run(BIN / "ringctl", "--nodes", cluster.addresses(), "--json", "locate", "--", key)
        assert json.loads(done.stdout)["key"] == key


def test_ringctl_answer_that_cannot_be_written(cluster):
    """A full disk is told, for a part of an answer must not pass for the whole."""
    for words in (["status"], ["metrics"], ["--json", "check"], ["history"]):
        with open("/dev/full", "w") as full:
            command = [BIN / "ringctl", "--nodes", cluster.addresses(), *words]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        assert done.returncode == 1 and "not all could be written" in done.stderr, done.stderr


def test_ringctl_unreachable(ports):
    """Nobody listens: it could not be done, and which address."""
    done = run(BIN / "ringctl", "--nodes", f"{HOST}:{ports.other()}", "status")
    assert done.returncode == 1
    assert f"{HOST}:{ports.other()}" in done.stderr


def test_status(cluster):
    with cluster.client() as client:
        for number in range(100):
            client.ask("SET", f"status:{number}", "x" * 100)
    status = cluster.status()
    assert status["epoch"] == 1
    assert status["partitions"] == 256
    assert status["replicas"] == 3
    members = status["members"]
    assert [member["name"] for member in members] == ["n1", "n2", "n3"]
    assert [member["address"] for member in members] == cluster.addresses().split(",")
    assert {member["state"] for member in members} == {"up"}
    assert sum(member["partitions_primary"] for member in members) == 256
    wait_for(lambda: all(m["keys"] >= 100 for m in cluster.status()["members"]), "the keys to be counted")

    table = cluster.ringctl("status")
    assert table.returncode == 0
    for name in ("n1", "n2", "n3"):
        assert re.search(rf"^{name}\s.*\bup\b", table.stdout, re.M), table.stdout


def test_counts_know_what_no_checkpoint_has_written(make_cluster):
    """So the plan of a change right after a load tells what it will copy."""
    cluster = make_cluster("--node", "storage.checkpoint=1h")
    with cluster.client() as client:
        for number in range(200):
            client.ask("SET", f"counted:{number}", "x" * 100)
    wait_for(lambda: [m["keys"] for m in cluster.status()["members"]] == [200] * 3, "the keys to be counted")
    planned = cluster.ringctl("--json", "add", f"n4={cluster.spawn('n4')}", "--dry-run")
    assert planned.returncode == 0, planned.stderr
    # Three replicas of each key: a quarter of them moves.
    assert 100 <= json.loads(planned.stdout.splitlines()[0])["keys"] <= 200


def test_status_of_a_dead_node(make_cluster):
    cluster = make_cluster()
    addresses = cluster.addresses()
    cluster.kill("n2")
    done = cluster.ringctl("status", "--json", nodes=addresses)
    states = {member["name"]: member["state"] for member in json.loads(done.stdout)["members"]}
    assert states == {"n1": "up", "n2": "down", "n3": "up"}
    # Any of the nodes will do, also when the first of them is dead.
    dead_first = f"{HOST}:{cluster.port_of('n2')},{HOST}:{cluster.port_of('n3')}"
    assert "n1" in cluster.ringctl("status", nodes=dead_first).stdout


def test_locate(cluster):
    """Position, partition and replicas; a hash tag decides where there is one."""
    done = cluster.ringctl("locate", "hello")
    assert done.returncode == 0
    assert "5d41402abc4b2a76" in done.stdout  # the first 8 bytes of MD5("hello")
    assert re.search(rf"\b{0x5D}\b", done.stdout)  # the partition: the position's top 8 bits
    assert sorted(cluster.locate("hello")) == ["n1", "n2", "n3"]
    assert cluster.ringctl("locate", "x{hello}y").stdout.count("5d41402abc4b2a76") == 1
    assert cluster.ringctl("locate", "").returncode == 2
    assert cluster.ringctl("locate", "k" * 497).returncode == 2


def test_init_twice(cluster):
    """A node that is in a ring is not put into another."""
    words = [f"{name}={HOST}:{cluster.port_of(name)}" for name in ("n1", "n2", "n3")]
    done = cluster.ringctl("init", *words)
    assert done.returncode == 1 and done.stderr
    assert cluster.status()["epoch"] == 1


def spawned(cluster, name):
    return cluster.ringlocal("spawn", name).stdout.strip()


def test_init_of_what_cannot_be(make_cluster):
    """A node that cannot be reached, one that is in a ring already, one under two names: nothing is
    made anywhere, and the right command works afterwards."""
    cluster = make_cluster("--nodes", 1, "--replicas", 1)
    one, two = spawned(cluster, "s1"), spawned(cluster, "s2")
    nobody, member = f"{HOST}:{cluster.ports.other()}", f"{HOST}:{cluster.port_of('n1')}"

    def init(*words):
        return run(BIN / "ringctl", "init", *words, "--partitions", "16")

    for words in (
        [f"s1={one}", f"s2={nobody}", "--replicas", "2"],
        [f"s1={one}", f"n1={member}", "--replicas", "2"],
        [f"s1={one}", f"s2=localhost:{one.rpartition(':')[2]}", "--replicas", "2"],
    ):
        done = init(*words)
        assert done.returncode == 1, (words, done.stdout, done.stderr)
        assert done.stderr
    done = init(f"s1={one}", f"s2={two}", "--replicas", "2", "--hash", "sha1")
    assert done.returncode == 0, done.stderr
    assert "2 replicas" in done.stderr  # which survive no more than one would
    located = run(BIN / "ringctl", "--nodes", one, "locate", "hello")
    assert "aaf4c61ddcc5e8a2" in located.stdout  # the first 8 bytes of SHA-1("hello")


def test_init_with_zones_and_weights(make_cluster):
    cluster = make_cluster("--nodes", 1, "--replicas", 1)
    names = ["s1", "s2", "s3", "s4"]
    addresses = {name: spawned(cluster, name) for name in names}
    places = {"s1": ":east", "s2": ":east", "s3": ":west", "s4": ":west:2"}
    words = [f"{name}={addresses[name]}{places[name]}" for name in names]
    done = run(BIN / "ringctl", "init", *words, "--replicas", "2", "--partitions", "64")
    assert done.returncode == 0, done.stderr
    for number in range(20):
        located = run(BIN / "ringctl", "--nodes", addresses["s1"], "locate", f"key{number}").stdout
        replicas = re.findall(r"\bs\d\b", located)
        assert len({places[name][1:5] for name in replicas}) == 2, located


def test_concurrent_init(make_cluster):
    """Several operators at once: one ring is made, not two halves."""
    cluster = make_cluster("--nodes", 1, "--replicas", 1)
    words = [f"{name}={spawned(cluster, name)}" for name in ("s1", "s2", "s3")]
    done = []

    def init(partitions):
        done.append(run(BIN / "ringctl", "init", *words, "--partitions", partitions))

    threads = [threading.Thread(target=init, args=(count,)) for count in ("16", "32", "64")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.returncode for one in done) == [0, 1, 1], [one.stderr for one in done]
    found = set()
    for word in words:
        status = run(BIN / "ringctl", "--nodes", word.partition("=")[2], "status", "--json")
        found.add(json.loads(status.stdout)["partitions"])
    assert len(found) == 1


def test_few_files_of_a_proxy(tmp_path, ports):
    """Clients do not get those that it needs for the nodes."""
    port = ports.other()
    limited = ["prlimit", "--nofile=1536:1536", str(BIN / "ringproxy"), "-c", configuration(tmp_path, "ringproxy", ports)]
    if os.geteuid() == 0:  # who could raise the limit
        limited = ["setpriv", "--inh-caps", "-sys_resource", "--bounding-set", "-sys_resource", *limited]
    with Program(shutil.which(limited[0]), *limited[1:]):
        wait_for(lambda: connect(port), "the proxy to listen").close()
        with RawClient(port) as client:
            assert client.ask("CONFIG", "GET", "maxclients") == array("maxclients", "1024")


@pytest.mark.parametrize("name", DAEMONS)
def test_unit_for_systemd(name):
    """It starts the program with options that there are, and allows the files that the defaults ask for."""
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str
    unit.read_string((ROOT / f"etc/{name}.service").read_text())
    program, *options = unit["Service"]["ExecStart"].split()
    assert program.endswith(f"/sbin/{name}") and options == ["-c", f"/etc/ringkv/{name}.conf"]
    settings = dict(re.findall(r"^(\w+) = (\d+)$", (ROOT / f"etc/{name}.conf").read_text(), re.M))
    most = settings["max_clients" if name == "ringproxy" else "max_connections"]
    assert int(unit["Service"]["LimitNOFILE"]) >= int(most) + 512


@pytest.mark.parametrize("name", ["ringnode", "ringproxy"])
def test_manual_tells_every_setting(name):
    """Each by its name, and with its default."""
    manual = (ROOT / f"doc/{name}.8").read_text()
    told = dict(re.findall(r"^\.It Cm (\w+)(?: Pq (.*))?$", manual, re.M))
    settings = re.findall(r"^;? ?(\w+) = ?(.*)$", run(BIN / name, "--help-config").stdout, re.M)
    assert len(settings) > 10
    for setting, default in settings:
        assert setting in told, f"{setting} is not in doc/{name}.8"
        if default and told[setting]:
            # 0: what it means; none: no limit
            shown = re.sub(r"^(none|no .*)$", "0", told[setting])
            assert re.match(rf"{re.escape(default)}(:|ms|$)", shown), f"{setting}: {told[setting]!r} is not {default!r}"


def test_map_has_all_files():
    """Every source file of the programs stands in doc/architecture.md, by its name or by a pattern."""
    patterns = {Path(name).name for name in re.findall(r"`([^`\s]+)`", (ROOT / "doc/architecture.md").read_text())}
    files = [file.name for folder in ("shared", "node", "proxy", "tools") for file in (ROOT / folder).glob("*.[ch]")]
    assert len(files) > 200
    assert not [name for name in files if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]


def test_numbers_are_explained(cluster):
    """Every number of a node's status and of INFO ringkv has its line in doc/operations.md."""
    explained = set(re.findall(r"`(\w+)`", (ROOT / "doc/operations.md").read_text()))
    with cluster.client() as client:
        told = re.findall(r"^(\w+):", client.ask("INFO", "ringkv").decode(), re.M)
    numbers = cluster.status()["members"][0]
    assert len(told) > 20 and len(numbers) > 40
    # "`partitions_primary`, `_backup`, ..."
    missing = [name for name in (*told, *numbers) if name not in explained and "_" + name.rpartition("_")[2] not in explained]
    of_the_ring = {"address", "zone", "weight", "joins", "leaves"}
    assert set(missing) <= of_the_ring, missing
