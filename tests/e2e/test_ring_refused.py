"""Changes of the ring that are refused: a message says what was wrong, and nothing has changed."""

import json

import pytest
from changes import names
from harness import HOST, Cluster


@pytest.fixture(scope="module")
def quiet():
    """A ring that nothing is to change, a node that is in none, and another cluster beside them."""
    cluster, other = Cluster(), Cluster("--nodes", 1, "--replicas", 1)
    try:
        yield cluster.up(), other.up(), cluster.spawn("empty")
    finally:
        cluster.remove()
        other.remove()


WEIGHT = "a weight is a whole number from 1 to 10000"
RATE = "--rate is in MB a second, such as 20 or 2.5, or 'none'"

# What is wrong: the words, and a part of what they are answered.
BAD = {
    "a name twice": ("add n1={empty}", "the name n1 is taken, by the node at {n1}"),
    "a name twice in one command": ("add n4={empty} n4=127.0.0.1:1", "the name n4 is taken"),
    "a name that is none": ("add a/b={empty}", "a NAME is 1 to 32 letters"),
    "an address twice": ("add n4={empty} n5={empty}", "n4 is at {empty} already; n5 needs an address of its own"),
    "a node twice by two names of its host": (
        "add n4={empty} n5={empty_localhost}", "n4 and n5 are the same node",
    ),
    "a member's address": ("add n4={n1}", "n1 is at {n1} already"),
    "a member under another name of its address": ("add n4={n1_localhost}", "is the ring's member n1"),
    "an address where nobody is": ("add n4=127.0.0.1:1", "Connection refused; is ringnode started there?"),
    "one that is there and one that is not": ("add n4={empty} n5=127.0.0.1:1", "n5: 127.0.0.1:1: Connection refused"),
    "an address that is a proxy's": ("add n4={proxy}", "does not answer as a ringnode of this version does"),
    "an address of another cluster": ("add n4={other}", "the node at {other} belongs to another cluster"),
    "a host that does not exist": ("add n4=no-such-host.invalid:7400", "n4: no-such-host.invalid:7400: "),
    "no address": ("add n4", "'n4' is not NAME=HOST:PORT"),
    "no port": ("add n4=127.0.0.1", "'127.0.0.1' is not the address of n4; write HOST:PORT"),
    "port 0": ("add n4=127.0.0.1:0", "'127.0.0.1:0' is not the address of n4"),
    "port 65536": ("add n4=127.0.0.1:65536", "'127.0.0.1:65536' is not the address of n4"),
    "nothing to add": ("add", "add needs at least one NAME=HOST:PORT"),
    "weight 0": ("add n4={empty} --weight 0", f"the weight of n4 is '0'; {WEIGHT}"),
    "weight -1": ("add n4={empty} --weight -1", f"the weight of n4 is '-1'; {WEIGHT}"),
    "a large weight": ("add n4={empty} --weight 10001", f"the weight of n4 is '10001'; {WEIGHT}"),
    "a huge weight": ("add n4={empty} --weight " + "9" * 30, WEIGHT),
    "a weight that is no number": ("add n4={empty} --weight heavy", WEIGHT),
    "a weight behind the address": ("add n4={empty}::0", WEIGHT),
    "a weight before its node": ("add --weight 2 n4={empty}", "--weight stands before any NAME=HOST:PORT"),
    "a zone where no other has one": ("add n4={empty} --zone east", "give every member a zone or none"),
    "an option that is not there": ("add n4={empty} --colour red", "unknown option '--colour'"),
    "a rate of 0": ("add n4={empty} --rate 0", f"{RATE}, not '0'"),
    "a rate below 0": ("add n4={empty} --rate -1", f"{RATE}, not '-1'"),
    "a rate that is no number": ("add n4={empty} --rate fast", f"{RATE}, not 'fast'"),
    "too few nodes for the replicas": ("remove n3", "3 replicas need as many nodes, and there would be 2"),
    "nobody left": ("remove n1 n2 n3", "no member would be left"),
    "a node that is not there": ("remove n9", "the ring has no member n9; 'ringctl status' lists its members"),
    "a node twice": ("remove n1 n1", "n1 is named in two changes at once"),
    "a replacement that is a member": ("replace n1 n2={n2}", "the name n2 is taken"),
    "a replacement of nobody": ("replace n9 n4={empty}", "the ring has no member n9"),
    "a replacement with a weight": ("replace n1 n4={empty}::3", "n4 takes the zone and weight of n1"),
    "a replacement by nobody": ("replace n1 n4=127.0.0.1:1", "Connection refused"),
    "more replicas than nodes": ("set replicas=5", "5 replicas need as many nodes, and there would be 3"),
    "0 replicas": ("set replicas=0", "replicas=0 is not possible; 1 to 7 are"),
    "8 replicas": ("set replicas=8", "replicas=8 is not possible; 1 to 7 are"),
    "weight 0 of a member": ("set n1 weight=0", f"the weight of n1 is '0'; {WEIGHT}"),
    "a negative weight of a member": ("set n1 weight=-5", f"the weight of n1 is '-5'; {WEIGHT}"),
    "a huge weight of a member": ("set n1 weight=4294967297", f"the weight of n1 is '4294967297'; {WEIGHT}"),
    "a setting that is not there": ("set n1 colour=red", "'colour=red' is neither weight=W nor zone=Z"),
    "a setting of nobody": ("set n9 weight=2", "the ring has no member n9"),
    "a plan that is not there": ("plan -f /nowhere/plan", "cannot open /nowhere/plan: No such file"),
    "a plan that is a folder": ("plan -f /", "cannot read /: Is a directory"),
    "no plan": ("plan", "-f FILE is needed"),
}  # fmt: skip

# Where there is nothing to be steered.
STEERING = {
    "resume with rubbish": ("resume now", "'now' is not expected"),
    "pause of nothing": ("pause", "nothing is being changed"),
    "cancel of nothing": ("cancel", "nothing is being changed"),
    "rate of nothing": ("rate 5", "nothing is being changed"),
    "a rate without a number": ("rate", "ringctl rate"),
}


def places(cluster, other, empty):
    """What stands for addresses in the words above."""
    return {
        **{"empty": empty, "proxy": f"{HOST}:{cluster.port}", "other": f"{HOST}:{other.port_of('n1')}"},
        **{"n1_localhost": f"localhost:{cluster.port_of('n1')}"},
        **{"empty_localhost": f"localhost:{cluster.port_of('empty')}"},
        **{name: f"{HOST}:{cluster.port_of(name)}" for name in ("n1", "n2")},
    }


def shape(cluster, empty):
    """All that a change would change: the ring, what is told of changes, and that `empty` has no ring."""
    status = cluster.status()
    members = [[m[key] for key in ("name", "address", "zone", "weight")] for m in status["members"]]
    history = json.loads(cluster.ringctl("--json", "history").stdout)
    alone = cluster.ringctl("status", nodes=empty)
    assert alone.returncode == 1 and "no ring" in alone.stderr, alone.stdout + alone.stderr
    return status["epoch"], status["replicas"], status.get("change"), members, history


def refuse(quiet, words, expected, confirm=("--yes",)):
    cluster, other, empty = quiet
    before = shape(cluster, empty)
    done = cluster.ringctl(*words, *confirm)
    assert done.returncode in (1, 2) and done.stdout == "", done.stdout
    assert done.stderr.startswith("ringctl"), done.stderr
    assert expected.format(**places(cluster, other, empty)) in done.stderr, done.stderr
    assert shape(cluster, empty) == before


@pytest.mark.parametrize("what", BAD)
def test_refused(quiet, what):
    words, expected = BAD[what]
    refuse(quiet, words.format(**places(*quiet)).split(), expected)


@pytest.mark.parametrize("what", STEERING)
def test_nothing_to_steer(quiet, what):
    words, expected = STEERING[what]
    refuse(quiet, words.split(), expected, confirm=())


# A plan file, and a part of what it is answered; `good` shows that one line does not do its own.
GOOD = "add n4={empty}\n"
PLANS = {
    "empty": ("", "the file asks for nothing; write a line such as 'add n4=10.0.0.4:7400'"),
    "only a comment": ("# nothing\n", "the file asks for nothing"),
    "rubbish": ("\x00\x01\x02\xff" * 100, "line 1 has characters that are not ASCII text"),
    "good and rubbish": (GOOD + "\x07\x1b[2J\n", "line 2 has characters that are not ASCII text"),
    "a byte order mark": ("\ufeff" + GOOD, "line 1 has characters that are not ASCII text"),
    "a command that is not there": ("destroy n1\n", "line 1: 'destroy' is not a change; add, remove, replace, set"),
    "good and a name that is not there": (GOOD + "remove n9\n", "the ring has no member n9"),
    "good and a weight of 0": (GOOD + "\nset n1 weight=0\n", f"line 3: the weight of n1 is '0'; {WEIGHT}"),
    "the same twice": (GOOD + GOOD, "the name n4 is taken"),
    "removed and changed": (GOOD + "remove n1\nset n1 weight=2\n", "n1 is named in two changes at once"),
    "cut": ("add n4=", "line 1: '' is not the address of n4"),
    "an option of a change": (GOOD.strip() + " --yes\n", "line 1: "),
    "a long line": ("add " + "x" * 5000, "line 1 is longer than 1024 bytes"),
    "many words": ("remove " + "a " * 500, "words; write several lines"),
    "a large file": ("# comment\n" * 200000, "a plan file has at most 1048576 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("what", PLANS)
def test_refused_plan(quiet, tmp_path, what):
    text, expected = PLANS[what]
    path = tmp_path / "plan"
    path.write_bytes(text.replace("{empty}", quiet[2]).encode("utf-8", "surrogateescape"))
    refuse(quiet, ["plan", "-f", path], expected)


def test_refused_without_a_terminal(quiet):
    """Nobody to ask, and no --yes."""
    cluster, _, empty = quiet
    before = shape(cluster, empty)
    done = cluster.ringctl("add", f"n4={empty}")
    assert done.returncode == 1 and "--yes" in done.stderr
    assert shape(cluster, empty) == before


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
