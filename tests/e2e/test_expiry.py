"""Keys expire: no replica tells of them any more, they go from the nodes, and nothing forgets their time."""

import time

from harness import array, bulk, wait_for

MANY = 3000
NIL, NONE_LEFT = b"$-1\r\n", b":-2\r\n"
FAR_MS = 3_600_000


def now_ms():
    return int(time.time() * 1000)


def all_ways_to_read(client, key):
    """What each kind of read says: it is there, or not."""
    level = [client.ask("LEVELGET", key, level) for level in (0, 1, 2)]
    client.ask("READONLY")
    near = [client.ask("GET", key) for _ in range(6)]
    client.ask("READWRITE")
    return [client.ask("GET", key), client.ask("MGET", key)[4:], client.ask("GETRANGE", key, 0, -1), *level, *near]


def test_no_replica_tells(cluster):
    """Whoever is asked, at whatever level: what it was before its time, nothing afterwards."""
    told = 0
    with cluster.client() as client:
        for turn in range(5):
            key, time_ms = f"told:{turn}", now_ms() + (400 if told else 400 * 3**turn)
            client.ask("SET", key, "x", "PXAT", time_ms)
            while now_ms() < time_ms and client.ask("LEVELGET", key, 1) != bulk(b"x"):
                pass  # a busy machine may take all its time
            told += now_ms() < time_ms
            gone_at = None
            while not gone_at or now_ms() < time_ms + 700:
                begun = now_ms()
                said = all_ways_to_read(client, key)
                there = client.ask("EXISTS", key) == b":1\r\n"
                if begun > time_ms:
                    assert set(said) <= {NIL, bulk(b"")} and not there, f"{begun - time_ms} ms after its time"
                if there:
                    assert gone_at is None, "it came back"
                else:
                    gone_at = gone_at or now_ms()
            assert gone_at >= time_ms
            assert client.ask("PTTL", key) == NONE_LEFT
            assert client.ask("SET", key, "new", "NX") == b"+OK\r\n"
            assert client.ask("PTTL", key) == b":-1\r\n"
    assert told, "no key could be read in its time"


def test_time_survives(make_cluster):
    """A crash of all nodes, the loss of the leader, a new node: the time stays as it is to the millisecond."""
    cluster = make_cluster()
    time_ms = now_ms() + FAR_MS
    expected = b":%d\r\n" % time_ms
    keys = [f"survives:{number}" for number in range(200)]

    def check():
        with cluster.client() as client:
            return all(client.ask("PEXPIRETIME", key) == expected for key in keys)

    with cluster.client() as client:
        for key in keys:
            assert client.ask("SET", key, "x", "PXAT", time_ms) == b"+OK\r\n"
        client.ask("SET", "over", "x", "PX", 1)
    cluster.kill_all_at_once()
    cluster.up()
    wait_for(check, "the times after the crash")
    cluster.kill(cluster.locate(keys[0])[0])
    wait_for(check, "the times without a node")
    cluster.up()
    address = cluster.spawn("n4")
    done = cluster.ringctl("add", f"n4={address}", "--yes")
    assert done.returncode == 0, done.stderr
    assert check()
    with cluster.client() as client:
        assert client.ask("EXISTS", "over") == b":0\r\n"


def test_goes_from_the_nodes(make_cluster):
    """Expired keys leave the disk of all nodes without anybody asking for them; others stay."""
    cluster = make_cluster("--node", "storage.checkpoint=1s")
    with cluster.client() as client:
        commands = [array("SET", f"goes:{number}", "x", "PX", 500) for number in range(MANY)]
        client.exchange(b"".join(commands), MANY)
        client.exchange(b"".join(array("SET", f"stays:{number}", "x", "EX", 3600) for number in range(100)), 100)

    def counted(name):
        return [member[name] for member in cluster.status()["members"]]

    wait_for(lambda: sum(counted("expired")) == MANY, "the leaders to delete what has expired")
    wait_for(lambda: counted("keys") == [100] * 3, "the nodes to have the others only")
    with cluster.client() as client:
        assert client.ask("DBSIZE") == b":100\r\n"
