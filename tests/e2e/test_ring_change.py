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
from changes import (
    CHANGE_SECONDS,
    SLOW,
    change,
    check_healthy,
    check_preloaded,
    ended,
    moved,
    names,
    preload,
    ring,
    start_change,
    start_ringctl,
)
from harness import HOST, SANITIZE, RawClient, array, bulk, wait_for
from history import Keys, check, read_all, write_history
from load import Load

CHANGES = int(os.environ.get("RING_CHANGES") or 10)
SEED = int(os.environ.get("RING_SEED") or 1)

CLIENTS = 24
LATENCY_SECONDS_MAX = 12 if SANITIZE else 2


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

    def finish(self, all_answered=True):
        """Ends the load."""
        self.go_on()
        self.load.stop()
        if all_answered:
            self.load.check_all_answered(LATENCY_SECONDS_MAX)
        with self.cluster.client() as client:
            operations = self.load.operations + read_all(client, self.keys, CLIENTS)
        write_history(self.path, operations)
        print(check(self.path))


@pytest.fixture
def watched(tmp_path):
    """watched(CLUSTER): a load to run beside what the test does."""
    return lambda cluster, **options: Watched(cluster, tmp_path, **options)


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
        assert code == 1 and "cancelled" in output, output
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
    assert ended(process)[0] == 1
    assert names(cluster) == {"n1", "n2", "n3"}
    check_preloaded(cluster, 20000)
    check_healthy(cluster)


def test_member_dies_on_the_way(make_cluster, watched):
    """And does not come back: the change does not wait for a member that had its partitions before and
    has them after. It can be replaced then."""
    cluster = make_cluster("--proxies", 2)
    preload(cluster, 20000)
    with watched(cluster) as load:
        load.go_on()
        process = start_change(cluster, "add", f"n4={cluster.spawn('n4')}", *SLOW)
        wait_for(lambda: half_way(cluster), "some partitions to have moved", CHANGE_SECONDS)
        cluster.kill("n2")
        done = cluster.ringctl("resume", "--rate", "none")
        assert done.returncode == 0, done.stdout + done.stderr
        assert ended(process)[0] == 0
        change(cluster, "replace", "n2", f"n5={cluster.spawn('n5')}")
        load.finish()
    assert names(cluster) == {"n1", "n3", "n4", "n5"}
    check_preloaded(cluster, 20000)
    check_healthy(cluster)


def test_cancel_with_a_dead_member(make_cluster, watched):
    """It has handed partitions on already, and does not come back: the way back does not wait for ever,
    and then it can be replaced."""
    cluster = make_cluster("--proxies", 2)
    preload(cluster, 20000)
    with watched(cluster) as load:
        load.go_on()
        process = start_change(cluster, "add", f"n4={cluster.spawn('n4')}", *SLOW)
        wait_for(lambda: half_way(cluster), "some partitions to have moved", CHANGE_SECONDS)
        cluster.kill("n2")
        done = cluster.ringctl("cancel", "--rate", "none")
        assert done.returncode == 0, done.stdout + done.stderr
        assert ended(process)[0] == 1
        assert names(cluster) == {"n1", "n2", "n3"}
        change(cluster, "replace", "n2", f"n5={cluster.spawn('n5')}")
        load.finish()
    assert names(cluster) == {"n1", "n3", "n5"}
    check_preloaded(cluster, 20000)
    check_healthy(cluster)


def test_cancel_without_a_majority(make_cluster):
    """What would be stuck for ever is refused, and the change can still go on."""
    cluster = make_cluster("--nodes", 3, "--replicas", 1)
    preload(cluster, 20000)
    process = start_change(cluster, "add", f"n4={cluster.spawn('n4')}", *SLOW)
    wait_for(lambda: half_way(cluster), "some partitions to have moved", CHANGE_SECONDS)
    cluster.kill("n2")
    done = cluster.ringctl("cancel")
    assert done.returncode == 1 and "Start n2 first" in done.stderr, done.stdout + done.stderr
    cluster.start("n2")
    done = cluster.ringctl("resume", "--rate", "none")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ended(process)[0] == 0
    assert names(cluster) == {"n1", "n2", "n3", "n4"}
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


KEPT = range(120)


def asked_while_stopped(client, who):
    """What a client asks a proxy that does not run: reads of all keys, then a write."""
    client.send(b"".join(array("GET", f"fenced:{n}") for n in KEPT) + array("SET", f"late:{who}", "done"))


def check_answers(client):
    """By the newest ring, or not at all."""
    for n in KEPT:
        reply = client.reply()
        assert reply == (bulk(b"new") if n % 3 else b"$-1\r\n"), f"fenced:{n}: {reply}"
    assert client.reply() == b"+OK\r\n"


def test_stopped_proxies_and_nodes(make_cluster):
    """Every member of the old ring is stopped and replaced, one after the other, and two proxies sleep
    since the first and the second of it: when all go on together, a whole old ring is there, proxies
    included, and nobody reads or writes by it."""
    cluster = make_cluster("--proxies", 3)
    with contextlib.ExitStack() as stack:
        clients = {n: [stack.enter_context(cluster.client(n)) for _ in range(4)] for n in (1, 2, 3)}
        for n in KEPT:
            assert clients[1][0].ask("SET", f"fenced:{n}", "old") == b"+OK\r\n"
        for client in clients[2] + clients[3]:  # so that they know who leads
            for n in KEPT:
                assert client.ask("GET", f"fenced:{n}") == bulk(b"old")
        epochs = [ring(cluster)["epoch"]]
        for number, proxy in ((1, "proxy2"), (2, "proxy3"), (3, None)):
            for name in filter(None, (proxy, f"n{number}")):
                cluster.kill(name, "STOP")
            change(cluster, "replace", f"n{number}", f"n{number + 3}={cluster.spawn(f'n{number + 3}')}")
            epochs.append(ring(cluster)["epoch"])
        for n in KEPT:
            words = ("SET", f"fenced:{n}", "new") if n % 3 else ("DEL", f"fenced:{n}")
            assert not clients[1][0].ask(*words).startswith(b"-")
        for who, client in enumerate(clients[2] + clients[3]):
            asked_while_stopped(client, who)
        for name in ("n1", "n2", "n3", "proxy2", "proxy3"):
            os.kill(cluster.pid(name), signal.SIGCONT)
        for client in clients[2] + clients[3]:
            check_answers(client)
        for who in range(8):
            assert clients[1][0].ask("GET", f"late:{who}") == bulk(b"done")
    assert epochs == sorted(set(epochs)) and epochs[-1] - epochs[0] >= 9, epochs
    for name in ("n1", "n2", "n3"):
        wait_for(lambda: "removed from the ring" in cluster.log(name), f"{name} to notice")
    check_healthy(cluster)


# Many changes in a row


class Trouble:
    """Kills something while a change runs, and takes care that it is there again."""

    def __init__(self, cluster, chance):
        self.cluster = cluster
        self.chance = chance
        self.done = []

    def strike(self, process):
        """Somewhen in the change that ringctl has been started to make, or shortly before it begins."""
        if self.chance.random() < 0.8:
            wait_for(lambda: moved(self.cluster) is not None or process.poll() is not None, "a change")
        time.sleep(self.chance.uniform(0, 0.6))
        what = self.choose()
        self.done.append(f"kill -9 {what}, {self.moment()}")
        if what == "ringctl":
            process.kill()
            return
        os.kill(self.cluster.pid(what), signal.SIGKILL)
        wait_for(lambda: not self.cluster.pid(what), f"{what} to be gone")
        time.sleep(self.chance.choice([0, 0.5]))
        self.cluster.start(what)

    def choose(self):
        kind = self.chance.choice(["node", "node", "proxy", "ringctl"])
        members = sorted(m["name"] for m in ring(self.cluster)["members"])
        proxy = f"proxy{self.chance.randint(1, 2)}"
        return {"node": self.chance.choice(members), "proxy": proxy, "ringctl": "ringctl"}[kind]

    def moment(self):
        change = ring(self.cluster).get("change")
        return change and f"{change['partitions_moved']} of {change['partitions']} moved" or "no change"


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


def last_change(cluster):
    changes = json.loads(cluster.ringctl("--json", "history").stdout)["changes"]
    return changes[-1] if changes else None


def change_in_trouble(cluster, trouble, words):
    """Begins a change, hurts it, and has `resume` carry it to its end, or has it made once more when
    ringctl was killed before it had begun."""
    before = last_change(cluster)
    trouble.done.append(" ".join(words))
    process = start_change(cluster, *words, "--rate", "0.3")
    trouble.strike(process)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=trouble.chance.uniform(0, 1))
    process.kill()
    process.communicate()
    done = cluster.ringctl("resume", "--rate", "none")
    assert done.returncode == 0, done.stdout + done.stderr
    if last_change(cluster) == before:
        trouble.done.append("it had not begun")
        change(cluster, *words)
    ended = last_change(cluster)
    assert (ended["what"], ended["outcome"]) == (" ".join(words), "done"), ended


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
                change_in_trouble(cluster, trouble, next_change(cluster, chance, spare))
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
