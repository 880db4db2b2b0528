"""Real processes under faults: what clients saw must be what one copy of the data could have said.

CHAOS_SECONDS (25) is how long, CHAOS_SEED (1) chooses the faults, CHAOS_HISTORY a file in which the history
is kept."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import frames
import pytest
from clocks import faked
from frames import Peer, values_at
from harness import BIN, HOST, REQUEST_SECONDS, SANITIZE, bulk, ringlocal, run, wait_for
from history import CHECKER, Keys, check, is_known, read_all, was_refused, write_history
from load import Load, Operation, Steps

SECONDS = float(os.environ.get("CHAOS_SECONDS") or 25)
SEED = int(os.environ.get("CHAOS_SEED") or 1)

CLIENTS = 24
PROXIES = 2
WAIT_SECONDS_MAX = REQUEST_SECONDS + (10 if SANITIZE else 1)  # request_timeout and some margin
LINKS = [("n1", "n2"), ("n1", "n3"), ("n2", "n3"), ("proxy", "n1"), ("proxy", "n2"), ("proxy", "n3")]


# Faults


class Links:
    """The relay of tests/e2e/relay.py, through which all traffic goes."""

    def __init__(self, cluster):
        self.ports = {name: cluster.ports.other(i) for i, name in enumerate(cluster.nodes())}
        self.cluster = cluster
        self.process = None

    def start(self, identities):
        nodes = {name: [port, self.cluster.port_of(name)] for name, port in self.ports.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-B", Path(__file__).with_name("relay.py")]
            + [json.dumps({"nodes": nodes, "identities": identities})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ok\n"

    def set(self, **faults):
        self.process.stdin.write(json.dumps(faults) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n"

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.communicate()


class Chaos:
    """Faults, one or two at a time. Each method does one and returns what takes it back."""

    def __init__(self, cluster, links, chance):
        self.cluster = cluster
        self.links = links
        self.chance = chance
        self.done = []
        self.bag = []

    def kill_node(self):
        return self.kill(self.chance.choice(self.cluster.nodes()))

    def kill_proxy(self):
        return self.kill(f"proxy{self.chance.randint(1, PROXIES)}")

    def kill(self, name):
        self.note("kill", name)
        pid = self.cluster.pid(name)
        if pid:
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not self.cluster.pid(name), f"{name} to be gone")
        return lambda: self.cluster.start(name)

    def stop_node(self):
        name = self.chance.choice(self.cluster.nodes())
        self.note("stop", name)
        pid = self.cluster.pid(name)
        if not pid:
            return lambda: None
        os.kill(pid, signal.SIGSTOP)
        return lambda: self.go_on(name, pid)

    def go_on(self, name, pid):
        if self.cluster.pid(name) == pid:
            os.kill(pid, signal.SIGCONT)

    def cut(self):
        a, b = self.chance.choice(LINKS)
        return self.link_fault("cut", cut=[(a, b)])

    def isolate(self):
        name = self.chance.choice(self.cluster.nodes())
        return self.link_fault("isolate", cut=[pair for pair in LINKS if name in pair])

    def silence(self):
        """Both ways, or one way; what was under way comes late."""
        a, b = self.chance.choice(LINKS)
        return self.link_fault("silence", held=self.chance.choice([[(a, b)], [(b, a)], [(a, b), (b, a)]]))

    def slow(self):
        a, b = self.chance.choice(LINKS)
        return self.link_fault("slow", slow=[(a, b, self.chance.uniform(0.02, 0.5))])

    def link_fault(self, name, **faults):
        self.note(name, faults)
        self.links.set(**faults)
        return self.links.set

    def note(self, *what):
        self.done.append((round(time.monotonic(), 1), *what))

    def next_kind(self):
        """Each kind once before any comes again."""
        if not self.bag:
            self.bag = [self.kill_node, self.kill_proxy, self.stop_node]
            self.bag += [self.cut, self.isolate, self.silence, self.slow]
            self.chance.shuffle(self.bag)
        return self.bag.pop()

    def round(self):
        chosen = [self.next_kind()]
        if self.chance.random() < 0.2:
            chosen.append(self.chance.choice([self.kill_node, self.kill_proxy, self.stop_node]))
        undo = [fault() for fault in chosen]
        time.sleep(self.chance.uniform(0.2, 3))
        for action in reversed(undo):
            action()
        time.sleep(self.chance.uniform(0, 0.5))


def identity_of(port):
    with Peer(port) as peer:
        peer.send(frames.hello())
        return peer.welcome()["identity"].hex()


CLOCKS = {"n1": "+0", "n2": "-7h", "n3": "+31h x1.1", "proxy1": "-3h", "proxy2": "+90d"}


def clocks_apart(folder):
    """Programs that run at other times, each process at its own."""
    return faked(folder, lambda name: f"FAKETIME='{CLOCKS[name]}'", CLOCKS)


@pytest.fixture
def relayed(make_cluster, request):
    """A cluster whose members know each other under the relay's addresses, and the relay."""
    cluster = make_cluster(up=False)
    if getattr(request, "param", None) == "clocks apart":
        cluster.bin = clocks_apart(cluster.folder / "bin")
    folder = cluster.folder / "cluster"
    folder.mkdir(mode=0o700)
    options = ["up", "--port", str(cluster.port), "--proxies", str(PROXIES), "--bin", str(cluster.bin)]
    local = ringlocal.create(folder, ringlocal.parse_options(options + cluster.options))
    local.save()
    links = Links(cluster)
    try:
        for name in local.names():
            local.launch(name)
        for name in local.names("node"):
            local.wait_listening(name)
        links.start({identity_of(cluster.port_of(name)): name for name in cluster.nodes()})
        words = [f"{name}={HOST}:{port}" for name, port in links.ports.items()]
        done = run(BIN / "ringctl", "init", *words, "--partitions", str(local.state["partitions"]))
        assert done.returncode == 0, done.stderr
        local.state["made"] = True
        local.save()
        local.wait_serving()
        yield cluster, links
    finally:
        links.stop()


# Tests


def are_up_to_date(cluster):
    members = cluster.status()["members"]
    states = ("partitions_behind", "partitions_idle", "partitions_transfer")
    return all(m["state"] == "up" and not any(m[state] for state in states) for m in members)


def check_equal(cluster, keys):
    """Every node holds the same."""
    names = [key.encode() for key in keys]

    def are_equal():
        first, *others = (values_at(cluster.port_of(name), names) for name in cluster.nodes())
        return first is not None and all(values == first for values in others)

    wait_for(are_equal, "the replicas to be equal")


@pytest.mark.skipif(bool(SANITIZE), reason="a sanitizer has to be loaded before libfaketime")
@pytest.mark.parametrize("relayed", ["clocks apart"], indirect=True)
def test_clocks_apart(relayed, tmp_path):
    """Nodes and proxies hours and months apart: nothing that clients see depends on the time of day."""
    cluster, _ = relayed
    maps = Path(f"/proc/{cluster.pid('n2')}/maps").read_text()
    assert "libfaketime" in maps
    run_chaos(relayed, tmp_path)


def test_chaos(relayed, tmp_path):
    run_chaos(relayed, tmp_path)


def run_chaos(relayed, tmp_path):
    cluster, links = relayed
    chance = random.Random(SEED)
    keys = Keys(random.Random(SEED + 1))
    chaos = Chaos(cluster, links, chance)
    with Load([cluster.port, cluster.port + 1], CLIENTS, keys.choose) as load:
        try:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end and load.is_alive():
                chaos.round()
            wait_for(lambda: are_up_to_date(cluster), "all replicas to be up to date", 60)
        finally:
            print(f"CHAOS_SEED={SEED} CHAOS_SECONDS={SECONDS:g}; faults:", *chaos.done, sep="\n  ")
        load.stop(WAIT_SECONDS_MAX)

    with cluster.client() as client:
        operations = load.operations + read_all(client, keys, CLIENTS)
    history = Path(os.environ.get("CHAOS_HISTORY") or tmp_path / "history")
    write_history(history, operations)
    print(check(history))
    tell(operations)
    load.check_in_time(WAIT_SECONDS_MAX)
    check_equal(cluster, keys.names())


def tell(operations):
    """How much of it went through."""
    count = len(operations)
    taken = [o for o in operations if not was_refused(o)]
    unknown = sum(not is_known(o) for o in taken)
    slowest = max(o.seconds() for o in operations)
    print(f"{count} operations: {count - len(taken)} refused, {unknown} of unknown outcome, {slowest:.2f} s at most")
    assert count > 20 * SECONDS
    assert count - len(taken) + unknown < count / 10


def made(client, words, invoked, returned, *replies):
    operation = Operation(client, words, invoked)
    operation.sent = len(operation.steps())
    operation.returned, operation.replies, operation.reply = returned, list(replies), replies[-1]
    return operation


A, B = "chaos:{1}0", "chaos:{1}1"
OK, NIL, QUEUED = b"+OK\r\n", b"$-1\r\n", b"+QUEUED\r\n"


def exec_of(invoked, returned, a, b, reply):
    """Both keys at once."""
    steps = Steps([[("MULTI",), ("GETSET", A, a), ("GETSET", B, b), ("EXEC",)]])
    return made(0, steps, invoked, returned, OK, QUEUED, QUEUED, reply)


def watch_of(invoked, returned, seen, value, reply):
    """One key, when it is as it was seen."""
    steps = Steps([[("WATCH", A), ("MGET", A)], [("MULTI",), ("SET", A, value), ("EXEC",)]])
    return made(0, steps, invoked, returned, OK, array_of(seen), OK, QUEUED, reply)


def array_of(*values):
    return b"*%d\r\n" % len(values) + b"".join(bulk(v.encode()) if v else NIL for v in values)


def write(invoked, returned, value, reply=OK):
    return made(0, ("SET", A, value), invoked, returned, reply)


def read(invoked, returned, value):
    return made(1, ("GET", A), invoked, returned, bulk(value.encode()) if value else NIL)


DONE, ABORTED = b"*1\r\n+OK\r\n", b"*-1\r\n"
DOUBT = b"-UNCERTAIN whether it was done\r\n"
REFUSED = b"-NOQUORUM it was not done\r\n"

WRONG = {
    "a lost write": [write(1, 2, "a"), read(3, 4, None)],
    "a stale read": [write(1, 2, "a"), write(3, 4, "b"), read(5, 6, "a")],
    "done though refused": [write(1, 2, "b", REFUSED), read(3, 4, "b")],
    "done twice": [
        made(0, ("INCR", A), 1, 2, b":1\r\n"),
        made(0, ("INCR", A), 3, 4, DOUBT),
        made(0, ("INCR", A), 5, 6, b":4\r\n"),
    ],
    "half of a transaction": [
        exec_of(1, 2, "a", "b", array_of(None, None)),
        made(1, ("MGET", B, A), 3, 4, array_of("b", None)),
    ],
    "half of one in doubt": [exec_of(1, 2, "a", "b", DOUBT), made(1, ("MGET", A, B), 3, 4, array_of("a", None))],
    "a transaction in two pieces": [
        exec_of(1, 9, "a", "b", array_of(None, None)),
        made(1, ("MGET", A, B), 2, 3, array_of("a", None)),
    ],
    "a transaction without effect": [exec_of(1, 2, "a", "b", array_of(None, None)), read(3, 4, None)],
    "a transaction that missed a write": [write(1, 2, "x"), exec_of(3, 4, "a", "b", array_of(None, None))],
    "done though a watched key changed": [write(1, 2, "x"), watch_of(3, 4, None, "a", DONE)],
    "done though aborted": [watch_of(1, 2, None, "a", ABORTED), read(3, 4, "a")],
    "two that watched the same": [watch_of(1, 3, None, "a", DONE), watch_of(2, 4, None, "b", DONE)],
    "compared with another": [write(1, 2, "x"), made(0, ("CAS", A, "y", "z"), 3, 4, b":1\r\n")],
    "compared and not set": [write(1, 2, "x"), made(0, ("CAS", A, "x", "z"), 3, 4, b":1\r\n"), read(5, 6, "x")],
    "two that compared with the same": [
        write(1, 2, "x"),
        made(0, ("CAS", A, "x", "y"), 3, 5, b":1\r\n"),
        made(1, ("CAS", A, "x", "z"), 4, 6, b":1\r\n"),
    ],
    "compared with none": [write(1, 2, "x"), made(0, ("CAS", A, "x", "z"), 3, 4, b":-1\r\n")],
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_history(tmp_path, what):
    """The check itself finds what it is there for."""
    write_history(tmp_path / "history", WRONG[what])
    assert run(CHECKER, tmp_path / "history").returncode == 1


RIGHT = {
    "unknown and not done": [write(1, 2, "a"), write(3, None, "b", None), read(5, 6, "a")],
    "unknown and done late": [write(1, 2, "a"), write(3, None, "b", None), read(5, 6, "a"), read(7, 8, "b")],
    "unknown and done": [write(1, 2, "a"), write(3, None, "b", None), read(7, 8, "b")],
    "a transaction in doubt": [
        exec_of(1, 2, "a", "b", DOUBT),
        read(3, 4, None),
        made(1, ("MGET", B, A), 5, 6, array_of("b", "a")),
    ],
    "one that is not begun": [Operation(0, watch_of(1, 2, None, "a", DONE).words, 1), read(3, 4, None)],
    "one of two that watched": [watch_of(1, 3, None, "a", DONE), watch_of(2, 4, None, "b", ABORTED), read(5, 6, "a")],
    "one of two that compared": [
        write(1, 2, "x"),
        made(0, ("CAS", A, "x", "y"), 3, 5, b":0\r\n"),
        made(1, ("CAS", A, "x", "z"), 4, 6, b":1\r\n"),
        exec_of(7, 8, "a", "b", array_of("z", None)),
    ],
}


@pytest.mark.parametrize("what", RIGHT)
def test_right_history(tmp_path, what):
    """What is not known may have been done, late as well, or not."""
    write_history(tmp_path / "history", RIGHT[what])
    check(tmp_path / "history")
