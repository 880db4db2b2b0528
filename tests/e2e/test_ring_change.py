"""The ring grows and shrinks while it serves: nothing acknowledged is lost, no command fails, and what
clients see is what one copy of the data could have said.

RING_CHANGES (10) is how many changes the long test makes in a row, RING_SEED (1) chooses them."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time

import pytest
from harness import BIN, HOST, SANITIZE, RawClient, array, bulk, run, wait_for
from history import Keys, check, read_all, write_history
from load import Load

CHANGES = int(os.environ.get("RING_CHANGES") or 10)
SEED = int(os.environ.get("RING_SEED") or 1)

CLIENTS = 24
PRELOADED = 4000
CHANGE_SECONDS = 300 if SANITIZE else 90
LATENCY_SECONDS_MAX = 12 if SANITIZE else 2
BATCH = 500


# What is there


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


class Watched:
    """A load whose history is checked when it is over."""

    def __init__(self, cluster, folder, proxies=2):
        self.cluster = cluster
        self.keys = Keys(random.Random(SEED))
        self.path = folder / "history"
        ports = [cluster.port + number for number in range(proxies)]
        self.load = Load(ports, CLIENTS, self.keys.choose)

    def __enter__(self):
        self.load.start()
        return self

    def __exit__(self, *_):
        self.load.stop()

    def go_on(self, count=500):
        wanted = self.load.count() + count
        wait_for(lambda: self.load.count() >= wanted or not self.load.is_alive(), f"{count} more commands")

    def finish(self, all_answered=True, doubts_max=CLIENTS // 2):
        """Ends the load. A replica that was copied knows no requests from before, so that a few may be
        left in doubt where leaders change (README, Limits)."""
        self.go_on()
        self.load.stop()
        if all_answered:
            self.load.check_all_answered(LATENCY_SECONDS_MAX, doubts_max)
        with self.cluster.client() as client:
            operations = self.load.operations + read_all(client, self.keys, CLIENTS)
        write_history(self.path, operations)
        print(check(self.path))


@pytest.fixture
def watched(tmp_path):
    """watched(CLUSTER): a load to run beside what the test does."""
    return lambda cluster, **options: Watched(cluster, tmp_path, **options)


def ring(cluster):
    return cluster.status()


def names(cluster):
    return {member["name"] for member in ring(cluster)["members"]}


def change(cluster, *words, timeout=CHANGE_SECONDS):
    """A change to its end; what it printed."""
    done = run(BIN / "ringctl", "--nodes", cluster.addresses(), *words, "--yes", timeout=timeout)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def is_healthy(cluster):
    return cluster.ringctl("check").returncode == 0


def check_healthy(cluster):
    with contextlib.suppress(AssertionError):
        wait_for(lambda: is_healthy(cluster), "the ring to be healthy")
    done = cluster.ringctl("check")
    assert done.returncode == 0, done.stdout + done.stderr


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
    output, _ = process.communicate(timeout=seconds)
    return process.returncode, output


def moved(cluster):
    """Partitions that have moved; None when nothing is being changed."""
    change = ring(cluster).get("change")
    return change and change["partitions_moved"]


# One change


def test_add(make_cluster, watched):
    cluster = make_cluster("--proxies", 2)
    preload(cluster)
    address = cluster.spawn("n4")
    with watched(cluster) as load:
        load.go_on()
        change(cluster, "add", f"n4={address}")
        load.finish()
    check_preloaded(cluster)
    check_healthy(cluster)
    shares = {m["name"]: m["partitions_primary"] + m["partitions_backup"] for m in ring(cluster)["members"]}
    assert set(shares) == {"n1", "n2", "n3", "n4"}
    assert sum(shares.values()) == 3 * 256 and max(shares.values()) - min(shares.values()) <= 8, shares


def test_remove(make_cluster, watched):
    """The node that left can be stopped, its data is needed no more; one of the others may die then."""
    cluster = make_cluster("--nodes", 4, "--proxies", 2)
    preload(cluster)
    with watched(cluster) as load:
        load.go_on()
        change(cluster, "remove", "n2")
        cluster.kill("n2")
        load.finish()
    check_preloaded(cluster)
    assert names(cluster) == {"n1", "n3", "n4"}
    check_healthy(cluster)
    cluster.kill("n3")
    check_preloaded(cluster)


def test_replace_dead(make_cluster, watched):
    """An empty node in the place of a dead one, which then comes back: it is refused and harms nothing."""
    cluster = make_cluster("--proxies", 2)
    preload(cluster)
    with watched(cluster) as load:
        load.go_on()
        cluster.kill("n1")
        address = cluster.spawn("n4")
        change(cluster, "replace", "n1", f"n4={address}")
        assert names(cluster) == {"n2", "n3", "n4"}
        cluster.start("n1")
        load.go_on(1500)
        assert names(cluster) == {"n2", "n3", "n4"}
        load.finish()
    check_preloaded(cluster)
    check_healthy(cluster)
    with RawClient(cluster.port) as client:
        assert client.ask("SET", "after", "1") == b"+OK\r\n"
    assert cluster.pid("n1"), "the node that was replaced ended"
    refused = cluster.ringctl("status", nodes=f"{HOST}:{cluster.port_of('n1')}")
    assert refused.returncode == 0 and "n4" in refused.stdout, "it leads to the ring, as any node does"


def test_replace_in_its_place(make_cluster, watched):
    """The disk is lost, the machine is not: an empty node at the same address."""
    cluster = make_cluster("--proxies", 2)
    preload(cluster)
    with watched(cluster) as load:
        load.go_on()
        cluster.kill("n1")
        shutil.rmtree(cluster.folder / "cluster/n1/data")
        cluster.start("n1")
        told = cluster.ringctl("check")
        assert told.returncode == 1 and "ringctl replace n1" in told.stdout
        change(cluster, "replace", "n1", f"new={HOST}:{cluster.port_of('n1')}")
        load.finish()
    assert names(cluster) == {"n2", "n3", "new"}
    check_preloaded(cluster)
    check_healthy(cluster)


def test_replicas(make_cluster, watched):
    cluster = make_cluster("--nodes", 5, "--proxies", 2)
    preload(cluster)
    with watched(cluster) as load:
        load.go_on()
        change(cluster, "set", "replicas=5")
        assert ring(cluster)["replicas"] == 5
        change(cluster, "set", "replicas=3")
        load.finish()
    check_preloaded(cluster)
    check_healthy(cluster)


def test_weight(make_cluster, watched):
    cluster = make_cluster("--nodes", 4, "--proxies", 2)
    preload(cluster)
    with watched(cluster) as load:
        load.go_on()
        change(cluster, "set", "n1", "weight=2")
        load.finish()
    wait_for(lambda: 100 <= leads(cluster, "n1") <= 104, "n1 to lead two fifths")
    check_preloaded(cluster)
    check_healthy(cluster)


def leads(cluster, name):
    return next(m["partitions_primary"] for m in ring(cluster)["members"] if m["name"] == name)


def test_several_at_once(make_cluster, tmp_path):
    """A plan file: what moves, moves once."""
    cluster = make_cluster()
    preload(cluster)
    plan = tmp_path / "plan"
    plan.write_text(
        f"# grow, and get rid of n1\nadd n4={cluster.spawn('n4')}\nadd n5={cluster.spawn('n5')} --weight 2\nremove n1\n"
    )
    shown = json.loads(cluster.ringctl("--json", "plan", "-f", plan, "--dry-run").stdout)
    assert shown["replicas_copied"] < 3 * 256
    assert names(cluster) == {"n1", "n2", "n3"}, "a dry run changed something"
    change(cluster, "plan", "-f", plan)
    assert names(cluster) == {"n2", "n3", "n4", "n5"}
    check_preloaded(cluster)
    check_healthy(cluster)
    history = json.loads(cluster.ringctl("--json", "history").stdout)["changes"]
    assert [entry["outcome"] for entry in history] == ["done"]
    assert "remove n1" in history[0]["what"]


# On the way


def half_way(cluster):
    count = moved(cluster)
    return count and count > 5


SLOW = ("--rate", "0.3")


def test_cancel(make_cluster, watched):
    """Half-way and back: the ring is as it was."""
    cluster = make_cluster("--proxies", 2)
    preload(cluster, 20000)
    before = [cluster.locate(f"old:{n}") for n in range(20)]
    with watched(cluster) as load:
        load.go_on()
        process = start_change(cluster, "add", f"n4={cluster.spawn('n4')}", *SLOW)
        wait_for(lambda: half_way(cluster), "some partitions to have moved", CHANGE_SECONDS)
        done = cluster.ringctl("cancel", "--rate", "none")
        assert done.returncode == 0, done.stdout + done.stderr
        code, output = ended(process)
        assert code == 0 and "cancelled" in output, output
        load.finish()
    assert names(cluster) == {"n1", "n2", "n3"}
    assert [cluster.locate(f"old:{n}") for n in range(20)] == before
    check_preloaded(cluster, 20000)
    check_healthy(cluster)
    history = json.loads(cluster.ringctl("--json", "history").stdout)["changes"]
    assert history[-1]["outcome"] == "cancelled"


def test_cancel_without_the_new_node(make_cluster):
    """The node that was to join dies: the change waits, and can be taken back without it."""
    cluster = make_cluster()
    preload(cluster, 20000)
    process = start_change(cluster, "add", f"n4={cluster.spawn('n4')}", *SLOW)
    wait_for(lambda: moved(cluster) is not None, "the change to begin")
    cluster.kill("n4")
    done = cluster.ringctl("cancel", "--rate", "none")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ended(process)[0] == 0
    assert names(cluster) == {"n1", "n2", "n3"}
    check_preloaded(cluster, 20000)
    check_healthy(cluster)


def test_ringctl_killed(make_cluster, watched):
    """At any point, again and again: resume goes on, from any machine that knows one node."""
    cluster = make_cluster("--proxies", 2)
    preload(cluster, 20000)
    address = cluster.spawn("n4")
    with watched(cluster) as load:
        process = start_change(cluster, "add", f"n4={address}", "--rate", "3")
        for kill in range(12):
            time.sleep(0.1 + 0.07 * kill)
            process.kill()
            process.communicate()
            if moved(cluster) is None:
                break
            assert cluster.ringctl("check").returncode == 1
            process = start_ringctl(f"{HOST}:{cluster.port_of('n2')}", "resume")
        if process.poll() is None:
            process.kill()
            process.communicate()
        if "n4" in names(cluster):
            done = cluster.ringctl("resume", "--rate", "none")
            assert done.returncode == 0, done.stdout + done.stderr
        else:
            change(cluster, "add", f"n4={address}")
        load.finish()
    assert names(cluster) == {"n1", "n2", "n3", "n4"}
    check_preloaded(cluster, 20000)
    check_healthy(cluster)


def test_pause_and_rate(make_cluster):
    cluster = make_cluster()
    preload(cluster, 20000)
    process = start_change(cluster, "add", f"n4={cluster.spawn('n4')}", *SLOW)
    wait_for(lambda: moved(cluster) is not None, "the change to begin")
    done = cluster.ringctl("rate", "0.5")
    assert done.returncode == 0, done.stderr
    assert ring(cluster)["change"]["bytes_per_second_max"] == 500000
    done = cluster.ringctl("pause")
    assert done.returncode == 0, done.stderr
    code, output = ended(process)
    assert code == 1 and "paused" in output, output
    epoch = ring(cluster)["epoch"]
    time.sleep(1)
    assert ring(cluster)["epoch"] == epoch
    done = cluster.ringctl("resume", "--rate", "none")
    assert done.returncode == 0, done.stdout + done.stderr
    assert names(cluster) == {"n1", "n2", "n3", "n4"}
    check_preloaded(cluster, 20000)
    check_healthy(cluster)
    assert cluster.ringctl("pause").returncode == 1
    assert cluster.ringctl("cancel").returncode == 1


def test_two_at_once(make_cluster):
    """Of two changes that begin at the same moment one is made; the other is told of it."""
    cluster = make_cluster()
    preload(cluster)
    addresses = {name: cluster.spawn(name) for name in ("n4", "n5")}
    processes = [start_change(cluster, "add", f"{name}={address}") for name, address in addresses.items()]
    outcomes = [ended(process) for process in processes]
    won = [name for name, (code, _) in zip(addresses, outcomes) if code == 0]
    assert len(won) >= 1, outcomes
    for name, (code, output) in zip(addresses, outcomes):
        if code:
            assert won[0] in output and "epoch" in output or "changed already" in output, output
    assert names(cluster) == {"n1", "n2", "n3", *won}
    check_preloaded(cluster)
    check_healthy(cluster)


def test_stopped_proxy(make_cluster, watched):
    """A proxy sleeps through several changes: what it then does by the old ring is refused."""
    cluster = make_cluster("--nodes", 4, "--proxies", 2)
    preload(cluster)
    with watched(cluster) as load:
        load.go_on()
        pid = cluster.pid("proxy2")
        os.kill(pid, signal.SIGSTOP)
        try:
            change(cluster, "add", f"n5={cluster.spawn('n5')}")
            change(cluster, "remove", "n1")
            cluster.kill("n1")
        finally:
            os.kill(pid, signal.SIGCONT)
        load.go_on(1500)
        load.finish(all_answered=False)
        check_preloaded(cluster, proxy=2)
    check_healthy(cluster)


# What is refused


@pytest.fixture(scope="module")
def quiet():
    """A ring that nothing is to change, and a stranger of another cluster beside it."""
    from harness import Cluster

    cluster, other = Cluster(), Cluster("--nodes", 1, "--replicas", 1)
    try:
        yield cluster.up(), other.up(), cluster.spawn("empty")
    finally:
        cluster.remove()
        other.remove()


BAD = {
    "a name twice": ("add", "n1={empty}"),
    "a name twice in one command": ("add", "n4={empty}", "n4=127.0.0.1:1"),
    "an address twice": ("add", "n4={empty}", "n5={empty}"),
    "a member's address": ("add", "n4={n1}"),
    "a member under another name of its address": ("add", "n4={n1_localhost}"),
    "an address where nobody is": ("add", "n4=127.0.0.1:1"),
    "an address that is a proxy's": ("add", "n4={proxy}"),
    "an address of another cluster": ("add", "n4={other}"),
    "a host that does not exist": ("add", "n4=no-such-host.invalid:7400"),
    "no address": ("add", "n4"),
    "no port": ("add", "n4=127.0.0.1"),
    "port 0": ("add", "n4=127.0.0.1:0"),
    "port 65536": ("add", "n4=127.0.0.1:65536"),
    "weight 0": ("add", "n4={empty}", "--weight", "0"),
    "weight -1": ("add", "n4={empty}", "--weight", "-1"),
    "a huge weight": ("add", "n4={empty}", "--weight", "10001"),
    "a weight that is no number": ("add", "n4={empty}", "--weight", "heavy"),
    "a zone where no other has one": ("add", "n4={empty}", "--zone", "east"),
    "an option that is not there": ("add", "n4={empty}", "--colour", "red"),
    "a rate of 0": ("add", "n4={empty}", "--rate", "0"),
    "a rate below 0": ("add", "n4={empty}", "--rate", "-1"),
    "too few nodes for the replicas": ("remove", "n3"),
    "nobody left": ("remove", "n1", "n2", "n3"),
    "a node that is not there": ("remove", "n9"),
    "a node twice": ("remove", "n1", "n1"),
    "a replacement that is a member": ("replace", "n1", "n2={n2}"),
    "a replacement of nobody": ("replace", "n9", "n4={empty}"),
    "more replicas than nodes": ("set", "replicas=5"),
    "0 replicas": ("set", "replicas=0"),
    "8 replicas": ("set", "replicas=8"),
    "weight 0 of a member": ("set", "n1", "weight=0"),
    "a setting that is not there": ("set", "n1", "colour=red"),
    "what is so already": ("set", "n1", "weight=1"),
    "a plan that is not there": ("plan", "-f", "/nowhere/plan"),
    "a plan that is a folder": ("plan", "-f", "/"),
    "resume with rubbish": ("resume", "now"),
}


@pytest.mark.parametrize("what", BAD)
def test_refused(quiet, what):
    cluster, other, empty = quiet
    places = {
        **{"empty": empty, "proxy": f"{HOST}:{cluster.port}", "other": f"{HOST}:{other.port_of('n1')}"},
        **{"n1_localhost": f"localhost:{cluster.port_of('n1')}"},
        **{name: f"{HOST}:{cluster.port_of(name)}" for name in ("n1", "n2")},
    }
    words = [word.format(**places) for word in BAD[what]]
    refuse(cluster, *words)


def refuse(cluster, *words):
    """Nothing is changed, and a message says why."""
    before = ring(cluster)["epoch"]
    extra = [] if words[0] == "resume" else ["--yes"]
    done = cluster.ringctl(*words, *extra)
    assert done.returncode in (1, 2), done.stdout
    assert done.stderr.startswith("ringctl") and len(done.stderr) > 20, done.stderr
    assert ring(cluster)["epoch"] == before


PLANS = {
    "empty": "",
    "only a comment": "# nothing\n",
    "rubbish": "\x00\x01\x02\xff" * 100,
    "a byte order mark": "\ufeffadd n4={empty}\n",
    "a command that is not there": "destroy n1\n",
    "good and bad": "add n4={empty}\nremove n9\n",
    "cut": "add n4=",
    "a long line": "add " + "x" * 5000,
    "a large file": "# comment\n" * 200000,
}


@pytest.mark.parametrize("what", PLANS)
def test_refused_plan(quiet, tmp_path, what):
    cluster, _, empty = quiet
    path = tmp_path / "plan"
    path.write_bytes(PLANS[what].replace("{empty}", empty).encode("utf-8", "surrogateescape"))
    refuse(cluster, "plan", "-f", path)


def test_refused_without_a_terminal(quiet):
    """Nobody to ask, and no --yes."""
    cluster, _, empty = quiet
    done = cluster.ringctl("add", f"n4={empty}")
    assert done.returncode == 1 and "--yes" in done.stderr
    assert names(cluster) == {"n1", "n2", "n3"}


def test_nodes_of_two_clusters(quiet):
    cluster, other, _ = quiet
    done = cluster.ringctl("status", nodes=f"{cluster.addresses()},{HOST}:{other.port_of('n1')}")
    assert done.returncode == 1 and "cluster" in done.stderr


def test_dry_run_json(quiet):
    cluster, _, empty = quiet
    plan = json.loads(cluster.ringctl("--json", "add", f"n4={empty}", "--dry-run").stdout)
    assert plan["partitions"] == 256 and plan["replicas_copied"] >= plan["partitions_moved"] > 0
    new = next(node for node in plan["nodes"] if node["name"] == "n4")
    assert not new["before"] and new["after"] and new["holds_after"] > 180 and new["disk_total"] > 0
    assert names(cluster) == {"n1", "n2", "n3"}


# Many changes in a row


class Trouble:
    """Kills something while a change runs, and takes care that it is there again."""

    def __init__(self, cluster, chance):
        self.cluster = cluster
        self.chance = chance
        self.done = []

    def strike(self, process):
        kind = self.chance.choice(["node", "proxy", "ringctl"])
        if kind == "ringctl":
            self.done.append("kill ringctl")
            process.kill()
            return
        members = [m["name"] for m in ring(self.cluster)["members"] if m["state"] == "up"]
        name = self.chance.choice(members) if kind == "node" else f"proxy{self.chance.randint(1, 2)}"
        self.done.append(f"kill {name}")
        pid = self.cluster.pid(name)
        if pid:
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not self.cluster.pid(name), f"{name} to be gone")
            self.cluster.start(name)


def next_change(cluster, chance, spare):
    """Words of a change that is possible, with 3 to 5 nodes."""
    members = sorted(names(cluster))
    kinds = ["replace", "weight", "replicas"] + (["add"] if len(members) < 5 else []) + (
        ["remove"] if len(members) > 3 else []
    )
    kind = chance.choice(kinds)
    victim = chance.choice(members)
    if kind == "add":
        return ["add", f"{spare()}"]
    if kind == "remove":
        return ["remove", victim]
    if kind == "replace":
        return ["replace", victim, spare()]
    if kind == "weight":
        weight = next(m["weight"] for m in ring(cluster)["members"] if m["name"] == victim)
        return ["set", victim, f"weight={weight % 3 + 1}"]
    return ["set", "replicas=3" if ring(cluster)["replicas"] != 3 else "replicas=2"]


def test_many_changes(make_cluster, watched):
    cluster = make_cluster("--proxies", 2)
    chance = random.Random(SEED)
    trouble = Trouble(cluster, chance)
    spawned = 3
    preload(cluster, 8000)

    def spare():
        nonlocal spawned
        spawned += 1
        return f"n{spawned}={cluster.spawn(f'n{spawned}')}"

    with watched(cluster) as load:
        try:
            for _ in range(CHANGES):
                words = next_change(cluster, chance, spare)
                trouble.done.append(" ".join(words))
                process = start_change(cluster, *words, "--rate", "2")
                time.sleep(chance.uniform(0, 1))
                trouble.strike(process)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.communicate(timeout=chance.uniform(0.5, 3))
                process.kill()
                process.communicate()
                done = cluster.ringctl("resume", "--rate", "none")
                assert done.returncode == 0, done.stdout + done.stderr
                check_healthy(cluster)
                for name in set(cluster.nodes()) - names(cluster):
                    retire(cluster, name)
        finally:
            print(f"RING_SEED={SEED} RING_CHANGES={CHANGES}; what was done:", *trouble.done, sep="\n  ")
        load.finish(all_answered=False)
    check_preloaded(cluster, 8000)


def retire(cluster, name):
    """A node that is out of the ring: stopped, its data deleted, as the message says."""
    if cluster.pid(name):
        cluster.kill(name)
    shutil.rmtree(cluster.folder / "cluster" / name / "data", ignore_errors=True)
