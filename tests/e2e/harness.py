"""What the end-to-end tests share: clusters of real processes, raw connections, ports, waiting."""

import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("RINGKV_BIN") or ROOT / "build")
HOST = "127.0.0.1"
PORT_BLOCK = 100  # what tools/ringlocal takes from --port on

# tools/ringlocal as a module: asking it who is up without a process of its own is quicker.
_loader = importlib.machinery.SourceFileLoader("ringlocal", str(ROOT / "tools/ringlocal"))
ringlocal = importlib.util.module_from_spec(importlib.util.spec_from_loader("ringlocal", _loader))
_loader.exec_module(ringlocal)

# Set by tests/run: address,undefined or thread. Programs are then slower and larger.
SANITIZE = os.environ.get("RINGKV_SANITIZE", "")

# How many times as long as with a plain build a test waits before it gives up. Everything that waits goes by it:
# wait_for and run by themselves, what a test waits for by other means through patiently().
PATIENCE = {"": 1, "thread": 6}.get(SANITIZE, 4)

# The daemons' request_timeout: the default, or one that a slow build does not run into.
REQUEST_SECONDS = 20 if SANITIZE else 2

# What makes the daemons of a cluster, or a ringproxy that a test starts itself, as patient as that.
PATIENT, PATIENT_PROXY = [], []
if SANITIZE:
    for setting in (f"request_timeout={REQUEST_SECONDS}s", "node_timeout=2s"):
        PATIENT += ["--proxy", setting, "--node", f"replication.{setting}"]
        PATIENT_PROXY += ["--set", f"proxy.{setting}"]

SANITIZER_FINDING = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:")


def patiently(seconds):
    """How long to wait with this build for what a plain one must have done after so many seconds."""
    return seconds * PATIENCE


REPLY_SECONDS = patiently(30)


def wait_for(condition, what, seconds=30):
    """Polls until condition() is true, returns what it returned; fails naming `what`."""
    seconds = patiently(seconds)
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)


def resident_bytes(pid):
    """A process's resident memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


class PortBlock:
    """A hundred ports below the ephemeral ones for one test. Its last port is bound as long as the
    block is in use, so that tests that run at the same time take different ones."""

    def __init__(self):
        for base in range(10000, 32000, PORT_BLOCK):
            guard = socket.socket()
            try:
                guard.bind((HOST, base + PORT_BLOCK - 1))
                for offset in (*range(0, 4), *range(20, 28), *range(90, 95)):
                    with socket.socket() as probe:
                        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        probe.bind((HOST, base + offset))
            except OSError:
                guard.close()
                continue
            self.base, self.guard = base, guard
            return
        raise RuntimeError("no free ports")

    def other(self, number=0):
        """A port of the block that ringlocal leaves alone in clusters of a test's size."""
        return self.base + 90 + number

    def release(self):
        self.guard.close()


# RESP


def array(*words):
    """A command as a RESP array."""
    out = b"*%d\r\n" % len(words)
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        out += b"$%d\r\n%s\r\n" % (len(word), word)
    return out


class RawClient:
    """A connection that sends exact bytes and gives replies back as the bytes that came."""

    def __init__(self, port, timeout=REPLY_SECONDS, source=None, host=HOST):
        self.socket = socket.create_connection(
            (host, port), timeout, source_address=(source, 0) if source else None
        )
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        """The raw bytes of one whole reply; b"" at the end of the stream."""
        head = self.stream.readline()
        kind, rest = head[:1], head[1:].strip()
        if kind in (b"$", b"=") and rest != b"-1":
            return head + self.stream.read(int(rest) + 2)
        if kind in (b"*", b"~", b"%") and rest != b"-1":
            count = int(rest) * (2 if kind == b"%" else 1)
            return head + b"".join(self.reply() for _ in range(count))
        return head

    def ask(self, *words):
        self.send(array(*words))
        return self.reply()

    def exchange(self, data, count):
        self.send(data)
        return [self.reply() for _ in range(count)]

    def rest(self):
        """Everything until the other side closes."""
        try:
            return self.stream.read()
        except ConnectionResetError:
            return b""

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)


def bulk(data):
    return b"$%d\r\n%s\r\n" % (len(data), data)


def elements(reply):
    """The elements of a raw array (or map, or set) reply, raw, nested ones as lists."""
    stream = reply

    def parse(at):
        end = stream.index(b"\r\n", at)
        kind, rest = stream[at : at + 1], stream[at + 1 : end]
        if kind in b"$=" and rest != b"-1":
            return stream[end + 2 : end + 2 + int(rest)], end + 4 + int(rest)
        if kind in b"*~%" and rest != b"-1":
            found, at = [], end + 2
            for _ in range(int(rest) * (2 if kind == b"%" else 1)):
                item, at = parse(at)
                found.append(item)
            return found, at
        return (int(rest) if kind == b":" else rest), end + 2

    return parse(0)[0]


# Programs


def run(*command, timeout=120, **options):
    """Runs a command, with its output and errors as text."""
    return subprocess.run(
        [str(word) for word in command],
        stdin=options.pop("stdin", subprocess.DEVNULL if "input" not in options else None),
        capture_output=True,
        text=options.pop("text", True),
        timeout=patiently(timeout),
        **options,
    )


class Program:
    """A ringnode or ringproxy that a test starts itself, to see how it ends."""

    def __init__(self, name, *arguments):
        self.process = subprocess.Popen(
            [str(BIN / name), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def wait(self, seconds=REPLY_SECONDS):
        """Its exit status and output."""
        output, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, output


class Cluster:
    """A local cluster of a test's own, driven through tools/ringlocal."""

    alive = []  # for the report of a failed test

    def __init__(self, *options):
        self.ports = PortBlock()
        self.bin = BIN
        self.folder = Path(tempfile.mkdtemp(prefix="ringkv-e2e-"))
        self.options = [str(option) for option in options] + PATIENT
        self.port = self.ports.base
        Cluster.alive.append(self)

    def ringlocal(self, *words):
        done = run(
            ROOT / "tools/ringlocal",
            *words,
            *("--dir", self.folder / "cluster", "--port", self.port, "--bin", self.bin),
            timeout=180,
        )
        assert done.returncode == 0, f"ringlocal {' '.join(map(str, words))}: {done.stderr}"
        return done

    def up(self):
        self.ringlocal("up", *self.options)
        return self

    def down(self):
        """Stops everything; what has to be killed for that fails the test."""
        done = self.ringlocal("down")
        ends = "\n".join(f"{name}: {text[-1500:]}" for name, text in self.logs().items())
        assert done.stderr == "", f"{done.stderr}the ends of the logs:\n{ends}"

    def processes(self):
        """{name: (port, pid or None)}"""
        state = ringlocal.Cluster.load(self.folder / "cluster")
        return {name: (state.process(name)["port"], state.pid(name)) for name in state.names()}

    def pids(self):
        return {name: pid for name, (_, pid) in self.processes().items()}

    def pid(self, name):
        return self.pids()[name]

    def port_of(self, name):
        return self.processes()[name][0]

    def nodes(self):
        return [name for name in self.processes() if not name.startswith("proxy")]

    def kill(self, name, signal_name="KILL"):
        self.ringlocal("kill", name, signal_name)

    def kill_all_at_once(self):
        pids = [pid for pid in self.pids().values() if pid]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any(self.pids().values()), "the killed processes to be gone")

    def start(self, name):
        self.ringlocal("start", name)

    def spawn(self, name):
        """Starts an empty node that is in no ring: its HOST:PORT."""
        return self.ringlocal("spawn", name).stdout.strip()

    def addresses(self):
        return ",".join(f"{HOST}:{self.port_of(name)}" for name in self.nodes())

    def ringctl(self, *words, nodes=None):
        return run(BIN / "ringctl", "--nodes", nodes or self.addresses(), *words)

    def status(self):
        done = self.ringctl("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def locate(self, key):
        """The names of a key's replicas, the preferred primary first."""
        done = self.ringctl("--json", "locate", key)
        assert done.returncode == 0, done.stderr
        return [replica["name"] for replica in json.loads(done.stdout)["replicas"]]

    def client(self, proxy=1, **options):
        return RawClient(self.port + proxy - 1, **options)

    def log(self, name):
        try:
            return (self.folder / "cluster" / name / "log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def logs(self):
        return {path.parent.name: self.log(path.parent.name) for path in self.log_paths()}

    def log_paths(self):
        return sorted((self.folder / "cluster").glob("*/log"))

    def check_healthy(self, expect_up=True):
        """No process ended, no sanitizer found anything."""
        for name, text in self.logs().items():
            found = SANITIZER_FINDING.search(text)
            assert not found, f"{name}: {text[found.start():][:4000]}"
        if expect_up:
            gone = [name for name, pid in self.pids().items() if not pid]
            assert not gone, f"{' '.join(gone)} ended"

    def remove(self):
        try:
            if (self.folder / "cluster" / "cluster.json").exists():
                self.down()
            self.check_healthy(expect_up=False)
        finally:
            Cluster.alive.remove(self)
            self.ports.release()
            shutil.rmtree(self.folder)


def redis_server_program():
    """Redis's server. Debian's redis-tools has it too, under the name of another of its roles."""
    return shutil.which("redis-server") or "/usr/bin/redis-check-rdb"


class RedisServer:
    """A real Redis without persistence, to compare with."""

    def __init__(self):
        self.ports = PortBlock()
        self.port = self.ports.other()
        self.folder = tempfile.mkdtemp(prefix="ringkv-e2e-redis-")
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", HOST, "--save", ""]
            + ["--appendonly", "no", "--databases", "1", "--dir", self.folder],
            executable=redis_server_program(),
            stdout=subprocess.DEVNULL,
        )
        wait_for(self.listens, "redis-server to listen")

    def listens(self):
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def client(self):
        return RawClient(self.port)

    def stop(self):
        self.process.terminate()
        self.process.wait(REPLY_SECONDS)
        self.ports.release()
        shutil.rmtree(self.folder)
