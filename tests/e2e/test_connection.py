"""Commands about connections and the proxy: Redis's replies, and what they do."""

import re
import time

import pytest
from harness import RawClient, array, bulk, elements, wait_for

# Replies that are the same, byte for byte.
SAME = {
    "client": ["CLIENT KILL a b", "CLIENT KILL id 0", "CLIENT KILL id a", "CLIENT KILL id -1", "CLIENT KILL 1.1.1.1:1",
               "CLIENT KILL", "CLIENT KILL id", "CLIENT KILL id 1 type", "CLIENT KILL type nonsense id 1",
               "CLIENT KILL user nobody id 1", "CLIENT KILL skipme maybe id 1", "CLIENT KILL addr 1.1.1.1:1 id 1000000",
               "CLIENT KILL TYPE replica", "CLIENT KILL TYPE pubsub", "CLIENT KILL TYPE master", "CLIENT KILL laddr 1:1 addr 1:1",
               "CLIENT LIST a", "CLIENT LIST id", "CLIENT LIST id a", "CLIENT LIST type", "CLIENT LIST type nonsense",
               "CLIENT LIST type pubsub", "CLIENT LIST type master", "CLIENT LIST id 1000000", "CLIENT LIST type normal a",
               "CLIENT REPLY", "CLIENT REPLY a", "CLIENT REPLY on", "CLIENT REPLY on on", "CLIENT NO-EVICT", "CLIENT NO-EVICT a",
               "CLIENT NO-EVICT on", "CLIENT NO-EVICT off", "CLIENT INFO x", "CLIENT HELP x"],
    "reply": ["CLIENT REPLY on", "CLIENT REPLY skip\r\nPING 1\r\nPING 2", "CLIENT REPLY off\r\nPING\r\nGET a\r\nNONSENSE\r\nSET\r\nCLIENT REPLY on",
              "CLIENT REPLY off\r\nCLIENT REPLY skip\r\nPING\r\nCLIENT REPLY on", "CLIENT REPLY skip\r\nCLIENT REPLY skip\r\nPING\r\nPING a",
              "CLIENT REPLY skip\r\nGET a\r\nGET a", "CLIENT REPLY skip\r\nNONSENSE\r\nPING", "CLIENT REPLY off\r\nRESET\r\nPING",
              "CLIENT REPLY skip\r\nCLIENT LIST\r\nPING"],
    "auth": ["AUTH", "AUTH a", "AUTH default a", "AUTH nobody a", "AUTH a b c", "AUTH default ''", "HELLO 2 AUTH nobody a",
             "HELLO 2 AUTH default", "HELLO 2 AUTH"],
    "acl": ["ACL", "ACL NONSENSE", "ACL WHOAMI", "ACL WHOAMI a", "ACL USERS", "ACL USERS a", "ACL LIST", "ACL LIST a", "ACL CAT nonsense",
            "ACL CAT a b"],
    "reset": ["RESET a", "RESET", "CLIENT SETNAME a", "RESET", "CLIENT GETNAME", "PING"],
    "server": ["ROLE", "ROLE a", "TIME a", "LASTSAVE a", "SAVE a", "SAVE", "BGSAVE a", "BGSAVE schedule a", "BGREWRITEAOF a",
               "WAIT", "WAIT 1", "WAIT a 1", "WAIT 0 a", "WAIT 0 -1", "WAIT 1 2 3"],
}  # fmt: skip


@pytest.fixture
def both(redis_server, cluster):
    with redis_server.client() as theirs, cluster.client() as ours:
        yield theirs, ours


@pytest.mark.parametrize("case", SAME)
def test_same_replies(both, case):
    for lines in SAME[case]:
        answers = []
        for client in both:
            client.send(lines.encode() + b"\r\nPING end\r\n")
            answer = b""
            while not answer.endswith(b"$3\r\nend\r\n"):
                answer += client.reply()
            answers.append(answer)
        assert answers[1] == answers[0], lines


def fields(line):
    return dict(word.partition(b"=")[::2] for word in line.split())


def test_client_info(both):
    """The values are each server's own, their names those of Redis and in its order."""
    shown = [elements(client.ask("CLIENT", "INFO")) for client in both]
    theirs, ours = (list(fields(text)) for text in shown)
    assert ours[: len(theirs)] == theirs
    assert ours[len(theirs) :] == [b"lib-name", b"lib-ver"]  # of Redis 7.2
    line = fields(shown[1])
    assert (line[b"user"], line[b"db"], line[b"resp"], line[b"cmd"]) == (b"default", b"0", b"2", b"client|info")
    assert line[b"addr"].decode() == "%s:%d" % both[1].socket.getsockname()
    assert line[b"laddr"].decode() == "%s:%d" % both[1].socket.getpeername()


def listed(client, *words):
    return [fields(line) for line in elements(client.ask("CLIENT", "LIST", *words)).splitlines()]


def clients_of_all_threads(cluster, count=16):
    """Connections that the kernel spreads over the proxy's threads."""
    clients = [cluster.client() for _ in range(count)]
    for number, client in enumerate(clients):
        assert client.ask("CLIENT", "SETNAME", f"number{number}") == b"+OK\r\n"
    return clients


def test_client_list(cluster):
    clients = clients_of_all_threads(cluster)
    first = clients[0]
    names = {line[b"name"] for line in listed(first)}
    assert {b"number%d" % number for number in range(len(clients))} <= names
    ids = [elements(client.ask("CLIENT", "ID")) for client in clients]
    assert [int(line[b"id"]) for line in sorted(listed(first, "ID", *ids[3:6]), key=lambda line: int(line[b"id"]))] == sorted(ids[3:6])
    assert len(listed(first, "TYPE", "normal")) >= len(clients)
    assert listed(first, "TYPE", "pubsub") == []
    for client in clients:
        client.close()
    with cluster.client() as client:
        wait_for(lambda: len(listed(client)) == 1, "the closed ones to be gone")
        client.ask("HELLO", "3")
        assert client.ask("CLIENT", "LIST").startswith(b"=")


def closed(client):
    return client.rest() == b""


def test_client_kill(cluster):
    clients = clients_of_all_threads(cluster)
    killer, *others = clients
    ids = [elements(client.ask("CLIENT", "ID")) for client in clients]
    address = "%s:%d" % others[0].socket.getsockname()
    assert killer.ask("CLIENT", "KILL", address) == b"+OK\r\n"
    assert closed(others[0])
    assert killer.ask("CLIENT", "KILL", address) == b"-ERR No such client\r\n"
    assert killer.ask("CLIENT", "KILL", "ID", ids[2]) == b":1\r\n"
    assert closed(others[1])
    # All conditions must hold.
    assert killer.ask("CLIENT", "KILL", "ID", ids[3], "ADDR", "1.2.3.4:5") == b":0\r\n"
    assert killer.ask("CLIENT", "KILL", "USER", "default", "TYPE", "normal") == b":%d\r\n" % (len(clients) - 3)
    assert all(closed(client) for client in others[2:])
    assert killer.ask("PING") == b"+PONG\r\n"
    # Itself: the reply comes first.
    killer.send(array("CLIENT", "KILL", "ID", ids[0], "SKIPME", "no") + array("PING"))
    assert killer.rest() == b":1\r\n"
    with cluster.client() as client:
        client.send(array("PING") + array("CLIENT", "KILL", "%s:%d" % client.socket.getsockname()))
        assert client.rest() == b"+PONG\r\n+OK\r\n"


def test_kill_clients_with_commands_in_flight(cluster):
    with cluster.client() as killer:
        for _ in range(20):
            with cluster.client() as client:
                client.send(array("SET", "kill:a", "x" * 10000) * 100)
                assert int(killer.ask("CLIENT", "KILL", "TYPE", "normal")[1:]) >= 1
                client.rest()
        assert killer.ask("STRLEN", "kill:a") in (b":10000\r\n", b":0\r\n")


def test_errands_keep_the_order_of_replies(cluster):
    """CLIENT LIST asks other threads; what stands behind it in the pipeline waits."""
    with cluster.client() as client:
        for _ in range(50):
            client.send(array("SET", "order:a", "1") + array("CLIENT", "LIST", "ID", "0") + array("GET", "order:a") + array("ECHO", "x"))
            assert [client.reply() for _ in range(4)] == [b"+OK\r\n", b"$0\r\n\r\n", bulk(b"1"), bulk(b"x")]


def test_reset(cluster):
    with cluster.client() as client:
        client.ask("HELLO", "3", "SETNAME", "me")
        assert client.ask("READONLY") == b"+OK\r\n"
        assert b" flags=r " in client.ask("CLIENT", "INFO")
        assert client.ask("RESET") == b"+RESET\r\n"
        assert client.ask("CLIENT", "GETNAME") == b"$-1\r\n"
        assert b" flags=N " in client.ask("CLIENT", "INFO")


def test_time(both):
    for client in both:
        seconds, micros = (int(part) for part in elements(client.ask("TIME")))
        assert abs(seconds + micros / 1e6 - time.time()) < 5
        assert 0 <= micros < 1000000
        assert abs(elements(client.ask("LASTSAVE")) - time.time()) < 3600


def test_wait(cluster):
    """Of three replicas a majority, so one beside the primary, has every write that was answered."""
    with cluster.client() as client:
        client.send(array("SET", "wait:a", "1") + array("WAIT", "1", "0"))
        assert [client.reply(), client.reply()] == [b"+OK\r\n", b":1\r\n"]


def test_acl(both):
    theirs, ours = (set(elements(client.ask("ACL", "CAT"))) for client in both)
    assert ours <= theirs
    for category in ours:
        names = set(elements(both[1].ask("ACL", "CAT", category)))
        assert names, category
    assert {b"get", b"mget"} <= set(elements(both[1].ask("ACL", "CAT", "read")))
    assert {b"client|kill", b"config|get"} <= set(elements(both[1].ask("ACL", "CAT", "dangerous")))


@pytest.mark.parametrize("command", ["ACL", "CLIENT", "COMMAND", "CONFIG"])
def test_help(both, command):
    """The form is Redis's; the lines are of what there is."""
    theirs, ours = (elements(client.ask(command, "HELP")) for client in both)
    assert ours[0] == theirs[0]
    assert ours[-2:] == theirs[-2:] == [b"HELP", b"    Prints this help."]


def test_table_of_rows(both):
    """For each command and subcommand that Redis has too, COMMAND INFO says the same."""
    theirs, ours = both
    own = (b"levelget", b"cas", b"client|setinfo", b"client|no-touch")
    names = [name for name in elements(ours.ask("COMMAND", "LIST")) if name not in own]
    for name in names:
        mine, other = (elements(client.ask("COMMAND", "INFO", name))[0] for client in (ours, theirs))
        assert other is not None and other != b"-1", name
        assert mine[:2] + mine[3:6] == other[:2] + other[3:6], name
        if name.partition(b"|")[0] in (b"acl", b"client", b"config", b"slowlog", b"latency", b"memory", b"object", b"role", b"wait",
                                       b"time", b"save", b"bgsave", b"reset", b"auth", b"lastsave"):  # fmt: skip
            assert sorted(mine[2]) == sorted(other[2]), name
            assert sorted(mine[6]) == sorted(other[6]), name


def test_connections_from_many_threads_have_ids_of_their_own(cluster):
    clients = clients_of_all_threads(cluster)
    ids = {elements(client.ask("CLIENT", "ID")) for client in clients}
    assert len(ids) == len(clients)
    for client in clients:
        client.close()


def test_reply_off_counts_as_served(cluster):
    """Without replies the commands are done all the same."""
    with cluster.client() as client:
        client.send(array("CLIENT", "REPLY", "OFF") + b"".join(array("INCR", "off:a") for _ in range(500)))
        client.send(array("CLIENT", "REPLY", "ON") + array("GET", "off:a"))
        assert client.reply() == b"+OK\r\n"
        assert re.fullmatch(rb"\$3\r\n500\r\n", client.reply())
