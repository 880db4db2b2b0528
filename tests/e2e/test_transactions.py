"""MULTI, EXEC, WATCH, CAS and commands on two keys: replies as Redis gives them, and no half of a
transaction ever to be seen."""

import itertools
import random
import threading
import time

import pytest
import redis
from harness import HOST, array, bulk, wait_for
from history import CONTENDED, Keys, check, is_known, read_all, was_refused, write_history
from load import Load
from test_failover import is_even

# Name of a case, and its commands in order. {} makes a key of the case's own; its keys share a
# hash tag, so they lie in one partition here.
CASES = {
    "exec": ["MULTI", "SET {}a 1", "INCR {}a", "GET {}a", "MGET {}a {}b", "DEL {}a {}b", "EXISTS {}a {}a", "EXEC",
             "GET {}a"],
    "empty": ["MULTI", "EXEC", "EXEC", "DISCARD"],
    "no_node": ["MULTI", "PING", "ECHO hello", "SELECT 0", "PING x y", "EXEC"],
    "no_node_alone": ["MULTI", "PING", "ECHO hello", "EXEC"],
    "errors_inside": ["MULTI", "SET {}a x", "INCR {}a", "INCRBY {}a x", "SET {}a y NX XX", "GET {}a", "EXEC", "GET {}a"],
    "arity": ["MULTI", "SET {}a", "SET {}a 1", "EXEC", "GET {}a", "EXEC"],
    "unknown": ["MULTI", "NONSENSE a b", "PING", "EXEC"],
    "unknown_sub": ["MULTI", "CLIENT NONSENSE", "EXEC"],
    "nested": ["MULTI", "MULTI", "SET {}a 1", "EXEC", "GET {}a"],
    "watch_inside": ["MULTI", "WATCH {}a", "SET {}a 1", "EXEC", "GET {}a"],
    "unwatch_inside": ["WATCH {}a", "MULTI", "UNWATCH", "SET {}a 1", "EXEC", "GET {}a"],
    "discard": ["SET {}a 1", "MULTI", "SET {}a 2", "DISCARD", "GET {}a", "EXEC"],
    "discard_failed": ["MULTI", "NONSENSE", "DISCARD", "MULTI", "PING", "EXEC"],
    "words": ["MULTI x", "EXEC x", "DISCARD x", "WATCH", "UNWATCH x"],
    "watch": ["SET {}a 1", "WATCH {}a", "MULTI", "SET {}a 2", "EXEC", "GET {}a"],
    "watch_changed": ["SET {}a 1", "WATCH {}a", "SET {}a 2", "MULTI", "SET {}a 3", "PING", "EXEC", "GET {}a"],
    "watch_same_value": ["SET {}a 1", "WATCH {}a", "SET {}a 1", "MULTI", "PING", "EXEC"],
    "watch_none": ["WATCH {}a", "MULTI", "SET {}a 1", "EXEC", "WATCH {}a {}b", "SET {}b 1", "MULTI", "EXEC"],
    "watch_deleted": ["SET {}a 1", "WATCH {}a", "DEL {}a", "MULTI", "PING", "EXEC"],
    "watch_made_anew": ["SET {}a 1", "WATCH {}a", "DEL {}a", "SET {}a 1", "MULTI", "PING", "EXEC"],
    "watch_not_deleted": ["WATCH {}a", "DEL {}a", "MULTI", "PING", "EXEC"],
    "watch_ends": ["WATCH {}a", "SET {}a 1", "MULTI", "EXEC", "MULTI", "PING", "EXEC"],
    "watch_discard": ["WATCH {}a", "SET {}a 1", "MULTI", "DISCARD", "MULTI", "PING", "EXEC"],
    "watch_unwatch": ["WATCH {}a", "SET {}a 1", "UNWATCH", "MULTI", "PING", "EXEC"],
    "watch_failed": ["WATCH {}a", "MULTI", "NONSENSE", "EXEC", "SET {}a 1", "MULTI", "PING", "EXEC"],
    "watch_same_bit": ["SETBIT {}a 7 1", "WATCH {}a", "SETBIT {}a 7 1", "SETBIT {}a 0 0", "MULTI", "PING", "EXEC", "WATCH {}a",
                       "SETBIT {}a 8 0", "MULTI", "PING", "EXEC"],
    "watch_twice": ["SET {}a 1", "WATCH {}a", "SET {}a 2", "WATCH {}a", "MULTI", "PING", "EXEC"],
    "ttl": ["SET {}a 1 EXAT 4102444800", "MULTI", "INCR {}a", "EXPIRETIME {}a", "PERSIST {}a", "TTL {}a", "EXPIRE {}a 100", "TTL {}a",
            "SET {}a 2", "TTL {}a", "EXEC"],
    "reset": ["MULTI", "RESET", "EXEC", "PING"],
    "hello_after": ["MULTI", "GET {}a", "EXEC", "WATCH {}a", "SET {}a 1", "MULTI", "EXEC"],
    "rename": ["RENAME {}a {}b", "SET {}a 1 EXAT 4102444800", "SET {}b 2", "RENAME {}a {}b", "GET {}a", "GET {}b", "EXPIRETIME {}b",
               "RENAME {}b {}b", "GET {}b", "RENAME", "RENAME {}a", "RENAME {}a {}a"],
    "renamenx": ["RENAMENX {}a {}b", "SET {}a 1", "SET {}b 2", "RENAMENX {}a {}b", "DEL {}b", "RENAMENX {}a {}b",
                 "GET {}b", "RENAMENX {}b {}b", "EXISTS {}a"],
    "copy": ["COPY {}a {}b", "SET {}a 1 EXAT 4102444800", "COPY {}a {}b", "EXPIRETIME {}b", "COPY {}a {}b", "SET {}a 2",
             "COPY {}a {}b REPLACE", "GET {}b", "TTL {}b", "COPY {}a {}a", "COPY {}a {}b WHAT", "COPY {}a {}b DB",
             "COPY {}a {}b DB 0 REPLACE", "COPY {}a {}b DB x", "COPY {}a", "COPY {}none {}none"],
    "msetnx": ["MSETNX {}a 1 {}b 2", "MGET {}a {}b", "MSETNX {}c 1 {}b 3", "MGET {}b {}c", "MSETNX", "MSETNX {}a",
               "MSETNX {}x 1 {}x 2", "GET {}x", "MSETNX {}a 1 {}b"],
    "two_keys_inside": ["MULTI", "SET {}a 1", "RENAME {}a {}b", "COPY {}b {}c", "MSETNX {}d 1 {}e 2", "RENAME {}a {}b",
                        "RENAMENX {}b {}c", "MGET {}a {}b {}c {}d {}e", "EXEC"],
    "many": ["MULTI"] + ["INCR {}a"] * 500 + ["APPEND {}b x"] * 100 + ["EXEC"],
}  # fmt: skip


@pytest.fixture(scope="module")
def led(shared_cluster):
    """Each node leads what it should lead. While that changes EXEC may do nothing, as doc/commands.md says: a watched key that
    did not exist counts as changed when another node leads."""
    wait_for(lambda: is_even(shared_cluster), "each node to lead its share")


@pytest.fixture
def both(redis_server, cluster, led):
    with redis_server.client() as theirs, cluster.client() as ours:
        yield theirs, ours


def words_of(name, line):
    return line.replace("{}", f"{{{name}}}").split()


@pytest.mark.parametrize("resp", [2, 3])
@pytest.mark.parametrize("name", CASES)
def test_same_as_redis(both, name, resp):
    """One after the other, then all at once."""
    lines = [words_of(f"{name}{resp}", line) for line in CASES[name]]
    answers = []
    for client in both:
        if resp == 3:
            client.ask("HELLO", "3")
        answers.append([client.ask(*words) for words in lines])
    assert answers[0] == answers[1]
    lines = [words_of(f"{name}{resp}again", line) for line in CASES[name]]
    answers = []
    for client in both:
        answers.append(client.exchange(b"".join(array(*words) for words in lines), len(lines)))
    assert answers[0] == answers[1]


def test_partitions(cluster):
    """What Redis Cluster says of slots is true of partitions here. A queued command that lies
    elsewhere than those before it is told at once."""
    crossing = b"-CROSSSLOT Keys in request don't hash to the same slot\r\n"
    with cluster.client() as client:
        for words in ("MSETNX x:a 1 x:b 2", "RENAME x:a x:b", "RENAMENX x:a x:b", "COPY x:a x:b", "WATCH x:a x:b"):
            assert client.ask(*words.split()) == crossing
        client.ask("MULTI")
        assert client.ask("GET", "x:a") == b"+QUEUED\r\n"
        assert client.ask("GET", "x:b") == crossing
        assert client.ask("EXEC").startswith(b"-EXECABORT ")
        assert client.ask("WATCH", "x:a") == b"+OK\r\n"
        client.ask("MULTI")
        assert client.ask("GET", "x:b") == b"+QUEUED\r\n"
        assert client.ask("EXEC") == crossing
        # The transaction is over, and nothing is watched.
        client.ask("MULTI")
        assert client.ask("GET", "x:b") == b"+QUEUED\r\n"
        assert client.ask("EXEC") == b"*1\r\n$-1\r\n"


def test_outside_only(cluster):
    """Commands on all partitions cannot be part of an operation on one."""
    with cluster.client() as client:
        for words in ("SCAN 0", "KEYS *", "DBSIZE", "FLUSHALL", "FLUSHDB", "RANDOMKEY", "CLIENT REPLY OFF"):
            client.ask("MULTI")
            assert client.ask(*words.split()) == b"-ERR Command not allowed inside a transaction\r\n"
            assert client.ask("EXEC").startswith(b"-EXECABORT ")


def test_bounds(cluster):
    with cluster.client() as client:
        client.ask("MULTI")
        replies = client.exchange(array("GET", "a") * 2049, 2049)
        assert replies[:2048] == [b"+QUEUED\r\n"] * 2048
        assert replies[2048].startswith(b"-ERR transaction is too large: it can have 2048 commands")
        assert client.ask("EXEC").startswith(b"-EXECABORT ")
        client.ask("MULTI")
        value = b"x" * (15 << 20)
        replies = [client.ask("SET", "a", value) for _ in range(5)]
        assert replies[:4] == [b"+QUEUED\r\n"] * 4 and replies[4].startswith(b"-ERR transaction is too large")
        assert client.ask("DISCARD") == b"+OK\r\n"
        # What the arguments take in the proxy counts, not only their bytes.
        client.ask("MULTI")
        replies = client.exchange((b"*1000001\r\n$4\r\nMGET\r\n" + b"$0\r\n\r\n" * 1000000) * 6, 6)
        assert replies[:4] == [b"+QUEUED\r\n"] * 4 and replies[5].startswith(b"-ERR transaction is too large")
        assert client.ask("DISCARD") == b"+OK\r\n"
        keys = [f"{{w}}{i}" for i in range(1025)]
        assert client.ask("WATCH", *keys) == b"-ERR too many keys to watch: a client can watch 1024\r\n"
        assert client.ask("WATCH", *keys[:1024]) == b"+OK\r\n"
        client.ask("MULTI")
        assert client.ask("EXEC") == b"*0\r\n"


def test_cas(cluster):
    with cluster.client() as client:
        assert client.ask("CAS", "cas:a", "", "1") == b":-1\r\n"
        client.ask("SET", "cas:a", "one", "EXAT", "4102444800")
        assert client.ask("CAS", "cas:a", "two", "1") == b":0\r\n"
        assert client.ask("CAS", "cas:a", "one", "") == b":1\r\n"
        assert client.ask("GET", "cas:a") == b"$0\r\n\r\n"
        assert client.ask("EXPIRETIME", "cas:a") == b":4102444800\r\n"
        assert client.ask("CAS", "cas:a", "").startswith(b"-ERR wrong number of arguments for 'cas'")
        client.ask("MULTI")
        client.ask("CAS", "cas:a", "", "2")
        client.ask("CAS", "cas:a", "", "3")
        assert client.ask("EXEC") == b"*2\r\n:1\r\n:0\r\n"


def test_watched_key_expires(cluster):
    with cluster.client() as client:
        for time_ms in (300, 3000, 30000):  # on a busy machine it may be over before it is watched
            assert client.ask("UNWATCH") == b"+OK\r\n"
            client.ask("SET", "expiring", "1", "PX", time_ms)
            assert client.ask("WATCH", "expiring") == b"+OK\r\n"
            if client.ask("GET", "expiring") == bulk(b"1"):
                break
        while client.ask("GET", "expiring") != b"$-1\r\n":
            # A read makes no difference to what is watched.
            pass
        client.ask("MULTI")
        client.ask("PING")
        assert client.ask("EXEC") == b"*-1\r\n"


def in_threads(count, work):
    failures = []

    def run(number):
        try:
            work(number)
        except Exception as error:  # handed to the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def connect(cluster):
    return redis.Redis(host=HOST, port=cluster.port_of("proxy1"))


def test_check_and_set(cluster):
    """Many clients add to one number, each by WATCH, GET, MULTI, SET, EXEC, or by CAS: no addition is
    lost."""
    connect(cluster).mset({"{n}watched": 0, "{n}cas": 0})
    done = itertools.count()

    def work(number):
        client = connect(cluster)
        for _ in range(30):
            if number % 2:
                client.transaction(lambda p: (value := int(p.get("{n}watched")), p.multi(), p.set("{n}watched", value + 1)),
                                   "{n}watched")  # fmt: skip
            else:
                while True:
                    value = client.get("{n}cas")
                    if client.execute_command("CAS", "{n}cas", value, int(value) + 1) == 1:
                        break
            next(done)

    in_threads(10, work)
    assert next(done) == 300
    assert connect(cluster).mget("{n}watched", "{n}cas") == [b"150", b"150"]


def test_in_one_piece(cluster):
    """Money goes from account to account: whoever adds up sees the same sum, by MGET and by EXEC."""
    accounts = [f"{{bank}}{i}" for i in range(5)]
    connect(cluster).mset({account: 100 for account in accounts})
    stop = threading.Event()

    def work(number):
        client = connect(cluster)
        if number < 4:
            source = random.Random(number)
            for _ in range(200):
                giver, taker = source.sample(accounts, 2)
                with client.pipeline(transaction=True) as p:
                    p.decrby(giver, 7).incrby(taker, 7).mget(accounts)
                    assert sum(map(int, p.execute()[2])) == 500
            stop.set()
        else:
            while not stop.is_set():
                assert sum(map(int, client.mget(accounts))) == 500

    in_threads(6, work)
    assert sum(map(int, connect(cluster).mget(accounts))) == 500


def test_redis_py(cluster):
    """A client library's own transactions, and what it makes of an aborted one."""
    client = connect(cluster)
    with client.pipeline() as p:
        assert p.set("{rp}a", 1).incr("{rp}a").get("{rp}a").execute() == [True, 2, b"2"]
    with client.pipeline() as p:
        p.watch("{rp}a")
        client.incr("{rp}a")
        p.multi()
        p.get("{rp}a")
        with pytest.raises(redis.WatchError):
            p.execute()
    with pytest.raises(redis.ResponseError):
        client.pipeline().set("one", 1).set("other", 2).execute()


def test_killed_primary(make_cluster):
    """A node dies under transactions: each is done or not, and none twice, for all that was told."""
    cluster = make_cluster()
    stop = threading.Event()
    sure = [0] * 4
    unsure = [0] * 4

    def work(number):
        client = connect(cluster)
        pair = [f"{{pair{number}}}a", f"{{pair{number}}}b"]
        while not stop.is_set():
            with client.pipeline(transaction=True) as p:
                p.incr(pair[0]).incr(pair[1])
                try:
                    one, other = p.execute()
                    assert one == other
                    sure[number] += 1
                except redis.ResponseError as error:
                    assert str(error).startswith(("UNCERTAIN", "NOQUORUM")), error
                    unsure[number] += str(error).startswith("UNCERTAIN")

    def kill():
        for name in ("n1", "n2", "n3"):
            cluster.kill(name)
            stop.wait(0.5)
            cluster.start(name)
            stop.wait(1)
        stop.set()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    kill()
    for thread in threads:
        thread.join()
    client = connect(cluster)
    for number in range(4):
        one, other = map(int, client.mget(f"{{pair{number}}}a", f"{{pair{number}}}b"))
        assert one == other
        assert sure[number] <= one <= sure[number] + unsure[number] and sure[number] > 0


CLIENTS = 24
ACTIVE_GROUPS = 3
WAIT_SECONDS = 0.5


def test_histories_under_contention(make_cluster, tmp_path):
    """Clients get in one another's way with EXEC, WATCH and CAS on the same few keys, while each node
    is killed, started, stopped and goes on: what they saw is what one copy of the data could have said."""
    cluster = make_cluster("--proxies", 2)
    keys = Keys(random.Random(1), ACTIVE_GROUPS, CONTENDED)
    with Load([cluster.port, cluster.port + 1], CLIENTS, keys.choose) as load:
        for name in cluster.nodes():
            for hurt, mend in (("KILL", None), ("STOP", "CONT")):
                time.sleep(WAIT_SECONDS)
                cluster.kill(name, hurt)
                time.sleep(WAIT_SECONDS)
                cluster.kill(name, mend) if mend else cluster.start(name)
        time.sleep(WAIT_SECONDS)
        load.stop()
    with cluster.client() as client:
        operations = load.operations + read_all(client, keys, CLIENTS)
    write_history(tmp_path / "history", operations)
    print(check(tmp_path / "history"))
    outcomes = count_outcomes(operations)
    print(outcomes)
    assert min(outcomes.values()) >= 50, outcomes
    assert sum(not is_known(o) or was_refused(o) for o in operations) < len(operations) / 10


def count_outcomes(operations):
    """How often each happened that contention is about."""
    watched = [o for o in operations if len(o.steps()) == 2]
    compared = [o for o in operations if o.words[0] == "CAS"]
    at_once = [o for o in operations if len(o.steps()) == 1 and len(o.steps()[0]) > 1]
    return {
        "aborted": sum(o.reply == b"*-1\r\n" for o in watched),
        "not aborted": sum(o.reply is not None and o.reply.startswith((b"*1", b"*2", b"*3")) for o in watched),
        "compared and set": sum(o.reply == b":1\r\n" for o in compared),
        "differed": sum(o.reply == b":0\r\n" for o in compared),
        "at once": sum(o.reply is not None and o.reply.startswith(b"*") for o in at_once),
    }
