"""ringctl against nodes that do what the test wants, at the moment that it wants."""

import contextlib
import json
import random
import signal
import subprocess
import threading
import time

import frames
import pytest
from fake_nodes import ACCEPT, PREPARE, PROGRESS_GET, FakeNodes, epoch_of
from harness import BIN, patiently, run, wait_for

SECONDS_MAX = 60


class Ring:
    """Three fake nodes n1 to n3 in a ring, and one, n4, in none."""

    def __init__(self, count=3):
        self.fakes = FakeNodes(count + 1)
        self.nodes = self.fakes.nodes
        words = [f"n{i + 1}={node.address()}" for i, node in enumerate(self.nodes[:count])]
        done = run(BIN / "ringctl", "init", *words, "--partitions", "64")
        assert done.returncode == 0, done.stderr
        self.spare = self.nodes[-1]

    def command(self, *words):
        nodes = ",".join(node.address() for node in self.nodes)
        return [str(BIN / "ringctl"), "--timeout", "500", "--nodes", nodes, *map(str, words)]

    def ringctl(self, *words, timeout=SECONDS_MAX):
        return run(*self.command(*words), timeout=timeout)

    def start(self, *words):
        return subprocess.Popen(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def status(self):
        done = self.ringctl("--json", "status")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def members(self):
        return {m["name"] for m in self.status()["members"]}

    def add(self):
        return self.ringctl("add", f"n4={self.spare.address()}", "--yes")

    def check_one_ring(self):
        """No two nodes have different rings of one epoch."""
        by_epoch = {}
        for node in self.nodes:
            if node.ring:
                assert by_epoch.setdefault(epoch_of(node.ring), node.ring) == node.ring


@pytest.fixture
def ring():
    made = Ring()
    yield made
    made.check_one_ring()
    made.fakes.remove()


def once(node, kind, action):
    """The next message of a kind is met with `action` instead of an answer; a list tells whether it was."""
    met = []

    def on(got):
        if got == kind and not met:
            met.append(got)
            return action
        return None

    node.on = on
    return met


def test_add(ring):
    done = ring.add()
    assert done.returncode == 0, done.stdout + done.stderr
    assert ring.members() == {"n1", "n2", "n3", "n4"}
    assert len({node.ring for node in ring.nodes}) == 1
    assert "change" not in ring.status()
    history = json.loads(ring.ringctl("--json", "history").stdout)
    assert history["changes"][0]["outcome"] == "done"
    assert history["epoch"] == epoch_of(ring.nodes[0].ring) < 60
    assert ring.ringctl("check").returncode == 0


def test_json_lines(ring):
    done = ring.ringctl("--json", "add", f"n4={ring.spare.address()}", "--yes")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["event"] == "plan" and events[-1]["event"] == "done"
    assert all(event["event"] == "progress" for event in events[1:-1])


def test_one_node_dead(ring):
    ring.nodes[1].stop()
    done = ring.ringctl("replace", "n2", f"n4={ring.spare.address()}", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ring.members() == {"n1", "n3", "n4"}


def test_majority_dead(ring):
    for node in ring.nodes[1:3]:
        node.stop()
    done = ring.add()
    assert done.returncode == 1 and "2 of the 3" in done.stderr, done.stderr
    for node in ring.nodes[1:3]:
        node.start()
    assert ring.members() == {"n1", "n2", "n3"}
    assert ring.add().returncode == 0


@pytest.mark.parametrize("kind", [PREPARE, ACCEPT, frames.RING_PUT, PROGRESS_GET])
@pytest.mark.parametrize("action", ["drop", "close"])
def test_lost_message(ring, kind, action):
    """One node does not answer once: the others are a majority, and it is told later."""
    met = once(ring.nodes[2], kind, action)
    done = ring.add()
    assert done.returncode == 0, done.stdout + done.stderr
    assert met
    ring.fakes.spread()
    assert ring.members() == {"n1", "n2", "n3", "n4"}


@pytest.mark.parametrize("kind", [PREPARE, ACCEPT, frames.RING_PUT, PROGRESS_GET])
@pytest.mark.parametrize("after", [1, 2, 3, 5, 8])
def test_killed(ring, kind, after):
    """ringctl is killed when the so-manieth message of a kind comes: what was decided stays, resume ends
    it, or the same command begins it."""
    seen, process = [0], None
    begun = threading.Event()

    def on(got):
        if got == kind:
            seen[0] += 1
            if seen[0] == after:
                begun.wait()
                process.send_signal(signal.SIGKILL)
        return None

    for node in ring.nodes:
        node.on = on
    process = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    begun.set()
    process.communicate(timeout=patiently(SECONDS_MAX))
    for node in ring.nodes:
        node.on = lambda kind: None
    ring.check_one_ring()
    done = ring.ringctl("resume")
    assert done.returncode == 0, done.stdout + done.stderr
    if ring.members() == {"n1", "n2", "n3"}:
        done = ring.add()
        assert done.returncode == 0 or "meanwhile" in done.stderr, done.stdout + done.stderr
        if done.returncode:
            assert ring.ringctl("resume").returncode == 0
    assert ring.members() == {"n1", "n2", "n3", "n4"}
    assert "change" not in ring.status()


@pytest.mark.parametrize("told", range(4))
def test_killed_when_it_has_told_one(ring, told):
    """ringctl is killed when one node has got the decided ring, and no other: resume tells it to them."""
    heard = threading.Event()

    def on_of(node):
        def on(kind):
            if kind != frames.RING_PUT:
                return None
            if node is not ring.nodes[told]:
                return "drop"
            heard.set()
            return None

        return on

    for node in ring.nodes:
        node.on = on_of(node)
    process = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    assert heard.wait(patiently(SECONDS_MAX))
    process.kill()
    process.communicate()
    wait_for(lambda: epoch_of(ring.nodes[told].ring) == 2, "it to be told")
    assert all(epoch_of(node.ring) < 2 for node in ring.nodes if node is not ring.nodes[told])
    for node in ring.nodes:
        node.on = lambda kind: None
    done = ring.ringctl("resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ring.members() == {"n1", "n2", "n3", "n4"}
    ring.check_one_ring()


def test_accepted_by_one_and_forgotten(ring):
    """One node has accepted a change of a ringctl that is gone: the next one finishes that, and says so."""
    for node in ring.nodes[1:3]:
        node.on = lambda kind: "drop" if kind == ACCEPT else None
    process = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    wait_for(lambda: ring.nodes[0].accepted_ring, "the first to accept")
    process.kill()
    process.communicate()
    for node in ring.nodes:
        node.on = lambda kind: None
    done = ring.ringctl("set", "n1", "weight=2", "--yes")
    assert done.returncode == 1 and "add n4" in done.stderr and "meanwhile" in done.stderr, done.stderr
    assert ring.ringctl("resume").returncode == 0
    assert ring.members() == {"n1", "n2", "n3", "n4"}


def test_two_at_once(ring):
    """However they meet, one change is made, or both, one after the other; never half of each."""
    other = ring.fakes.add()
    processes = [
        ring.start("add", f"{name}={node.address()}", "--yes") for name, node in (("n4", ring.spare), ("n5", other))
    ]
    outcomes = [process.communicate(timeout=patiently(SECONDS_MAX)) + (process.returncode,) for process in processes]
    codes = [code for _, _, code in outcomes]
    assert 0 in codes, outcomes
    for output, _, code in outcomes:
        assert code == 0 or "epoch" in output or "already" in output, output
    expected = {"n1", "n2", "n3"} | {name for name, code in zip(("n4", "n5"), codes) if code == 0}
    assert ring.members() == expected


def test_many_drivers(ring):
    """Several ringctl at the same change, and one that steers it."""
    for node in ring.nodes:
        node.ready = False
    first = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    wait_for(lambda: "change" in ring.status(), "the change to begin")
    others = [ring.start("resume") for _ in range(3)]
    assert ring.ringctl("rate", "7").returncode == 0
    assert ring.status()["change"]["bytes_per_second_max"] == 7000000
    for node in ring.nodes:
        node.ready = True
    for process in (first, *others):
        output, _ = process.communicate(timeout=patiently(SECONDS_MAX))
        assert process.returncode == 0, output
    assert ring.members() == {"n1", "n2", "n3", "n4"}


def test_pause_resume_cancel(ring):
    for node in ring.nodes:
        node.ready = False
    first = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    wait_for(lambda: "change" in ring.status(), "the change to begin")
    assert ring.ringctl("pause").returncode == 0
    output, _ = first.communicate(timeout=patiently(SECONDS_MAX))
    assert first.returncode == 1 and "paused" in output
    assert ring.status()["change"]["paused"]
    check = ring.ringctl("check")
    assert check.returncode == 1 and "ringctl resume" in check.stdout
    refused = ring.ringctl("remove", "n1", "--yes")
    assert refused.returncode == 1 and "add n4" in refused.stderr
    for node in ring.nodes:
        node.ready = True
    done = ring.ringctl("cancel")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ring.members() == {"n1", "n2", "n3"}
    assert json.loads(ring.ringctl("--json", "history").stdout)["changes"][-1]["outcome"] == "cancelled"


def test_interrupted(ring):
    for node in ring.nodes:
        node.ready = False
    process = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    wait_for(lambda: "change" in ring.status(), "the change to begin")
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=patiently(SECONDS_MAX))
    assert process.returncode == 1 and "resume" in output, output


def test_watch(ring):
    for node in ring.nodes:
        node.ready = False
    process = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    wait_for(lambda: "change" in ring.status(), "the change to begin")
    watcher = ring.start("status", "--watch")
    time.sleep(0.3)
    for node in ring.nodes:
        node.ready = True
    output, _ = watcher.communicate(timeout=patiently(SECONDS_MAX))
    assert watcher.returncode == 0 and "partitions" in output and "done" in output, output
    assert process.wait(patiently(SECONDS_MAX)) == 0
    process.stdout.close()


def test_waits_for_the_new_node(ring):
    """The node that joins dies: the line says so; it comes back, and all goes on."""
    for node in ring.nodes:
        node.ready = False
    process = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    wait_for(lambda: "change" in ring.status(), "the change to begin")
    ring.spare.stop()
    line = ""
    while "waits for n4" not in line:
        line = process.stdout.readline()
        assert line, "it ended"
    ring.spare.start()
    for node in ring.nodes:
        node.ready = True
    output, _ = process.communicate(timeout=patiently(SECONDS_MAX))
    assert process.returncode == 0, output


def test_another_version(ring):
    for options in ({"version": "9.9.9"}, {"frame_version": frames.VERSION - 1}, {"frame_version": frames.VERSION + 1}):
        stranger = ring.fakes.add(**options)
        done = ring.ringctl("add", f"n5={stranger.address()}", "--yes")
        assert done.returncode == 1 and "version" in done.stderr, done.stderr
    assert ring.members() == {"n1", "n2", "n3"}


def test_was_a_member(ring):
    """A node that has left has to be emptied before it may come again."""
    assert ring.add().returncode == 0
    assert ring.ringctl("remove", "n2", "--yes").returncode == 0
    done = ring.ringctl("add", f"n7={ring.nodes[1].address()}", "--yes")
    assert done.returncode == 1 and "before" in done.stderr, done.stderr


def test_lost_ring_file(ring):
    """A member that has lost its ring gets it from resume."""
    ring.nodes[1].ring = b""
    assert ring.ringctl("check").returncode == 1
    assert ring.ringctl("resume").returncode == 0
    assert ring.nodes[1].ring == ring.nodes[0].ring


def test_dead_nodes_cost_one_timeout(ring):
    """Nodes that hang are asked beside the others, not one after the other."""
    for node in ring.nodes[1:3]:
        node.on = lambda kind: "drop"
    begun = time.monotonic()
    assert ring.ringctl("status").returncode == 0
    assert time.monotonic() - begun < 1.5


def test_random_order(ring):
    """Random losses throughout: whatever happens, there is one ring an epoch, and an end."""
    chance = random.Random(1)
    for node in ring.nodes:
        node.on = lambda kind: "close" if chance.random() < 0.03 else None
    with contextlib.suppress(subprocess.TimeoutExpired):
        ring.ringctl("add", f"n4={ring.spare.address()}", "--yes", timeout=20)
    for node in ring.nodes:
        node.on = lambda kind: None
    ring.check_one_ring()
    ring.fakes.spread()
    assert ring.ringctl("resume").returncode == 0
    if "n4" not in ring.members():
        assert ring.add().returncode == 0
    assert ring.members() == {"n1", "n2", "n3", "n4"}
