"""Commands about connections and the proxy: Redis's replies, and what they do."""

import re
import socket
import time

import pytest
from harness import RawClient, array, bulk, elements, wait_for
from test_failover import is_even

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
              "CLIENT REPLY skip\r\nCLIENT LIST\r\nPING", "CLIENT REPLY skip\r\nRESET\r\nPING"],
    "auth": ["AUTH", "AUTH a", "AUTH default a", "AUTH nobody a", "AUTH a b c", "AUTH default ''", "HELLO 2 AUTH nobody a",
             "HELLO 2 AUTH default", "HELLO 2 AUTH"],
    "hello": ["HELLO 2 SETNAME a NONSENSE", "CLIENT GETNAME", "HELLO 2 SETNAME 'a b' NONSENSE", "HELLO 2 SETNAME 'a b' SETNAME c",
              "HELLO 2 SETNAME d AUTH nobody a SETNAME e", "CLIENT GETNAME", "HELLO 2 AUTH nobody a NONSENSE", "HELLO 4 SETNAME f",
              "HELLO 2 SETNAME '' SETNAME", "CLIENT GETNAME"],
    "acl": ["ACL", "ACL NONSENSE", "ACL WHOAMI", "ACL WHOAMI a", "ACL USERS", "ACL USERS a", "ACL LIST", "ACL LIST a", "ACL CAT nonsense",
            "ACL CAT a b"],
    "reset": ["RESET a", "RESET", "CLIENT SETNAME a", "RESET", "CLIENT GETNAME", "PING"],
    "config": ["CONFIG SET", "CONFIG SET a", "CONFIG SET a b", "CONFIG SET maxclients 100 timeout", "CONFIG SET maxclients a",
               "CONFIG SET maxclients 100 nonsense 3", "CONFIG SET maxclients 100 MAXCLIENTS 200", "CONFIG SET timeout -1",
               "CONFIG SET timeout 99999999999", "CONFIG SET slowlog-log-slower-than -2", "CONFIG SET slowlog-max-len -1",
               "CONFIG SET slowlog-max-len a", "CONFIG SET slowlog-max-len 100 slowlog-log-slower-than 9000",
               "CONFIG GET slowlog-max-len", "CONFIG GET slowlog-log*", "CONFIG SET latency-monitor-threshold -1",
               "CONFIG SET latency-monitor-threshold 7", "CONFIG GET latency-monitor-threshold", "CONFIG SET timeout 1000",
               "CONFIG GET timeout", "CONFIG SET timeout 0", "CONFIG SET client-query-buffer-limit a",
               "CONFIG SET client-query-buffer-limit 1x", "CONFIG SET client-query-buffer-limit 100mb",
               "CONFIG GET client-query-buffer-limit", "CONFIG SET client-query-buffer-limit 2000k",
               "CONFIG GET MaxMemory", "CONFIG GET max\\\\memory", "CONFIG GET max?emory", "CONFIG GET MAXMEMOR[y]",
               "CONFIG SET databases 3", "CONFIG SET cluster-enabled no", "CONFIG SET databases 1 nonsense 1",
               "CONFIG SET nonsense 1 databases 1", "CONFIG SET timeout 1 timeout 1 nonsense 1", "CONFIG SET timeout a databases 1", "CONFIG SET Timeout a", "CONFIG SET TIMEOUT -1", "CONFIG SET Databases 1",
               "CONFIG SET timeout 7 maxclients a", "CONFIG GET timeout", "CONFIG SET client-query-buffer-limit +1mb",
               "CONFIG SET client-query-buffer-limit 0100mb", "CONFIG GET client-query-buffer-limit",
               "CONFIG SET latency-monitor-threshold 0 slowlog-max-len 128 slowlog-log-slower-than 10000",
               "CONFIG SET client-query-buffer-limit 128mb", "CONFIG RESETSTAT a", "CONFIG RESETSTAT", "CONFIG HELP a"],
    "slowlog": ["SLOWLOG", "SLOWLOG NONSENSE", "SLOWLOG RESET", "SLOWLOG LEN", "SLOWLOG GET", "SLOWLOG GET a", "SLOWLOG GET -2",
                "SLOWLOG GET 1 2", "SLOWLOG GET -1", "SLOWLOG GET 0", "SLOWLOG LEN a", "SLOWLOG RESET a"],
    "latency": ["LATENCY", "LATENCY NONSENSE", "LATENCY RESET", "LATENCY LATEST", "LATENCY HISTORY", "LATENCY HISTORY command",
                "LATENCY HISTORY a b", "LATENCY RESET a b", "LATENCY LATEST a", "LATENCY DOCTOR a", "LATENCY HISTOGRAM nosuch",
                "LATENCY HISTOGRAM latency|nosuch"],
    "object": ["OBJECT", "OBJECT NONSENSE a", "OBJECT ENCODING", "OBJECT ENCODING o:none", "OBJECT FREQ o:none", "OBJECT IDLETIME o:none",
               "OBJECT REFCOUNT o:none", "SET o:a hello", "OBJECT ENCODING o:a", "OBJECT FREQ o:a", "OBJECT IDLETIME o:a",
               "OBJECT REFCOUNT o:a", "SET o:a 12345", "OBJECT ENCODING o:a", "SET o:a " + "x" * 44, "OBJECT ENCODING o:a",
               "SET o:a " + "x" * 45, "OBJECT ENCODING o:a", "OBJECT ENCODING o:a b", "MULTI\r\nOBJECT ENCODING o:a\r\nEXEC",
               "COMMAND GETKEYS OBJECT ENCODING o:a", "COMMAND GETKEYS OBJECT", "COMMAND GETKEYS GET o:a"],
    "memory": ["MEMORY", "MEMORY NONSENSE", "MEMORY USAGE", "MEMORY USAGE o:none", "MEMORY USAGE o:none a", "MEMORY USAGE o:none samples a",
               "MEMORY USAGE o:none samples -1", "MEMORY USAGE o:none samples 1 2", "MEMORY USAGE o:none samples 1",
               "MEMORY USAGE o:none samples 0 SAMPLES 1", "MEMORY USAGE o:none samples 0 samples", "MEMORY USAGE o:none samples 0 samples a", "MEMORY DOCTOR a"],
    "command": ["COMMAND INFO set getex setbit bitcount GET config|get nosuch config|nosuch"],
    "server": ["ROLE", "ROLE a", "TIME a", "LASTSAVE a", "SAVE a", "SAVE", "BGSAVE a", "BGSAVE schedule a", "BGREWRITEAOF a",
               "WAIT", "WAIT 1", "WAIT a 1", "WAIT 0 a", "WAIT 0 -1", "WAIT 1 2 3"],
}  # fmt: skip


@pytest.fixture
def both(redis_server, cluster):
    with redis_server.client() as theirs, cluster.client() as ours:
        yield theirs, ours


@pytest.fixture
def alone(cluster):
    """The one client of the proxy: what tests before have closed, its threads may not have seen end yet."""
    with cluster.client() as client:
        wait_for(lambda: len(listed(client)) == 1, "the connections of tests before to be gone")
        yield client


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


def test_client_kill(cluster, alone):
    clients = [alone, *clients_of_all_threads(cluster)]
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
                assert client.ask("PING") == b"+PONG\r\n"
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


@pytest.mark.parametrize("command", ["ACL", "CLIENT", "COMMAND", "CONFIG", "LATENCY", "MEMORY", "OBJECT", "SLOWLOG"])
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


@pytest.fixture
def settings(cluster):
    """Sets settings through one connection, and back in the end."""
    with cluster.client() as client:
        before = {}

        def change(name, value):
            before.setdefault(name, elements(client.ask("CONFIG", "GET", name))[1])
            assert client.ask("CONFIG", "SET", name, value) == b"+OK\r\n"

        yield change
    with cluster.client() as client:  # a short timeout may have closed the one from before
        for name, value in before.items():
            assert client.ask("CONFIG", "SET", name, value) == b"+OK\r\n"


def test_config_set_holds_at_once(cluster, alone, settings):
    settings("client-query-buffer-limit", 2000)
    with cluster.client() as other:
        other.send(array("ECHO", "x" * 3000))
        assert b"-ERR Protocol error: invalid bulk length" in other.rest()
    wait_for(lambda: len(listed(alone)) == 2, "the other to be gone")  # the second is that of `settings`
    settings("maxclients", 2)
    with cluster.client() as other:
        assert other.rest() == b"-ERR max number of clients reached\r\n"
    settings("timeout", 1)
    assert alone.rest() == b""  # idle for a second


def test_taking_a_reply_is_not_idle(cluster, settings):
    size, step = 8 << 20, 1 << 18
    settings("timeout", 1)
    with cluster.client() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        # On a busy machine so much may not be on every disk within the request timeout.
        wait_for(lambda: client.ask("SET", "idle:large", "x" * size) == b"+OK\r\n", "the large value to be taken")
        client.send(array("GET", "idle:large"))
        left = size + len(b"$%d\r\n\r\n" % size)
        while left:  # for more than three seconds
            got = client.stream.read(min(step, left))
            assert got, f"closed with {left} bytes to come"
            left -= len(got)
            time.sleep(0.12)
    with cluster.client() as client:
        assert client.ask("DEL", "idle:large") == b":1\r\n"


def test_slowlog(cluster, settings):
    with cluster.client() as client:
        assert client.ask("SLOWLOG", "RESET") == b"+OK\r\n"
        client.ask("CLIENT", "SETNAME", "slow")
        settings("slowlog-log-slower-than", 0)
        client.ask("SET", "slow:a", "x" * 200)
        client.ask("MGET", "slow:a", "slow:b")
        client.ask("AUTH", "default", "secret")
        client.ask("PING", "pong")
        settings("slowlog-log-slower-than", -1)
        found = {entry[3][0]: entry for entry in elements(client.ask("SLOWLOG", "GET", "-1"))}
        number, when, took, words, address, name = found[b"set"]
        assert words[1] == b"slow:a" and words[2] == b"x" * 128 + b"... (72 more bytes)"
        assert abs(when - time.time()) < 5 and took < 1000000
        assert address.decode() == "%s:%d" % client.socket.getsockname() and name == b"slow"
        assert found[b"PING"][3] == [b"PING", b"pong"]
        assert b"secret" not in client.ask("SLOWLOG", "GET", "-1")
        assert b"mget" in found
        assert elements(client.ask("SLOWLOG", "LEN")) >= 4
        # Of those that go over all partitions the name alone: this one would end at a size of 2 GiB.
        settings("slowlog-log-slower-than", 0)
        for words in ("SCAN 4503599492104192", "SCAN 0 COUNT 1000", "RANDOMKEY", "KEYS *", "DBSIZE"):
            client.ask(*words.split())
        settings("slowlog-log-slower-than", -1)
        assert [b"scan"] in [entry[3] for entry in elements(client.ask("SLOWLOG", "GET", "-1"))]
        settings("slowlog-max-len", 2)
        settings("slowlog-log-slower-than", 0)
        client.ask("PING")
        assert elements(client.ask("SLOWLOG", "LEN")) == 2


def test_a_slow_command_is_told(make_cluster):
    """A node that hangs: the command that waited for it stands in the slow log and is an event."""
    cluster = make_cluster()
    wait_for(lambda: is_even(cluster), "each node to lead its share")
    with cluster.client() as client:
        assert client.ask("CONFIG", "SET", "latency-monitor-threshold", "50") == b"+OK\r\n"
        assert client.ask("CONFIG", "RESETSTAT") == b"+OK\r\n"  # ringlocal has tried whether the cluster serves
        assert client.ask("SET", "slow:c", "1") == b"+OK\r\n"
        leader = cluster.locate("slow:c")[0]
        client.ask("SLOWLOG", "RESET")
        cluster.kill(leader, "STOP")
        assert client.ask("SET", "slow:c", "2") == b"+OK\r\n"
        cluster.kill(leader, "CONT")
        _, _, took, words, _, _ = elements(client.ask("SLOWLOG", "GET", "1"))[0]
        assert words == [b"set", b"slow:c", b"2"] and took >= 50000
        (event, _, latest, worst), = elements(client.ask("LATENCY", "LATEST"))
        assert event == b"command" and 50 <= latest <= worst
        assert len(elements(client.ask("LATENCY", "HISTORY", "command"))) >= 1
        assert b"command: in " in client.ask("LATENCY", "DOCTOR")
        assert client.ask("LATENCY", "RESET") == b":1\r\n"
        histogram = elements(client.ask("LATENCY", "HISTOGRAM", "set"))[1][3]
        assert any(step > 50000 for step in histogram[::2]) and histogram[-1] == 2


def test_histograms(make_cluster):
    """As Redis has them: of all commands that were called or of those asked for, subcommands by their whole names."""
    with make_cluster().client() as client:
        client.ask("CONFIG", "RESETSTAT")
        for value in "123":
            client.ask("SET", "h", value)
        client.ask("GET", "h", "extra")
        client.ask("CLIENT", "ID")
        reply = elements(client.ask("LATENCY", "HISTOGRAM"))
        found = dict(zip(reply[::2], reply[1::2]))
        assert set(found) == {b"set", b"client|id", b"config|resetstat"}
        assert found[b"set"][:3] == [b"calls", 3, b"histogram_usec"] and found[b"set"][3][-1] == 3
        assert found[b"client|id"] == [b"calls", 1, b"histogram_usec", [1, 1]]
        assert elements(client.ask("LATENCY", "HISTOGRAM", "client", "nosuch", "get")) == [b"client|id", found[b"client|id"]]
        client.ask("HELLO", "3")
        assert client.ask("LATENCY", "HISTOGRAM", "client|id").startswith(b"%1\r\n$9\r\nclient|id\r\n%2\r\n")


def test_latencystats(both):
    """Of every command that was answered, in Redis's form; a fast command takes less than a millisecond."""
    for client in both:
        client.ask("CONFIG", "RESETSTAT")
        for _ in range(100):
            client.ask("SET", "latency:a", "1")
            client.ask("GET", "latency:a")
        client.ask("CLIENT", "ID")
    theirs, ours = (info(client, "latencystats") for client in both)
    assert set(theirs) <= set(ours) | {"latency_percentiles_usec_config|resetstat"}
    for name in ("get", "set", "client|id"):
        for found in (theirs, ours):
            values = dict(part.split("=") for part in found[f"latency_percentiles_usec_{name}"].split(","))
            assert list(values) == ["p50", "p99", "p99.9"]
            assert all(re.fullmatch(r"\d+\.\d{3}", value) for value in values.values())
            assert 0 < float(values["p50"]) <= float(values["p99"]) <= float(values["p99.9"]) < 10_000_000
    both[1].ask("CONFIG", "RESETSTAT")
    assert "latency_percentiles_usec_get" not in info(both[1], "latencystats")


def info(client, *sections):
    text = elements(client.ask("INFO", *sections)).decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if line and line[0] != "#")


def test_resetstat(alone):
    for _ in range(100):
        alone.ask("GET", "none")
    assert int(info(alone, "stats")["keyspace_misses"]) >= 100
    assert alone.ask("CONFIG", "RESETSTAT") == b"+OK\r\n"
    after = info(alone)
    assert int(after["keyspace_misses"]) == 0
    assert 1 <= int(after["total_commands_processed"]) <= 3
    assert int(after["connected_clients"]) == 1


# What the Grafana dashboards for redis_exporter, Datadog's and Zabbix's templates read.
DASHBOARDS = """uptime_in_seconds connected_clients blocked_clients maxclients used_memory used_memory_rss used_memory_peak
    used_memory_dataset used_memory_overhead used_memory_startup maxmemory mem_fragmentation_ratio allocator_active
    allocator_allocated allocator_resident total_system_memory loading rdb_changes_since_last_save rdb_bgsave_in_progress
    rdb_last_save_time rdb_last_bgsave_status rdb_last_bgsave_time_sec aof_enabled aof_rewrite_in_progress
    aof_last_bgrewrite_status aof_last_write_status total_connections_received total_commands_processed
    instantaneous_ops_per_sec total_net_input_bytes total_net_output_bytes instantaneous_input_kbps
    instantaneous_output_kbps rejected_connections expired_keys evicted_keys keyspace_hits keyspace_misses pubsub_channels
    pubsub_patterns latest_fork_usec role connected_slaves master_repl_offset repl_backlog_active repl_backlog_size
    repl_backlog_first_byte_offset repl_backlog_histlen used_cpu_sys used_cpu_user used_cpu_sys_children
    used_cpu_user_children cluster_enabled redis_version redis_mode os arch_bits process_id run_id tcp_port
    uptime_in_days config_file executable""".split()


def test_info_for_dashboards(both):
    theirs, ours = (info(client) for client in both)
    assert set(DASHBOARDS) <= set(theirs)
    assert [name for name in DASHBOARDS if name not in ours] == []
    # A number there is a number here.
    for name in DASHBOARDS:
        number = re.fullmatch(r"-?[\d.]+", theirs[name])
        if number and name not in ("redis_version",):
            assert re.fullmatch(r"-?[\d.]+", ours[name]), name


@pytest.mark.parametrize("sections", [[], ["all"], ["everything"], ["default"], ["server", "clients"], ["SERVER"],
                                      ["cpu", "nonsense"], ["nonsense"]], ids=str)  # fmt: skip
def test_info_sections(both, sections):
    """Those of Redis that are about more than modules and scripts, in its order, and one of ringkv's."""
    left_out = {"Modules"}
    theirs, ours = (re.findall(r"^# (\w+)", elements(client.ask("INFO", *sections)).decode(), re.M) for client in both)
    assert [name for name in ours if name != "Ringkv"] == [name for name in theirs if name not in left_out]


def test_memory(both):
    theirs, ours = both
    for client in both:
        for size in (0, 10, 100000):
            client.ask("SET", "memory:a", "x" * size)
            assert size < elements(client.ask("MEMORY", "USAGE", "memory:a")) < 2 * size + 200
    assert set(elements(ours.ask("MEMORY", "STATS"))[::2]) <= set(elements(theirs.ask("MEMORY", "STATS"))[::2])
    assert ours.ask("MEMORY", "DOCTOR").startswith(b"$")


def command_stats(client):
    return {name.removeprefix("cmdstat_"): dict(part.split("=") for part in value.split(","))
            for name, value in info(client, "commandstats").items()}  # fmt: skip


def test_commandstats(both):
    """The same commands are counted the same, but for their times; over all threads of the proxy."""
    for client in both:
        assert client.ask("CONFIG", "RESETSTAT") == b"+OK\r\n"
        for words in (("SET", "stats:a", "text"), ("GET", "stats:a"), ("GET", "stats:a"), ("GET",), ("INCR", "stats:a"),
                      ("CLIENT", "ID"), ("CLIENT", "NONSENSE"), ("NONSENSE",), ("PING",), ("SELECT", "7"),
                      ("OBJECT", "ENCODING", "stats:a")):  # fmt: skip
            client.ask(*words)
    theirs, ours = (command_stats(client) for client in both)
    for name in ("set", "get", "incr", "client|id", "ping", "select", "object|encoding"):
        assert {key: value for key, value in ours[name].items() if "usec" not in key} == {
            key: value for key, value in theirs[name].items() if "usec" not in key
        }, name
    assert list(ours["get"]) == list(theirs["get"])


def test_errorstats(both):
    """Errors are counted by their codes as Redis counts them, those inside of EXEC too."""
    for client in both:
        assert client.ask("CONFIG", "RESETSTAT") == b"+OK\r\n"
        assert info(client, "errorstats") == {}
        client.ask("SET", "errors:{a}", "text")
        for words in (("INCR", "errors:{a}"), ("NONSENSE",), ("GET",), ("HELLO", "9"), ("MULTI",), ("NONSENSE",), ("EXEC",),
                      ("MULTI",), ("INCR", "errors:{a}"), ("EXEC",), ("AUTH", "nobody", "wrong"), ("PING",)):  # fmt: skip
            client.ask(*words)
    theirs, ours = (info(client, "errorstats") for client in both)
    assert ours == theirs
    assert ours["errorstat_EXECABORT"] == "count=1"


def test_commandstats_of_all_threads(cluster):
    clients = clients_of_all_threads(cluster)
    clients[0].ask("CONFIG", "RESETSTAT")
    for client in clients:
        for _ in range(10):
            client.ask("ECHO", "x")
    assert command_stats(clients[0])["echo"]["calls"] == str(10 * len(clients))
    for client in clients:
        client.close()
