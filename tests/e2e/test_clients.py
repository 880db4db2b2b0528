"""Clients as people use them, with their default settings: connect, pipeline, and go on after the
proxy was restarted. Whatever they need is in tools/packages; the JavaScript ones come from npm."""

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
import redis
from harness import HOST, SANITIZE, Cluster, patiently, run, wait_for

CLIENTS = Path(__file__).parent / "clients"
SECONDS = patiently(60)


def restart_proxy(cluster):
    cluster.kill("proxy1", "TERM")
    wait_for(lambda: not cluster.pid("proxy1"), "the proxy to end")
    cluster.start("proxy1")


@pytest.fixture(scope="module")
def own_cluster():
    """Its proxy is restarted, which the shared one's fixture would complain of."""
    cluster = Cluster()
    try:
        yield cluster.up()
    finally:
        cluster.remove()


class Trial:
    """A client's program, which says by a line where it is, and waits for one."""

    def __init__(self, *command, **options):
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            **options,
        )

    def expect(self, word):
        readable, _, _ = select.select([self.process.stdout], [], [], SECONDS)
        line = self.process.stdout.readline().decode() if readable else "nothing within the time"
        if line != f"{word}\n":
            self.process.kill()
            pytest.fail(f"{line}{self.process.stdout.read().decode()}")

    def go_on(self):
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def check(self, cluster):
        """Before and after a restart."""
        self.expect("before")
        restart_proxy(cluster)
        self.go_on()
        self.expect("after")
        self.process.communicate(b"go\n", timeout=SECONDS)
        assert self.process.returncode == 0


# hiredis


def test_hiredis(own_cluster, tmp_path):
    program = tmp_path / "hiredis"
    done = run("cc", "-Wall", "-Werror", "-o", program, CLIENTS / "hiredis.c", "-lhiredis")
    assert done.returncode == 0, f"{done.stderr}(libhiredis-dev is in tools/packages)"
    Trial(program, HOST, own_cluster.port).check(own_cluster)


# JavaScript


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory):
    """The programs with the packages that package-lock.json names."""
    assert shutil.which("node") and shutil.which("npm"), "nodejs and npm are missing; tools/packages lists them"
    folder = tmp_path_factory.mktemp("clients")
    for path in CLIENTS.glob("*.js*"):
        shutil.copy(path, folder)
    done = run("npm", "ci", "--no-audit", "--no-fund", cwd=folder, timeout=300)
    assert done.returncode == 0, f"npm could not install the clients: {done.stderr}"
    return folder


@pytest.mark.parametrize("version", [[], ["3"]], ids=["RESP2", "RESP3"])
def test_node_redis(own_cluster, node_folder, version):
    url = f"redis://{HOST}:{own_cluster.port}"
    Trial("node", "node_redis.js", url, *version, cwd=node_folder).check(own_cluster)


def test_ioredis(own_cluster, node_folder):
    Trial("node", "ioredis.js", f"redis://{HOST}:{own_cluster.port}", cwd=node_folder).check(own_cluster)


# redis-py


# From version 5 on it speaks RESP3 as well. Debian 12 has 4.3; node-redis above speaks RESP3.
PROTOCOLS = [{}, {"protocol": 3}] if int(redis.__version__.partition(".")[0]) >= 5 else [{}]


@pytest.mark.parametrize("options", PROTOCOLS, ids=str)
def test_redis_py(own_cluster, options):
    client = redis.Redis(port=own_cluster.port, **options)
    assert client.ping()
    assert client.set("py:a", b"a\0b\r\n\xff")
    assert client.get("py:a") == b"a\0b\r\n\xff"
    assert client.get("py:none") is None
    with pytest.raises(redis.ResponseError, match="unknown command"):
        client.execute_command("NONSENSE")
    pipeline = client.pipeline(transaction=False)
    for number in range(1000):
        pipeline.set(f"py:{number}", number).get(f"py:{number}")
    assert pipeline.execute()[1::2] == [b"%d" % number for number in range(1000)]
    with client.pipeline(transaction=True) as transaction:
        assert transaction.set("py:m", 1).incr("py:m").execute() == [True, 2]
    restart_proxy(own_cluster)
    # The pool notices that its connection is gone and takes a new one.
    assert client.get("py:999") == b"999"
    assert pipeline.set("py:a", "again").get("py:a").execute() == [True, b"again"]
    client.close()


# redis-cli


class Terminal:
    """A program in a terminal, and what a person sees there."""

    def __init__(self, *command):
        self.pid, self.screen = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
            os.execvp(command[0], [str(word) for word in command])
        self.shown = ""

    def read_until(self, pattern):
        """Waits until what was shown since the last call matches; gives that back."""
        deadline = time.monotonic() + SECONDS
        while not re.search(pattern, self.shown):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.shown!r}"
            if select.select([self.screen], [], [], 0.1)[0]:
                self.shown += self.strip(os.read(self.screen, 65536).decode(errors="replace"))
        shown, self.shown = self.shown, ""
        return shown

    @staticmethod
    def strip(text):
        """Without what moves the cursor and sets colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", text)

    def type(self, text):
        os.write(self.screen, text.encode())

    def close(self):
        os.close(self.screen)
        os.kill(self.pid, signal.SIGHUP)
        os.waitpid(self.pid, 0)


def test_redis_cli_in_a_terminal(own_cluster):
    cli = Terminal("redis-cli", "-p", own_cluster.port)

    def ask(typed, answer):
        # What is typed before the next prompt stands there is thrown away.
        cli.type(f"{typed}\r")
        cli.read_until(answer + r"[\s\S]*> $")

    cli.read_until(f"{HOST}:{own_cluster.port}> $")
    ask('set cli:a "hello world"', "\nOK\n")
    ask("get cli:a", '\n"hello world"\n')
    ask("mget cli:a cli:none", r'\n1\) "hello world"\n2\) \(nil\)\n')
    ask("incr cli:n", r"\n\(integer\) \d+\n")
    ask("nonsense", r"\n\(error\) ERR unknown command 'nonsense'")
    ask("hello 3", r'"proto" => \(integer\) 3\n')
    ask("multi", "\nOK\n")
    ask("get cli:a", "\nQUEUED\n")
    ask("exec", r'\n1\) "hello world"\n')
    ask("getra\t cli:a 0 4", '\n"hello"\n')
    restart_proxy(own_cluster)
    # As with Redis: the next command fails, and the one behind it connects anew.
    ask("get cli:a", "Server closed the connection\nnot connected")
    ask("get cli:a", '\n"hello world"\n')
    cli.type("quit\r")
    cli.close()


def test_redis_cli_in_a_pipe(own_cluster):
    def cli(*words, **options):
        return run("redis-cli", "-p", own_cluster.port, *words, **options).stdout

    assert cli("SET", "cli:b", "1") == "OK\n"
    assert cli("-3", "GET", "cli:none") == "\n"
    assert cli(input="GET cli:b\nINCR cli:b\nGET cli:b\n") == "1\n2\n2\n"
    assert cli("-r", "3", "-i", "0.01", "INCR", "cli:b") == "3\n4\n5\n"
    assert "1000" in cli("--pipe", input="".join(f"SET cli:{n} {n}\r\n" for n in range(1000)))
    assert "redis_version:7" in cli("INFO")
    assert re.search(r"summary|GET", cli("COMMAND", "DOCS", "GET"))
    restart_proxy(own_cluster)
    assert cli("GET", "cli:999") == "999\n"


# redis-benchmark


@pytest.mark.skipif(bool(SANITIZE), reason="nothing to learn from a slow build's rate")
def test_redis_benchmark(own_cluster):
    for _ in range(2):
        done = run(
            *("redis-benchmark", "-p", own_cluster.port, "-n", "20000", "-q"),
            *("-t", "set,get,incr,mset", "-P", "16", "-r", "100000"),
        )
        rates = re.findall(r"([\d.]+) requests per second", done.stdout)
        assert len(rates) == 4, done.stdout + done.stderr
        assert "rror" not in done.stdout + done.stderr
        restart_proxy(own_cluster)


# nc and telnet


def test_netcat(own_cluster):
    def nc(text):
        return run("nc", "-N", HOST, own_cluster.port, input=text.encode(), text=False).stdout.decode()

    assert nc("set nc:a hello\r\nget nc:a\r\n") == "+OK\r\n$5\r\nhello\r\n"
    assert nc("get nc:a\n" * 1000) == "$5\r\nhello\r\n" * 1000
    assert nc("set nc:a \"two words\"\nget nc:a\nquit\n") == "+OK\r\n$9\r\ntwo words\r\n+OK\r\n"
    restart_proxy(own_cluster)
    assert nc("get nc:a\n") == "$9\r\ntwo words\r\n"


def test_telnet(own_cluster):
    for again in range(2):
        telnet = Terminal("telnet", HOST, own_cluster.port)
        telnet.read_until("Connected to")
        telnet.type(f"set telnet:a hello{again}\r")
        telnet.read_until(r"\+OK\n")
        telnet.type("get telnet:a\r")
        telnet.read_until(rf"\$6\nhello{again}\n")
        telnet.type("nonsense\r")
        telnet.read_until("-ERR unknown command")
        if again:
            telnet.type("quit\r")
        else:
            restart_proxy(own_cluster)
        telnet.read_until("Connection closed")
        telnet.close()
