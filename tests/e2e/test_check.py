"""What an operator asks: `ringctl check` names what is wrong, `locate` who leads, `metrics` all numbers."""

import contextlib
import json
import os
import re
import shutil
import socket
import threading
import time

import pytest
from clocks import FAKETIME
from harness import BIN, HOST, SANITIZE, wait_for
from test_chaos import relayed  # noqa: F401


def findings(cluster, *options):
    """What is found, with what mends it."""
    done = cluster.ringctl("--json", *options, "check")
    told = json.loads(done.stdout)
    assert done.returncode == (0 if told["healthy"] else 1)
    return {finding["what"]: finding["mend"] for finding in told["findings"]}


def find(cluster, words, *options):
    """The mending of the one finding that has these words; waits until there is one."""
    found = []

    def there():
        found[:] = [mend for what, mend in findings(cluster, *options).items() if words in what]
        return len(found) == 1

    wait_for(there, f"'{words}' to be found")
    return found[0]


@pytest.mark.skipif(bool(SANITIZE), reason="a sanitizer has to be loaded before libfaketime")
def test_one_is_unlike_the_others(make_cluster, tmp_path):
    """A node with a clock and settings of its own."""
    cluster = make_cluster(up=False)
    lines = ["#!/bin/sh", 'case "$*" in', "*/n2/*) set -- \"$@\" --set storage.sync=never --set node.max_value=2m"]
    lines += ["export FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME=-100s LD_PRELOAD='" + FAKETIME + "' ;;", "esac"]
    lines += [f'exec {BIN / "ringnode"} "$@"', ""]
    (tmp_path / "ringnode").write_text("\n".join(lines))
    (tmp_path / "ringnode").chmod(0o755)
    for program in ("ringproxy", "ringctl"):
        (tmp_path / program).symlink_to(BIN / program)
    cluster.bin = tmp_path
    cluster.up()
    assert "chrony" in find(cluster, "n2's clock is ")
    clock = re.compile(r"n2's clock is (99|100)\.\d s behind that of n[13]")  # of a status that did not wait long
    wait_for(lambda: any(map(clock.fullmatch, findings(cluster))), "it to be told by how much")
    assert "storage.sync" in find(cluster, "n1 has sync always, n2 has never")
    assert "node.max_value" in find(cluster, "n1 has max_value 16777216, n2 has 2097152")


def test_a_node_hangs(make_cluster):
    cluster = make_cluster()
    cluster.kill("n2", "STOP")
    try:
        mend = find(cluster, "n2 is down: ", "--timeout", "500")
    finally:
        cluster.kill("n2", "CONT")
    assert "it hangs" in mend and "KILL" in mend
    cluster.kill("n2")
    assert find(cluster, "n2 is down: ").startswith("start ringnode on ")


def test_a_node_that_has_just_started_is_behind(make_cluster):
    """Who restarts all nodes, one after the other, goes by BEHIND: it must not be 0 because nobody has looked yet."""
    cluster = make_cluster("--partitions", 16384)
    for _ in range(3):
        cluster.kill("n2")
        cluster.start("n2")
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            n2 = next(member for member in cluster.status()["members"] if member["name"] == "n2")
            states = ("primary", "backup", "behind", "transfer", "idle")
            assert sum(n2[f"partitions_{state}"] for state in states) == 16384, n2


def test_a_folder_is_lost(make_cluster):
    """The command that mends it, with a name for NEW, does; where the others are no majority there is none."""
    cluster = make_cluster()
    cluster.kill("n2")
    shutil.rmtree(cluster.folder / "cluster" / "n2" / "data")
    cluster.start("n2")
    mend = find(cluster, "n2 is down: ")
    words = re.search(r"if its data is lost: ringctl (replace n2 NEW=\S+)$", mend)[1].replace("NEW", "n4").split()
    done = cluster.ringctl(*words, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    wait_for(lambda: not findings(cluster), "the cluster to be healthy again")
    single = make_cluster("--nodes", 2, "--replicas", 1)
    single.kill("n2")
    assert "The data of a majority are lost" in find(single, "n2 is down: ")


def test_something_else_at_its_address(make_cluster):
    cluster = make_cluster()
    cluster.kill("n2")
    with socket.create_server((HOST, cluster.port_of("n2"))) as listener:

        def refuse():
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].sendall(b"-ERR Protocol error\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        mend = find(cluster, "as a ringproxy or a Redis")
        assert mend.startswith(f"look what listens there on {HOST}:{cluster.port_of('n2')}") and "lost" not in mend
        listener.shutdown(socket.SHUT_RDWR)


def test_nodes_do_not_reach_each_other(relayed):  # noqa: F811
    cluster, links = relayed
    wait_for(lambda: not findings(cluster), "the cluster to be healthy")
    links.set(cut=[("n1", "n2")])
    # Two shards each: two links of four are left.
    for name in ("n1", "n2"):
        assert "firewalls" in find(cluster, f"{name} has 2 of 4 connections to the other nodes")
    links.set()
    wait_for(lambda: not findings(cluster), "the cluster to be healthy again")


def test_locate_tells_who_leads(make_cluster):
    cluster = make_cluster()

    def states():
        told = json.loads(cluster.ringctl("--json", "locate", "k").stdout)
        return {replica["name"]: (replica["state"], replica.get("leader")) for replica in told["replicas"]}

    first, *others = cluster.locate("k")
    with cluster.client() as client:
        assert client.ask("SET", "k", "1") == b"+OK\r\n"
        wait_for(lambda: states() == {first: ("leads", first)} | {name: ("follows", first) for name in others}, "the first to lead")
        cluster.kill(first)
        assert client.ask("SET", "k", "2") == b"+OK\r\n"
        leader = wait_for(lambda: next((n for n, state in states().items() if state[0] == "leads"), None), "who leads now")
        assert leader in others
        other = next(name for name in others if name != leader)
        wait_for(lambda: states()[other] == ("follows", leader), "the other to follow")
        assert states()[first] == ("down", None)
    text = cluster.ringctl("locate", "k").stdout
    assert re.search(rf"^  1  {first}  \S+  DOWN  \(preferred primary\)$", text, re.M)
    assert re.search(rf"^  \d  {leader}  \S+  leads$", text, re.M) and re.search(rf"^  \d  {other}  \S+  follows {leader}$", text, re.M)


def test_metrics(make_cluster):
    """Each number of the status of each node, a metric's lines together, in the form of Prometheus."""
    cluster = make_cluster()
    cluster.kill("n3")
    done = cluster.ringctl("metrics")
    assert done.returncode == 0
    names, values = [], {}
    for line in done.stdout.splitlines():
        name, labels, value = re.fullmatch(r'(ringkv_[a-z_]+)(?:\{((?:[a-z]+="[^"]*",?)*)\})? (\d+)', line).groups()
        node = re.match(r'node="(\w+)"', labels or "")
        values[name, node and node[1]] = int(value)
        names += [name] if not names or names[-1] != name else []
    assert len(names) == len(set(names))
    assert [values["ringkv_node_up", f"n{i}"] for i in (1, 2, 3)] == [1, 1, 0]
    labels_of = dict(re.findall(r'^ringkv_node_up\{node="(\w+)",(.*)\}', done.stdout, re.M))
    assert labels_of["n3"] == f'address="{HOST}:{cluster.port_of("n3")}",zone=""'  # as when it was up: one series
    assert re.findall(r'^ringkv_node_info\{node="(\w+)",version="([^"]+)"\} 1$', done.stdout, re.M) == [
        (name, cluster.status()["members"][0]["version"]) for name in ("n1", "n2")
    ]
    assert values["ringkv_ring_members", None] == 3 and values["ringkv_ring_changing", None] == 0
    member = cluster.status()["members"][0]
    numbers = {name for name, value in member.items() if type(value) is int} - {"weight"}
    assert {f"ringkv_node_{name}" for name in numbers} <= {name for name, node in values if node == "n1"}
    assert ("ringkv_node_keys", "n3") not in values
    assert cluster.ringctl("--json", "metrics").returncode == 2


def test_no_ring_from_anybody(make_cluster):
    """Each node that was asked says why."""
    cluster = make_cluster(up=False)
    ports = [cluster.ports.other(i) for i in range(2)]
    nodes = ",".join([*(f"127.0.0.1:{port}" for port in ports), "no.such.host.invalid:1"])
    done = cluster.ringctl("status", nodes=nodes)
    assert done.returncode == 1
    reasons = done.stderr.splitlines()[1:]
    assert len(reasons) == 3
    assert all(f"127.0.0.1:{port}: Connection refused" in reason for port, reason in zip(ports, reasons))
    assert os.strerror(111) not in reasons[2]
