"""Nodes that are known by names, and a resolver that stops answering."""

import shutil
import signal
import socket
import time

import pytest
from harness import BIN, HOST, PATIENT_PROXY, REPLY_SECONDS, Program, RawClient, bulk, run, wait_for

SILENT = "127.9.9.9"  # where the resolver would listen
NAMES = [f"s{number}.ringkv.test" for number in (1, 2, 3)]


@pytest.fixture
def silent():
    """A resolver that hears questions and answers none."""
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        silent.bind((SILENT, 53))
    except OSError:
        pytest.skip("a resolver can be put in place by root only")
    silent.settimeout(REPLY_SECONDS)
    yield silent
    silent.close()


@pytest.fixture
def programs(tmp_path, silent):
    """A folder with the programs, which have their own /etc/hosts and /etc/resolv.conf there: hosts, resolv.conf."""
    (tmp_path / "resolv.conf").write_text(f"nameserver {SILENT}\n")
    hosts = "".join(f"{HOST} {name}\n" for name in NAMES)
    (tmp_path / "hosts").write_text(hosts)
    for name in ("ringnode", "ringproxy", "ringctl"):
        mounts = "".join(f"mount --bind {tmp_path}/{file} /etc/{file} && " for file in ("hosts", "resolv.conf"))
        (tmp_path / name).write_text(f"#!/bin/sh\nexec unshare -m sh -c '{mounts}exec {BIN}/{name} \"$@\"' {name} \"$@\"\n")
        (tmp_path / name).chmod(0o755)
    if not shutil.which("unshare") or run(tmp_path / "ringctl", "--version").returncode != 0:
        pytest.skip("a program's own /etc can be made by root only")
    yield tmp_path


def test_resolver_that_hangs(make_cluster, programs):
    """One of three nodes dies, and its name, like the others', cannot be looked up any more: clients notice no more than of
    a death, and a node that comes back is found where it was."""
    cluster = make_cluster("--nodes", 1, "--replicas", 1)
    cluster.bin = programs
    ports = [cluster.ringlocal("spawn", name).stdout.strip().rpartition(":")[2] for name in ("s1", "s2", "s3")]
    words = [f"s{number}={name}:{port}" for number, (name, port) in enumerate(zip(NAMES, ports), 1)]
    done = run(programs / "ringctl", "init", *words, "--partitions", "16")
    assert done.returncode == 0, done.stderr
    conf, port = programs / "proxy.conf", cluster.ports.other()
    nodes = ", ".join(f"{name}:{port}" for name, port in zip(NAMES, ports))
    conf.write_text(f"[proxy]\nlisten = {HOST}:{port}\n[cluster]\nnodes = {nodes}\n")
    with Program(programs / "ringproxy", "-c", conf, *PATIENT_PROXY):
        with wait_for(lambda: connected(port), "the proxy to listen") as client:
            wait_for(lambda: client.ask("SET", "named", "0") == b"+OK\r\n", "the ring to be noticed")
            (programs / "hosts").write_text("")
            cluster.kill("s3")
            until = time.monotonic() + 8  # in which the two that live look for the third again and again
            while time.monotonic() < until:
                for number in range(10):
                    assert client.ask("SET", f"named:{number}", "x") == b"+OK\r\n"
            cluster.start("s3")
            wait_for(lambda: "link: up" in cluster.log("s3"), "the node to be found")
            assert client.ask("GET", "named") == bulk(b"0")


@pytest.mark.parametrize("name", ["ringnode", "ringproxy"])
def test_told_to_end_while_its_own_name_is_looked_up(programs, silent, name):
    settings = {
        "ringnode": ("node.listen=here.ringkv.test:7400", f"node.data={programs}/data"),
        "ringproxy": ("proxy.listen=here.ringkv.test:7379", f"cluster.nodes={HOST}:1"),
    }[name]
    words = [word for setting in settings for word in ("--set", setting)]
    with Program(programs / name, *words) as program:
        silent.recv(512)
        program.process.send_signal(signal.SIGHUP)
        program.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert program.process.wait(REPLY_SECONDS) in (0, -signal.SIGTERM)
        assert time.monotonic() - began < 3  # the resolver is waited for at least five seconds


def connected(port):
    try:
        return RawClient(port)
    except OSError:
        return None
