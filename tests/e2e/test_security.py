"""Who may connect, and what somebody may do who has not logged in."""

import contextlib
import os
import pty
import re
import subprocess
import threading
import time

import pytest
from harness import BIN, HOST, PATIENT_PROXY, ROOT, SANITIZE, PortBlock, Program, RawClient
from harness import array, bulk, patiently, resident_bytes, run, wait_for

PASSWORD = "correct horse"
NOAUTH = b"-NOAUTH Authentication required.\r\n"
WRONGPASS = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
PROTECTED = b"-DENIED "
MIB = 1 << 20


def hash_of(password):
    done = run(BIN / "ringproxy", "--hash-password", input=password + "\n")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def hashed():
    return hash_of(PASSWORD)


class Proxy:
    """A ringproxy of a test's own, for a cluster that is there already."""

    def __init__(self, cluster, *sets, listen=HOST):
        self.ports = PortBlock()
        self.port = self.ports.base
        settings = [f"proxy.listen={listen}:{self.port}", f"cluster.nodes={cluster.addresses()}", "proxy.threads=2"]
        words = [word for each in (*settings, *sets) for word in ("--set", each)]
        self.program = Program("ringproxy", *words, *PATIENT_PROXY)

    def __enter__(self):
        wait_for(self.listens, "the proxy to listen")
        return self

    def __exit__(self, *_):
        self.program.process.terminate()
        status, output = self.program.wait()
        self.ports.release()
        assert status == 0, output

    def listens(self):
        try:
            RawClient(self.port).close()
            return True
        except ConnectionRefusedError:
            return False

    def client(self, **options):
        return RawClient(self.port, **options)

    def inside(self, *words):
        """A client that has logged in, once the proxy knows the ring."""
        client = self.client()
        assert client.ask("AUTH", *words) == b"+OK\r\n"
        wait_for(lambda: client.ask("GET", "security:none") == b"$-1\r\n", "the proxy to serve")
        return client

    def counter(self, client, name):
        return int(re.search(rb"\r\n%s:(\d+)\r\n" % name.encode(), client.ask("INFO", "ringkv"))[1])


@pytest.fixture(scope="module")
def guarded(shared_cluster, hashed):
    with Proxy(shared_cluster, f"security.requirepass={hashed}") as proxy:
        yield proxy


def test_nothing_without_a_login(guarded):
    with guarded.client() as client:
        for command in (("GET", "a"), ("SET", "a", "1"), ("PING",), ("INFO",), ("CLIENT", "LIST"), ("COMMAND",)):
            assert client.ask(*command) == NOAUTH
        assert client.ask("NONSENSE").startswith(b"-ERR unknown command")
        assert client.ask("GET").startswith(b"-ERR wrong number of arguments")
        assert client.ask("HELLO", "3").startswith(
            b"-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option"
        )
        assert client.ask("EXEC") == b"-EXECABORT Transaction discarded because of: " + NOAUTH[1:]
        assert client.ask("AUTH", "a", "b", "c") == b"-ERR syntax error\r\n"
        assert client.ask("AUTH", "wrong") == WRONGPASS
        assert client.ask("GET", "a") == NOAUTH
        assert client.ask("QUIT") == b"+OK\r\n"


@pytest.mark.parametrize("words", [(PASSWORD,), ("default", PASSWORD)])
def test_login(guarded, words):
    with guarded.client() as client:
        assert client.ask("AUTH", *words) == b"+OK\r\n"
        assert client.ask("PING") == b"+PONG\r\n"
        # A wrong one takes nothing back.
        assert client.ask("AUTH", "wrong") == WRONGPASS
        assert client.ask("PING") == b"+PONG\r\n"


@pytest.mark.parametrize("version", ["2", "3"])
def test_login_by_hello(guarded, version):
    with guarded.client() as client:
        assert client.ask("HELLO", version, "AUTH", "default", "wrong", "SETNAME", "me") == WRONGPASS
        assert client.ask("PING") == NOAUTH
        reply = client.ask("HELLO", version, "AUTH", "default", PASSWORD, "SETNAME", "me")
        assert reply.startswith(b"%7" if version == "3" else b"*14")
        assert client.ask("CLIENT", "GETNAME") == bulk(b"me")


def test_login_in_a_pipeline(guarded):
    """The commands behind AUTH wait for its outcome; replies keep their order."""
    with guarded.inside(PASSWORD) as _, guarded.client() as client:
        asked = array("PING") + array("AUTH", "wrong") + array("PING") + array("AUTH", PASSWORD) + array("PING")
        replies = [NOAUTH, WRONGPASS, NOAUTH, b"+OK\r\n", b"+PONG\r\n"]
        assert client.exchange(asked, 5) == replies
    with guarded.client() as client:
        for byte in asked:
            client.send(bytes([byte]))
        assert [client.reply() for _ in range(5)] == replies


def test_close_while_a_password_is_checked(guarded):
    for _ in range(20):
        with guarded.client() as client:
            client.send(array("AUTH", "wrong") + array("PING"))
    with guarded.client() as client:
        client.send(array("AUTH", "wrong") + array("PING"))
        client.half_close()
        assert client.rest() == WRONGPASS + NOAUTH


def test_many_failures_close(guarded):
    with guarded.inside(PASSWORD) as inside:
        before = guarded.counter(inside, "closed_for_logins")
        with guarded.client() as client:
            client.send(array("AUTH", "wrong") * 15)
            assert client.rest() == WRONGPASS * 10
        assert guarded.counter(inside, "closed_for_logins") == before + 1
        assert guarded.counter(inside, "login_failures") >= 10


def test_passwords_do_not_hold_up_others(guarded):
    """While wrong passwords are hashed, 0.1 s each, the others are answered at once."""
    with guarded.inside(PASSWORD) as inside:
        clients = [guarded.client() for _ in range(20)]
        for client in clients:
            client.send(array("AUTH", "wrong"))
        slowest = 0
        for _ in range(200):
            begun = time.monotonic()
            assert inside.ask("PING") == b"+PONG\r\n"
            slowest = max(slowest, time.monotonic() - begun)
        # Nor does a right one wait behind them: it is known.
        with guarded.client() as client:
            assert client.ask("AUTH", PASSWORD) == b"+OK\r\n"
        for client in clients:
            assert client.reply() == WRONGPASS
            client.close()
        assert slowest < 1


@pytest.mark.parametrize("password", ["", "x" * 512, "x" * 513, "x" * 16384, PASSWORD + "\0", PASSWORD[:-1]])
def test_wrong_passwords(guarded, password):
    with guarded.client() as client:
        assert client.ask("AUTH", password) == WRONGPASS
        assert client.ask("AUTH", "nobody", password) == WRONGPASS


def test_strangers_have_small_bounds(guarded):
    for head, words in (
        (b"*11\r\n", b"unauthenticated multibulk length"),
        (b"*1000000\r\n", b"unauthenticated multibulk length"),
        (b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", b"unauthenticated bulk length"),
        (b"*2\r\n$536870912\r\n", b"unauthenticated bulk length"),
        (b"x" * 20000, b"too big inline request"),
    ):
        with guarded.client() as client:
            client.send(head)
            assert client.rest() == b"-ERR Protocol error: %s\r\n" % words
    with guarded.client() as client:
        client.send(b"*10\r\n$16384\r\n")  # within them: nothing happens yet
        client.send(b"x" * 16384 + b"\r\n" + b"$1\r\na\r\n" * 9)
        assert client.reply().startswith(b"-ERR unknown command")
    with guarded.inside(PASSWORD) as client:
        assert client.ask("MGET", *(f"security:{i}" for i in range(20))) == b"*20\r\n" + b"$-1\r\n" * 20
        assert client.ask("ECHO", "x" * 20000) == bulk(b"x" * 20000)


def test_strangers_that_never_read(guarded):
    """Replies that nobody reads: the stranger is not read any more beyond 1 KiB of them."""
    with guarded.inside(PASSWORD) as inside:
        pid = guarded.program.process.pid
        before = resident_bytes(pid)
        clients = [guarded.client(timeout=0.2) for _ in range(50)]
        for client in clients:
            with contextlib.suppress(TimeoutError):
                for _ in range(1000):
                    client.send(array("PING") * 1000)
        assert inside.ask("PING") == b"+PONG\r\n"
        assert SANITIZE or resident_bytes(pid) - before < 32 * MIB
        # One that reads after all gets an answer for each.
        with guarded.client() as client:
            sender = threading.Thread(target=client.send, args=(array("PING") * 100000 + array("QUIT"),))
            sender.start()
            assert client.rest() == NOAUTH * 100000 + b"+OK\r\n"
            sender.join()
        for client in clients:
            client.close()


def test_users(cluster, hashed, tmp_path):
    users = tmp_path / "users"
    users.write_text(f"# NAME HASH\nalice {hashed}\nbob {hash_of('builder')}\n")
    users.chmod(0o640)
    with Proxy(cluster, f"security.users={users}") as proxy:
        with proxy.client() as client:
            assert client.ask("PING") == NOAUTH
            assert client.ask("AUTH", PASSWORD) == WRONGPASS  # the default user is off
            assert client.ask("AUTH", "alice", "builder") == WRONGPASS
            assert client.ask("AUTH", "bob", PASSWORD) == WRONGPASS
            assert client.ask("AUTH", "alice", PASSWORD) == b"+OK\r\n"
            assert b" user=alice " in client.ask("CLIENT", "INFO")
            assert client.ask("HELLO", "2", "AUTH", "bob", "builder").startswith(b"*14")
            assert b" user=bob " in client.ask("CLIENT", "INFO")


def own_address():
    """An address of this machine that is not loopback."""
    found = re.search(r"inet (?!127\.)([\d.]+)/", run("ip", "-4", "address").stdout)
    if not found:
        pytest.fail("this machine has no address but loopback; protected mode cannot be tested")
    return found[1]


def test_protected_mode(cluster):
    address = own_address()
    with Proxy(cluster, listen="*") as proxy:
        with proxy.client() as client:
            assert client.ask("PING") == b"+PONG\r\n"
            with RawClient(proxy.port, host=address) as other:
                text = other.rest()
                assert text.startswith(PROTECTED) and text.endswith(b"\r\n") and text.count(b"\n") == 1
                assert b"--hash-password" in text and b"protected_mode" in text
            assert proxy.counter(client, "denied_connections") == 1
    with Proxy(cluster, "security.protected_mode=no", listen="*") as proxy:
        with RawClient(proxy.port, host=address) as other:
            assert other.ask("PING") == b"+PONG\r\n"


def test_password_lets_others_in(cluster, hashed):
    with Proxy(cluster, f"security.requirepass={hashed}", listen="*") as proxy:
        with RawClient(proxy.port, host=own_address()) as other:
            assert other.ask("PING") == NOAUTH
            assert other.ask("AUTH", PASSWORD) == b"+OK\r\n"


def test_ringdump_logs_in(cluster, hashed, tmp_path, monkeypatch):
    with Proxy(cluster, f"security.requirepass={hashed}") as proxy:
        proxy.inside(PASSWORD).close()
        for password, code in (("wrong", 1), ("", 1), (PASSWORD, 0)):
            monkeypatch.setenv("REDISCLI_AUTH", password)
            done = run(ROOT / "tools/ringdump", "save", tmp_path / "dump", "--port", proxy.port)
            assert done.returncode == code, done.stderr
            assert code == 0 or done.stderr.startswith(("ringdump: WRONGPASS ", "ringdump: NOAUTH "))


def test_secret_that_everybody_may_read(hashed, tmp_path):
    file, users = tmp_path / "ringproxy.conf", tmp_path / "users"
    file.write_text(f"[security]\nrequirepass = {hashed}\n[cluster]\nnodes = 127.0.0.1:1\n")
    users.write_text(f"alice {hashed}\n")
    for mode, status in ((0o644, 1), (0o604, 1), (0o640, 0), (0o600, 0)):
        file.chmod(mode)
        done = run(BIN / "ringproxy", "-n", "-c", file)
        assert done.returncode == status, done.stderr
        assert ("chmod o-rwx" in done.stderr) == bool(status)
        users.chmod(mode)
        done = run(BIN / "ringproxy", "-n", "--set", "cluster.nodes=127.0.0.1:1", "--set", f"security.users={users}")
        assert done.returncode == status, done.stderr
        assert ("chmod o-rwx" in done.stderr) == bool(status)


@pytest.mark.parametrize("setting", ["requirepass=secret", "users=/nonexistent", "protected_mode=maybe"])
def test_wrong_settings(setting):
    done = run(BIN / "ringproxy", "-n", "--set", "cluster.nodes=127.0.0.1:1", "--set", f"security.{setting}")
    assert done.returncode == 1
    assert setting.partition("=")[0] in done.stderr


def test_hash_password(hashed):
    assert re.fullmatch(r"pbkdf2-sha256:200000:[0-9a-f]{32}:[0-9a-f]{64}", hashed)
    assert hash_of(PASSWORD) != hashed  # another salt
    for text in ("", "\n", "x" * 513 + "\n"):
        done = run(BIN / "ringproxy", "--hash-password", input=text)
        assert (done.returncode, done.stdout) == (1, "")
        assert "password" in done.stderr


def test_hash_password_takes_none_from_the_command_line():
    done = run(BIN / "ringproxy", "--hash-password", PASSWORD)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--hash-password takes no argument" in done.stderr and PASSWORD not in done.stderr


def type_password(first, second):
    """Types into a terminal: exit status, standard output, and what the terminal showed."""
    mine, theirs = pty.openpty()
    process = subprocess.Popen([BIN / "ringproxy", "--hash-password"], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b""
    for prompt, text in ((b"Password: ", first), (b"Once more: ", second)):
        while not shown.endswith(prompt):
            shown += os.read(mine, 100)
        os.write(mine, text.encode() + b"\n")
    output, _ = process.communicate(timeout=patiently(30))
    with contextlib.suppress(OSError):
        shown += os.read(mine, 1000)
    os.close(mine)
    return process.returncode, output.decode(), shown.decode()


def test_hash_password_in_a_terminal():
    status, output, shown = type_password("typed", "typed")
    assert status == 0 and output.startswith("pbkdf2-sha256:") and "typed" not in shown
    status, output, shown = type_password("typed", "tiped")
    assert (status, output) == (1, "") and "not the same" in shown
