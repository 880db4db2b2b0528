"""ringctl against nodes that do what the test wants, at the moment that it wants."""

import contextlib
import fcntl
import json
import os
import pty
import random
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

import frames
import pytest
from fake_nodes import ACCEPT, PREPARE, PROGRESS_GET, FakeNodes, epoch_of
from harness import BIN, patiently, run, wait_for

SECONDS_MAX = 60


class Terminal:
    """A program on a terminal."""

    def __init__(self, command, columns=80):
        self.text = ""
        self.own, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.own)

    def type(self, text):
        os.write(self.own, text.encode())

    def expect(self, words, seconds=SECONDS_MAX):
        """Reads until it has written these."""
        deadline = time.monotonic() + patiently(seconds)
        while words not in self.text:
            assert select.select([self.own], [], [], max(0, deadline - time.monotonic()))[0], self.text
            try:
                self.text += os.read(self.own, 4096).decode()
            except OSError:  # it has ended
                assert words in self.text, self.text

    def wait(self):
        return self.process.wait(patiently(SECONDS_MAX))


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
    # In UTC wherever one reads it, as the logs are.
    begun = time.gmtime(history["changes"][0]["begun_unix_ms"] // 1000)
    shown = run(*ring.command("history"), env={**os.environ, "TZ": "Asia/Kolkata"}).stdout
    assert time.strftime(" %Y-%m-%dT%H:%M:%SZ ", begun) in shown
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


def test_carried_through_by_others(ring):
    """One node has accepted a change when its ringctl is halted; another one decides it, a third ends it.
    The first sees that this was its own."""
    process, started, halted = None, threading.Event(), threading.Event()

    def halt(kind):
        if kind != ACCEPT:
            return None
        if not halted.is_set():
            started.wait()
            process.send_signal(signal.SIGSTOP)
            halted.set()
        return "drop"

    for node in ring.nodes[1:3]:
        node.on = halt
    process = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    started.set()
    assert halted.wait(patiently(SECONDS_MAX))
    wait_for(lambda: ring.nodes[0].accepted_ring, "the first to accept")
    for node in ring.nodes:
        node.on = lambda kind: None
    done = ring.ringctl("set", "n1", "weight=2", "--yes")
    assert done.returncode == 1 and "add n4" in done.stderr and "'ringctl resume' goes on" in done.stderr, done.stderr
    assert ring.ringctl("resume").returncode == 0
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate(timeout=patiently(SECONDS_MAX))
    assert process.returncode == 0 and "done: epoch" in output, output


def test_cancelled_by_another(ring):
    """Whoever asked for a change that somebody else took back is told by the exit code, too."""
    for node in ring.nodes:
        node.ready = False
    process = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    wait_for(lambda: "change" in ring.status(), "the change to begin")
    ring.fakes.ready_soon(1)
    assert ring.ringctl("cancel").returncode == 0
    output, _ = process.communicate(timeout=patiently(SECONDS_MAX))
    assert process.returncode == 1 and "cancelled" in output, output


def test_cancelled_change_cannot_end(ring):
    """With one replica a partition goes back to one node: it is said that only that one ends it."""
    assert ring.ringctl("set", "replicas=1", "--yes").returncode == 0
    seen = []

    def on(kind):
        seen.append(kind)
        return "drop" if kind == PREPARE and seen.count(PREPARE) > 9 else None

    for node in ring.nodes:
        node.on = on
    process = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    wait_for(lambda: 0 < ring.status().get("change", {}).get("partitions_moved", 0), "some to have moved")
    wait_for(lambda: seen.count(PREPARE) > 9, "it to stand still")
    process.kill()
    process.communicate()
    for node in ring.nodes:
        node.on = lambda kind: None
        node.ready = False
    process = ring.start("cancel")
    wait_for(lambda: ring.status()["change"]["cancelled"], "the change to be cancelled")
    for node in ring.nodes[:3]:
        node.stop()
    line = ""
    while "are no majority; start it with its data" not in line:
        line = process.stdout.readline()
        assert line, "it ended"
    for node in ring.nodes[:3]:
        node.start()
    for node in ring.nodes:
        node.ready = True
    output, _ = process.communicate(timeout=patiently(SECONDS_MAX))
    assert process.returncode == 0 and "cancelled" in output, output


def test_disk_full(ring):
    """Nodes that cannot write down what they promise: it is said, and that nothing was begun."""
    for node in ring.nodes[1:3]:
        node.promise_error = frames.NOSPACE
    done = ring.add()
    assert done.returncode == 1 and "not begun" in done.stderr, done.stderr
    assert f"{ring.nodes[2].address()}: cannot write down" in done.stderr and "no space left" in done.stderr
    for node in ring.nodes:
        node.promise_error = 0
    assert ring.add().returncode == 0


def test_check_while_replicas_change(ring):
    """Partitions that have as many replicas as they shall have already are not told to lack any."""
    seen = []

    def on(kind):
        seen.append(kind)
        return "drop" if kind == PREPARE and seen.count(PREPARE) > 12 else None

    for node in ring.nodes:
        node.on = on
    process = ring.start("set", "replicas=1", "--yes")
    wait_for(lambda: 0 < ring.status().get("change", {}).get("partitions_moved", 0), "some to have moved")
    wait_for(lambda: seen.count(PREPARE) > 12, "it to stand still")
    process.kill()
    process.communicate()
    for node in ring.nodes:
        node.on = lambda kind: None
    assert 0 < ring.status()["change"]["partitions_moved"] < 64
    found = ring.ringctl("check").stdout
    assert "a change is unfinished" in found and "replicas up" not in found, found
    assert ring.ringctl("resume").returncode == 0


def test_check_while_a_change_is_open(ring):
    """What mends a dead member then: nobody can be replaced before the change has ended."""
    for node in ring.nodes:
        node.ready = False
    process = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    wait_for(lambda: "change" in ring.status(), "the change to begin")
    process.kill()
    process.communicate()
    ring.nodes[1].stop()
    ring.spare.stop()
    lines = ring.ringctl("check").stdout.splitlines()
    mends = {what.split()[0]: mend for what, mend in zip(lines, lines[1:]) if " is down: " in what}
    assert mends["n2"].endswith("ringctl replace n2 NEW=HOST:PORT, once the change has ended (ringctl resume)"), lines
    assert mends["n4"].endswith("if its data is lost: ringctl cancel, and add it anew"), lines


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE])
def test_interrupted(ring, number):
    for node in ring.nodes:
        node.ready = False
    process = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    wait_for(lambda: "change" in ring.status(), "the change to begin")
    process.send_signal(number)
    output, _ = process.communicate(timeout=patiently(SECONDS_MAX))
    assert process.returncode == 1 and "resume" in output, output


def test_interrupted_while_it_begins(ring):
    """The first epoch is decided nevertheless, and it is said how to go on."""
    process, started, begun = None, threading.Event(), threading.Event()

    def on(kind):
        if kind == PREPARE and not begun.is_set():
            started.wait()
            begun.set()
            process.send_signal(signal.SIGINT)
        return None

    for node in ring.nodes:
        node.on = on
        node.ready = False
    process = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    started.set()
    output, _ = process.communicate(timeout=patiently(SECONDS_MAX))
    assert begun.is_set() and process.returncode == 1 and "'ringctl resume' goes on" in output, output
    assert "change" in ring.status()


def test_watch(ring):
    for node in ring.nodes:
        node.ready = False
    process = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    wait_for(lambda: "change" in ring.status(), "the change to begin")
    watcher = ring.start("status", "--watch")
    line = watcher.stdout.readline()
    assert "partitions" in line, line
    for node in ring.nodes:
        node.ready = True
    output, _ = watcher.communicate(timeout=patiently(SECONDS_MAX))
    assert watcher.returncode == 0 and "done" in output, output
    assert process.wait(patiently(SECONDS_MAX)) == 0
    process.stdout.close()


def test_watch_of_what_nobody_drives(ring):
    """Whoever watches is told after a while that nothing moves, and what goes on with it."""
    for node in ring.nodes:
        node.ready = False
    process = ring.start("add", f"n4={ring.spare.address()}", "--yes")
    wait_for(lambda: "change" in ring.status(), "the change to begin")
    process.kill()
    process.communicate()
    watcher = ring.start("--json", "status", "--watch")
    line = ""
    while "'ringctl resume' goes on with it" not in line:
        line = watcher.stdout.readline()
        assert line, "it ended"
    assert json.loads(line)["waiting"].startswith("does not move")
    watcher.kill()
    watcher.communicate()


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


def test_waits_on_a_narrow_terminal(ring):
    """The bar has one line; for whom it waits, and what ends that, is not cut."""
    for node in ring.nodes:
        node.ready = False
    with Terminal(ring.command("add", f"n4={ring.spare.address()}"), columns=40) as terminal:
        terminal.expect("Change the ring? [y/N] ")
        terminal.type("y\n")
        wait_for(lambda: "change" in ring.status(), "the change to begin")
        ring.spare.stop()
        terminal.expect("waits for n4 to answer: start it, or 'ringctl cancel'\r\n")
        ring.spare.start()
        for node in ring.nodes:
            node.ready = True
        terminal.expect("done: epoch")
        assert terminal.wait() == 0
    bars = [bar for bar in re.findall(r"\r([^\r\n]*)\x1b\[K", terminal.text) if bar]
    assert bars and max(map(len, bars)) < 40


def test_no_answer_to_the_question(ring):
    """The end of input, or anything but yes, changes nothing."""
    for typed in ("\x04", "n\n", "\n"):
        with Terminal(ring.command("add", f"n4={ring.spare.address()}")) as terminal:
            terminal.expect("Change the ring? [y/N] ")
            terminal.type(typed)
            terminal.expect("\nringctl: nothing was changed\r\n")
            assert terminal.wait() == 1
    assert ring.members() == {"n1", "n2", "n3"}


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


def test_what_is_so_already(ring):
    """Done, not refused: who sets a ring up by a script gives the same again."""
    before = [node.ring for node in ring.nodes]
    for words in (["set", "n1", "weight=1"], ["set", "replicas=3"], ["rebalance"]):
        for options in (["--yes"], []):
            done = ring.ringctl(*words, *options)
            assert done.returncode == 0 and done.stdout.endswith("the ring is like that already: nothing to change\n"), done
    assert json.loads(ring.ringctl("--json", "set", "n1", "weight=1").stdout)["event"] == "done"
    assert [node.ring for node in ring.nodes] == before


def test_lost_ring_file(ring):
    """A member that has lost its ring gets it from resume."""
    ring.nodes[1].ring = b""
    found = ring.ringctl("check")
    assert found.returncode == 1 and "n2 is up and in no ring: it has lost its file 'ring'\n    ringctl resume" in found.stdout
    assert ring.ringctl("resume").returncode == 0
    assert ring.nodes[1].ring == ring.nodes[0].ring


def test_nodes_are_asked_beside_each_other(ring):
    """Nodes that hang cost one timeout, however many they are: here none answers before all are asked."""
    all_asked = threading.Barrier(3)

    def wait_for_others(kind):
        if kind == frames.STATUS_GET:
            all_asked.wait(patiently(SECONDS_MAX))

    for node in ring.nodes[:3]:
        node.on = wait_for_others
    done = ring.ringctl("--timeout", 20000, "--json", "status")
    assert done.returncode == 0, done.stderr
    assert {member["state"] for member in json.loads(done.stdout)["members"]} == {"up"}


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
