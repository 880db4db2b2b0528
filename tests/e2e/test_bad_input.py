"""Bad input from clients: a clear error, on the connection that sent it, and nothing else happens.

Protocol violations whose answer is Redis's are in test_commands.py; here is what is ringkv's own, and
what is about memory, time and other clients.
"""

import random
import socket
import threading
import time

import pytest
from harness import HOST, SANITIZE, RawClient, array, bulk, elements, patiently, resident_bytes, wait_for

KEY_MAX = 496
VALUE_MAX = 16 << 20
MIB = 1 << 20


@pytest.fixture
def bystander(cluster):
    """Another client, with data of its own, that must be served before and after."""
    with cluster.client() as client:
        assert client.ask("SET", "bystander", "safe") == b"+OK\r\n"
        yield client
        assert client.ask("GET", "bystander") == bulk(b"safe")


def check_error_keeps_connection(client, *command):
    reply = client.ask(*command)
    assert reply.startswith(b"-"), reply[:200]
    assert client.ask("PING") == b"+PONG\r\n"
    return reply


@pytest.mark.parametrize("size", [0, KEY_MAX + 1, 70000, MIB])
def test_key_of_wrong_size(cluster, bystander, size):
    key = "k" * size
    commands = [
        *(("GET", key), ("SET", key, "v"), ("DEL", key), ("INCR", key), ("MGET", "a", key)),
        *(("MSET", "a", "1", key, "2"), ("APPEND", key, "v"), ("EXISTS", "a", key)),
        *(("GETSET", key, "v"), ("SETNX", key, "v"), ("STRLEN", key), ("LEVELGET", key, "0")),
    ]
    with cluster.client() as client:
        for command in commands:
            assert b"key" in check_error_keeps_connection(client, *command).lower()
        # A command that is refused for one of its keys has done nothing for the others.
        assert client.ask("SET", "sizes:a", "old") == b"+OK\r\n"
        check_error_keeps_connection(client, "MSET", "sizes:a", "new", key, "2")
        check_error_keeps_connection(client, "DEL", "sizes:a", key)
        assert client.ask("GET", "sizes:a") == bulk(b"old")


@pytest.mark.parametrize("size", [1, KEY_MAX])
def test_key_of_extreme_size(cluster, size):
    with cluster.client() as client:
        for byte in (b"\0", b"\xff", b"\n", b"}"):
            key = byte * size
            assert client.ask("SET", key, byte) == b"+OK\r\n"
            assert client.ask("GET", key) == bulk(byte)


def test_value_too_large(cluster, bystander):
    value = b"v" * (VALUE_MAX + 1)
    with cluster.client() as client:
        assert client.ask("SET", "large:a", "old") == b"+OK\r\n"
        for command in (("SET", "large:a"), ("SETNX", "large:b"), ("GETSET", "large:a"), ("APPEND", "large:a")):
            check_error_keeps_connection(client, *command, value)
        assert client.ask("MGET", "large:a", "large:b") == b"*2\r\n" + bulk(b"old") + b"$-1\r\n"
        # Two partitions decide each for itself; the error says so if one of them took its part.
        reply = check_error_keeps_connection(client, "MSET", "large:a", "new", "large:b", value)
        found = client.ask("MGET", "large:a", "large:b")
        assert found.endswith(b"$-1\r\n")
        assert reply.startswith(b"-UNCERTAIN ") or bulk(b"old") in found


def test_value_grows_too_large(cluster, bystander):
    """APPEND stops at the limit; the value stays as it was."""
    with cluster.client() as client:
        assert client.ask("SET", "grow:a", "v" * VALUE_MAX) == b"+OK\r\n"
        check_error_keeps_connection(client, "APPEND", "grow:a", "v")
        assert client.ask("STRLEN", "grow:a") == b":%d\r\n" % VALUE_MAX
        assert client.ask("DEL", "grow:a") == b":1\r\n"


def test_announcement_takes_no_memory(cluster, bystander):
    """A hundred clients announce 512 MiB each, or a million arguments, and send no more."""
    pid = cluster.pid("proxy1")
    before = resident_bytes(pid)
    heads = [
        b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\n",
        b"*1048576\r\n$4\r\nMGET\r\n",
        b"*2\r\n$536870912\r\nx",
    ]
    clients = [RawClient(cluster.port) for _ in range(100)]
    for number, client in enumerate(clients):
        client.send(heads[number % len(heads)])
    for _ in range(100):
        assert bystander.ask("PING") == b"+PONG\r\n"
    assert resident_bytes(pid) - before < 16 * MIB
    for client in clients:
        client.close()


@pytest.mark.parametrize("size", [64 << 10, MIB])
def test_line_without_end(cluster, bystander, size):
    with cluster.client() as client:
        try:
            client.send(b"x" * (size + 1000))
        except (BrokenPipeError, ConnectionResetError):
            pass  # closed before all of it was sent
        assert client.rest() in (b"-ERR Protocol error: too big inline request\r\n", b"")


def test_wrong_length(cluster, bystander):
    """Data longer or shorter than announced: never taken for something else silently."""
    for data in (b"*2\r\n$3\r\nGET\r\n$2\r\nabcdef\r\n", b"*2\r\n$3\r\nGET\r\n$5\r\nab\r\n*1\r\n$4\r\nPING\r\n"):
        with cluster.client() as client:
            client.send(data + b"QUIT\r\n")
            client.half_close()
            assert b"-ERR" in client.rest()


def test_resp3_types_as_requests(cluster, bystander):
    """A request is an array or a line; a line that begins like another type is a line."""
    for line in (b"%1\r\n", b"~1\r\n", b"#t\r\n", b",1.5\r\n", b"(123\r\n", b"_\r\n", b">1\r\n", b"=3\r\n", b"|1\r\n"):
        with cluster.client() as client:
            assert client.exchange(line, 1)[0].startswith(b"-ERR ")
            assert client.ask("PING") == b"+PONG\r\n"


def test_rubbish(cluster, bystander):
    chance = random.Random(2)
    for number in range(150):
        data = chance.randbytes(chance.choice([1, 10, 100, 5000, 100000]))
        if number % 3 == 0:
            data = b"*3\r\n$3\r\nSET\r\n$5\r\nhello\r\n$" + data
        elif number % 3 == 1:
            whole = bytearray(array("MSET", "rubbish", "x" * 50, "rubbish2", data[:100]))
            for _ in range(3):
                whole[chance.randrange(len(whole))] = chance.randrange(256)
            data = bytes(whole)
        with RawClient(cluster.port) as client:
            try:
                client.send(data)
                client.half_close()
            except OSError:
                continue
            client.rest()
        assert bystander.ask("PING") == b"+PONG\r\n"


def test_tls_on_a_plain_port(cluster, bystander):
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(range(190)) + b"\n" + bytes(9)
    with cluster.client() as client:
        client.send(hello)
        client.half_close()
        assert b"+" not in client.rest()[:1]


def test_half_a_command_then_a_close(cluster, bystander):
    whole = array("SET", "half:a", "never")
    for size in range(1, len(whole)):
        with cluster.client() as client:
            client.send(whole[:size])
    assert bystander.ask("GET", "half:a") == b"$-1\r\n"


def test_half_a_command_then_the_end_of_input(cluster, bystander):
    """What was whole is answered before the connection closes."""
    with cluster.client() as client:
        client.send(array("PING") * 3 + array("SET", "half:b", "x") + array("SET", "half:b", "y")[:-3])
        client.half_close()
        assert client.rest() == b"+PONG\r\n" * 3 + b"+OK\r\n"


def test_slow_client(cluster, bystander):
    """A byte now and then; others are served between two bytes."""
    with cluster.client() as client:
        for byte in array("SET", "slow:a", "patience") + array("GET", "slow:a"):
            client.send(bytes([byte]))
            assert bystander.ask("PING") == b"+PONG\r\n"
        assert client.reply() == b"+OK\r\n"
        assert client.reply() == bulk(b"patience")


def test_client_that_never_reads(cluster, bystander):
    """100,000 pipelined GETs of 1 MiB that nobody reads: bounded memory, others are served."""
    assert bystander.ask("SET", "never:large", "x" * MIB) == b"+OK\r\n"
    pids = [cluster.pid("proxy1"), *(cluster.pid(name) for name in cluster.nodes())]
    before = {pid: resident_bytes(pid) for pid in pids}
    ask = array("GET", "never:large") * 1000
    client = RawClient(cluster.port, timeout=2)
    sent = 0
    try:
        while sent < 100:
            client.send(ask)
            sent += 1
    except (TimeoutError, BrokenPipeError, ConnectionResetError):
        pass  # it is not read any more, or has been closed
    for _ in range(100):
        assert bystander.ask("PING") == b"+PONG\r\n"
        assert len(bystander.ask("GET", "never:large")) > MIB
    if not SANITIZE:
        for pid in pids:
            assert resident_bytes(pid) - before[pid] < 192 * MIB, f"after {sent * 1000} requests"
    client.close()


def test_client_that_reads_when_it_has_sent_all(make_cluster):
    """With more replies than wait for one client it cannot come to that: it is closed, instead of waiting for ever. One that
    takes something now and then is not."""
    cluster = make_cluster("--proxy", "client_output=1m", "--proxy", "client_stall=2s")
    with cluster.client() as client, cluster.client() as slow:
        assert client.ask("SET", "stuck:a", "x" * 10000) == b"+OK\r\n"
        ask = array("GET", "stuck:a") * 1000
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1000):
                client.send(ask)
        slow.send(ask)
        for _ in range(1000):
            assert len(slow.reply()) > 10000
            time.sleep(0.005)
        assert b"closed_for_output:1\r\n" in slow.ask("INFO", "ringkv")


def test_many_clients_that_never_read(cluster, bystander):
    """Each may have its bound, and all of them go when they close."""
    assert bystander.ask("SET", "never:medium", "x" * 100000) == b"+OK\r\n"
    pid = cluster.pid("proxy1")
    clients = [RawClient(cluster.port, timeout=0.05) for _ in range(50)]
    for client in clients:
        try:
            client.send(array("GET", "never:medium") * 300)
        except TimeoutError:
            pass
    assert bystander.ask("PING") == b"+PONG\r\n"
    high = resident_bytes(pid)
    for client in clients:
        client.close()
    wait_for(lambda: bystander.ask("PING") == b"+PONG\r\n", "the proxy to answer")
    assert SANITIZE or high < 700 * MIB


def test_a_million_keys(cluster, bystander):
    """MGET of 10^6 absent keys: answered in full or refused, and others are served meanwhile."""
    count = 1000000
    key = b"$5\r\nnokey\r\n"
    with cluster.client(timeout=patiently(120)) as client:
        sender = threading.Thread(
            target=send_ignoring_close, args=(client, b"*%d\r\n$4\r\nMGET\r\n" % (count + 1) + key * count)
        )
        sender.start()
        while sender.is_alive():
            assert bystander.ask("PING") == b"+PONG\r\n"
        head = client.stream.readline()
        if head.startswith(b"*"):
            assert head == b"*%d\r\n" % count
            assert client.stream.read(5 * count) == b"$-1\r\n" * count
            assert client.ask("PING") == b"+PONG\r\n"
        else:
            # A slow machine may not read so many from a majority within the request timeout.
            assert head.startswith((b"-ERR ", b"-BUSY ", b"-NOQUORUM no answer within")), head


def send_ignoring_close(client, data):
    try:
        client.send(data)
    except (BrokenPipeError, ConnectionResetError):
        pass


def test_unknown_commands(cluster, bystander):
    with cluster.client() as client:
        for name in ("NONSENSE", "get ", " GET", "GET\0", "x" * 100000, "\xff\xfe", "LPUSH", "HSET"):
            reply = check_error_keeps_connection(client, name, "a", "b")
            assert reply.startswith(b"-ERR unknown command")
            assert len(reply) < 1000


def test_odd_pairs(cluster, bystander):
    """What crashed others: an empty argument after GET, MSET without its last value, QUIT between."""
    with cluster.client() as client:
        assert client.exchange(b"get \r\n", 1)[0].startswith(b"-ERR wrong number of arguments")
        assert client.exchange(b"MSET a 1 b\r\n", 1)[0].startswith(b"-ERR wrong number of arguments")
    with cluster.client() as client:
        client.send(array("SET", "odd:a", "1") + array("GET", "odd:a") + array("QUIT") + array("GET", "odd:a") * 10)
        assert client.rest() == b"+OK\r\n" + bulk(b"1") + b"+OK\r\n"


def test_large_argument_of_small_commands(cluster, bystander):
    with cluster.client() as client:
        for command in (("AUTH", "x" * MIB), ("HELLO", "9" * MIB), ("CLIENT", "SETNAME", " " * MIB), ("SELECT", "1" * MIB)):
            assert len(check_error_keeps_connection(client, *command)) < 1000


def test_reset_in_the_middle(cluster, bystander):
    """Clients that reset their connections while replies are on their way."""
    for _ in range(50):
        client = RawClient(cluster.port)
        client.send(array("SET", "reset:a", "x" * 10000) + array("GET", "reset:a") * 100)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    assert bystander.ask("GET", "reset:a") in (bulk(b"x" * 10000), b"$-1\r\n")


def test_connection_churn(cluster, bystander):
    """Two thousand connections come and go; none is left behind."""
    for _ in range(2000):
        with socket.create_connection((HOST, cluster.port)):
            pass
    def connected():
        info = elements(bystander.ask("INFO", "clients")).decode()
        return int(info.partition("connected_clients:")[2].split()[0])
    wait_for(lambda: connected() <= 2, "closed connections to be forgotten")
