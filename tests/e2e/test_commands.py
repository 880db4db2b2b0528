"""Every command answers byte for byte what a real Redis answers.

The same bytes go to a redis-server and to a proxy, and the raw replies are compared. What differs
knowingly is not in the tables but has a test of its own below, which says why.
"""

import random
import re

import pytest
import redis
from harness import HOST, SANITIZE, array, bulk, elements, run, wait_for

INTEGERS = [
    *("0", "1", "-1", "-0", "+1", "01", "00", "", " 1", "1 ", "1e3", "0x10", "1.0", "--1", "-", "abc"),
    *("9223372036854775806", "9223372036854775807", "9223372036854775808"),
    *("-9223372036854775807", "-9223372036854775808", "-9223372036854775809"),
    *("18446744073709551616", "1" * 30, "1\0", "\t5"),
]

# Name of a case, and its commands in order. {} makes a key of the case's own.
CASES = {
    "ping": ["PING", "PING hello", "PING a b"],
    "echo": ["ECHO hello", "ECHO", "ECHO a b"],
    "select": ["SELECT 0", "SELECT 1", "SELECT -1", "SELECT abc", "SELECT", "SELECT 0 0"],
    "set_get": ["GET {}", "SET {} 1", "GET {}", "SET {} two", "GET {}", "SET {}", "SET", "GET", "GET {} {}"],
    "set_wrong": ["SET {} v what", "SET {} v NX XX", "SET {} v EX", "GET {}"],
    "getset": ["GETSET {} a", "GETSET {} b", "GET {}", "GETSET {}", "GETSET {} a b"],
    "setnx": ["SETNX {} a", "SETNX {} b", "GET {}", "SETNX {}", "SETNX", "SETNX {} a b"],
    "del": ["DEL {}", "SET {} 1", "DEL {}", "GET {}", "DEL", "SET {}1 a", "SET {}2 b", "DEL {}1 {}2 {}3 {}1"],
    "exists": ["EXISTS {}", "SET {} 1", "EXISTS {}", "EXISTS {} {} {}none", "EXISTS"],
    "mset": ["MSET {}1 a {}2 b {}3 c", "MGET {}1 {}2 {}3 {}4", "MSET {}1 x {}1 y", "GET {}1", "MSET", "MSET a",
             "MSET {}1 a {}2", "MGET", "MGET {}1 {}1 {}none {}2", "MGET {}none"],
    "mset_many": ["MSET " + " ".join(f"{{}}{i} {i}" for i in range(300)),
                  "MGET " + " ".join(f"{{}}{i}" for i in range(310)),
                  "DEL " + " ".join(f"{{}}{i}" for i in range(0, 400, 3)),
                  "EXISTS " + " ".join(f"{{}}{i}" for i in range(310))],
    "append": ["APPEND {} a", "APPEND {} bc", "GET {}", "STRLEN {}", "APPEND {}", "APPEND {} a b"],
    "strlen": ["STRLEN {}", "SET {} 12345", "STRLEN {}", "STRLEN", "STRLEN {} {}"],
    "incr": ["INCR {}", "INCR {}", "INCRBY {} 10", "DECR {}", "DECRBY {} 5", "GET {}", "INCR", "INCR {} 1",
             "INCRBY {}", "INCRBY {} 1 2", "DECR", "DECR {} 1", "DECRBY {}", "DECRBY {} 1 2"],
    "incr_append": ["INCR {}", "APPEND {} 5", "INCR {}", "APPEND {} x", "INCR {}", "GET {}"],
    "incr_string": ["SET {} abc", "INCR {}", "DECR {}", "INCRBY {} 1", "DECRBY {} 1", "GET {}"],
    "client": ["CLIENT GETNAME", "CLIENT SETNAME me", "CLIENT GETNAME", "CLIENT SETNAME", "CLIENT SETNAME a b",
               "CLIENT GETNAME x", "CLIENT ID x", "CLIENT", "CLIENT NONSENSE", "CLIENT nonsense a"],
    "command": ["COMMAND COUNT x", "COMMAND NONSENSE", "COMMAND INFO nonsense", "COMMAND DOCS nonsense"],
    "config": ["CONFIG", "CONFIG GET", "CONFIG GET nonsense", "CONFIG NONSENSE"],
    "hello": ["HELLO 99", "HELLO 1", "HELLO 4", "HELLO abc", "HELLO 2 NONSENSE", "HELLO 2 SETNAME",
              "PING"],
    "unknown": ["NONSENSE", "NONSENSE a b c", "NONSENSE " + "x" * 200, "NONSENSE " + "x " * 100,
                "x" * 300 + " a", "GETT {}"],
    "many_at_once": [f"SET {{}}{i % 7} {i}" for i in range(500)] + [f"GET {{}}{i % 7}" for i in range(500)],
}  # fmt: skip

# The same, for words that an inline command cannot say without quotes.
BINARY_CASES = {
    "binary": [("SET", "{}", bytes(range(256))), ("GET", "{}"), ("APPEND", "{}", b"\r\n"), ("STRLEN", "{}")],
    "binary_key": [("SET", b"{}\0\r\n\xff", "v"), ("GET", b"{}\0\r\n\xff"), ("MGET", b"{}\0\r\n\xff", b"{}\0")],
    "empty_value": [("SET", "{}", ""), ("GET", "{}"), ("STRLEN", "{}"), ("APPEND", "{}", ""), ("INCR", "{}")],
    "copy_database": [("COPY", "{}1", "{}1", "DB", number) for number in INTEGERS if number != "0"],
    "scan_cursor": [("SCAN", cursor, "MATCH", "no such key", "COUNT", "1000000") for cursor in ("", "0\0", "\0a", "+0", "-0", " 0", "-")],
    "append_nothing": [("APPEND", "{}", ""), ("EXISTS", "{}"), ("GET", "{}")],
    "empty_name": [("",), ("", "a")],
    "name_with_binary": [(b"NON\0SENSE", b"\0\xff"), (b"NON\r\nSENSE", b"a\r\nb")],
    "ping_binary": [("PING", bytes(range(256))), ("ECHO", b"\0\r\n")],
    "client_name": [("CLIENT", "SETNAME", "a b"), ("CLIENT", "SETNAME", "a\nb"), ("CLIENT", "GETNAME"),
                    ("CLIENT", "SETNAME", "x"), ("CLIENT", "SETNAME", ""), ("CLIENT", "GETNAME")],
    "large_values": [("SET", "{}", b"x" * 1000000), ("STRLEN", "{}"), ("APPEND", "{}", b"y" * 1000000), ("GET", "{}"),
                     ("GETSET", "{}", b"z" * 70000), ("MGET", "{}", "{}")],
    "incr_edges": [command for value in INTEGERS for command in (
        ("SET", "{}", value), ("INCR", "{}"), ("GET", "{}"), ("SET", "{}", value), ("DECR", "{}"), ("GET", "{}"),
        ("SET", "{}", "7"), ("INCRBY", "{}", value), ("GET", "{}"), ("SET", "{}", "-7"), ("DECRBY", "{}", value), ("GET", "{}"))],
}  # fmt: skip

INLINE = [
    b"PING\n",
    b"\r\n\r\nPING\r\n",
    b"   PING   \r\n",
    b"\tECHO\thello\r\n",
    b'ECHO "a b"\r\n',
    b"ECHO 'a b'\r\n",
    rb'ECHO "\x41\n\r\t\b\a\"\\\q"' + b"\r\n",
    rb"ECHO 'it\'s \n'" + b"\r\n",
    b'ECHO ""\r\n',
    b'"ECHO" "x"\r\n',
    b"*0\r\n*-1\r\n*-2\r\nPING\r\n",
    b"%1\r\n",
    b"ECHO " + b"x" * 60000 + b"\r\n",
]

ENDINGS = [
    b'ECHO "a\r\n',
    b"ECHO 'a\r\n",
    b'ECHO "a"b\r\n',
    b"*2147483648\r\n",
    b"*+1\r\n",
    b"*abc\r\n",
    b"*\r\n",
    b"*99999999999999999999\r\n",
    b"*9223372036854775808\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$+4\r\nPING\r\n",
    b"*1\r\n$9223372036854775807\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$abc\r\n",
    b"*1\r\n$\r\n",
    b"*1\r\nPING\r\n",
    b"*1\r\n*1\r\n$4\r\nPING\r\n",
    b"*2\r\n$4\r\nPING\r\n:1\r\n",
    b"*" + b"1" * 70000,
    b"*1\r\n$" + b"1" * 70000,
    b"x" * 70000,
    b"PING\r\n*1\r\n$-5\r\nPING\r\n",
]


@pytest.fixture
def both(redis_server, cluster):
    """A connection to Redis and one to a proxy."""
    with redis_server.client() as theirs, cluster.client() as ours:
        yield theirs, ours


def compare(both, commands, pieces=None):
    """Sends commands (lists of words) to both and compares reply by reply."""
    data = [command if isinstance(command, bytes) else array(*command) for command in commands]
    answers = []
    for client in both:
        if pieces is None:
            answers.append([reply for one in data for reply in client.exchange(one, 1)])
        else:
            for piece in pieces(b"".join(data)):
                client.send(piece)
            answers.append([client.reply() for _ in data])
    for command, theirs, ours in zip(commands, *answers):
        assert ours[:2000] == theirs[:2000], f"to {str(command)[:300]}"
        assert ours == theirs


def words(command, key):
    """A case's command as words, with its key in place."""
    split = command.split(" ") if isinstance(command, str) else command
    encoded = [word if isinstance(word, bytes) else word.encode() for word in split]
    return [word.replace(b"{}", key.encode()) for word in encoded]


def odd_pieces(data):
    sizes = [1, 2, 3, 5, 7, 11, 64, 1, 1000]
    at = turn = 0
    while at < len(data):
        yield data[at : at + sizes[turn % len(sizes)]]
        at += sizes[turn % len(sizes)]
        turn += 1


@pytest.mark.parametrize("case", [*CASES, *BINARY_CASES])
def test_array_form(both, case):
    compare(both, [words(c, f"array:{case}:") for c in (CASES | BINARY_CASES)[case]])


@pytest.mark.parametrize("case", CASES)
def test_inline_form(both, case):
    lines = [b" ".join(words(c, f"inline:{case}:")) + b"\r\n" for c in CASES[case]]
    compare(both, lines)


@pytest.mark.parametrize("case", CASES)
def test_names_in_any_case(both, case):
    mixed = []
    for command in CASES[case]:
        name, *rest = words(command, f"mixed:{case}:")
        mixed.append([name.swapcase() if len(mixed) % 2 else name.title(), *rest])
    compare(both, mixed)


@pytest.mark.parametrize("case", [*CASES, *BINARY_CASES])
def test_one_write(both, case):
    commands = (CASES | BINARY_CASES)[case]
    if case == "large_values":
        commands = commands[:3]
    compare(both, [words(c, f"one:{case}:") for c in commands], lambda data: [data])


@pytest.mark.parametrize("case", [case for case in CASES | BINARY_CASES if case != "large_values"])
def test_split_anywhere(both, case):
    commands = [words(c, f"split:{case}:") for c in (CASES | BINARY_CASES)[case]]
    compare(both, commands, odd_pieces)


@pytest.mark.parametrize("line", INLINE, ids=lambda line: repr(line[:30]))
def test_inline_syntax(both, line):
    compare(both, [line])


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: repr(end[:40]))
def test_protocol_violation(both, end):
    """Both send the same last words and close."""
    answers = []
    for client in both:
        client.send(end)
        answers.append(client.rest())
    assert answers[1] == answers[0]


@pytest.mark.parametrize("resp3", [False, True], ids=["RESP2", "RESP3"])
@pytest.mark.parametrize("seed", range(4))
def test_random_commands(both, seed, resp3):
    """Some thousand commands over few keys, pipelined."""
    chance = random.Random(seed)
    keys = [f"random:{seed}:{resp3}:{number}" for number in range(12)]
    values = [*INTEGERS, "5", "-3", "100", "text", "\r\n", "x" * 300]

    def command():
        key, value = chance.choice(keys), chance.choice(values)
        some_keys = chance.choices(keys, k=chance.randint(1, 6))
        return chance.choice(
            [
                *(["GET", key], ["SET", key, value], ["SETNX", key, value], ["GETSET", key, value]),
                *(["APPEND", key, value[:20]], ["STRLEN", key], ["DEL", *some_keys]),
                *(["EXISTS", *some_keys], ["MGET", *some_keys], ["INCR", key], ["DECR", key]),
                *(["INCRBY", key, value], ["DECRBY", key, value]),
                ["MSET", *(word for some in some_keys for word in (some, chance.choice(values)))],
                [chance.choice(["GET", "SET", "MSET", "INCRBY", "NONSENSE"])],
            ]
        )

    if resp3:
        for client in both:
            client.ask("HELLO", "3")
    for _ in range(40):
        compare(both, [command() for _ in range(50)], lambda data: [data])


def test_resp3(both):
    """After HELLO 3 absent values are nulls of their own kind, in both."""
    for client in both:
        assert client.ask("HELLO", "3").startswith(b"%7\r\n")
    compare(both, [("GET", "none"), ("MGET", "none", "none"), ("CLIENT", "GETNAME"), ("GETSET", "resp3:a", "1")])
    for client in both:
        assert client.ask("HELLO", "2").startswith(b"*14\r\n")
    compare(both, [("GET", "none"), ("MGET", "none"), ("HELLO", "3", "SETNAME", "a b"), ("GET", "none")])


@pytest.mark.parametrize("line", [b"POST / HTTP/1.1", b"post x", b"Host: 127.0.0.1"], ids=str)
def test_http(both, line):
    """A page in a browser can send this to any port: the commands in its body are not run."""
    for client in both:
        client.send(array("DEL", "http:a"))
        assert client.reply()[:1] == b":"
        client.send(line + b"\r\n" + array("SET", "http:a", "1"))
        assert client.rest() == b""


def test_http_leaves_nothing(both):
    for client in both:
        assert client.ask("GET", "http:a") == b"$-1\r\n"


# What differs, and why


def test_hello(both):
    """Version, id and mode are each server's own; the fields, their order and kinds are the same."""
    theirs, ours = (elements(client.ask("HELLO")) for client in both)
    assert ours[::2] == theirs[::2]
    assert [type(value) for value in ours] == [type(value) for value in theirs]
    assert elements(both[1].ask("HELLO", "2", "SETNAME", "me"))
    assert both[1].ask("CLIENT", "GETNAME") == b"$2\r\nme\r\n"


def test_client_id(cluster):
    """Ids are each server's own: a number, the same for a connection, another for another."""
    with cluster.client() as one, cluster.client() as two:
        first, again, second = one.ask("CLIENT", "ID"), one.ask("CLIENT", "ID"), two.ask("CLIENT", "ID")
    assert re.fullmatch(rb":\d+\r\n", first)
    assert first == again != second


def test_client_setinfo(cluster):
    """Redis has it from 7.2 on; Debian's is older. Clients send it first thing."""
    with cluster.client() as client:
        assert client.ask("CLIENT", "SETINFO", "LIB-NAME", "test") == b"+OK\r\n"
        assert client.ask("CLIENT", "SETINFO", "lib-ver", "1.0") == b"+OK\r\n"
        assert client.ask("CLIENT", "SETINFO", "nonsense", "1").startswith(b"-ERR ")


def test_info(cluster):
    """The content is each server's own: sections of name:value lines."""
    with cluster.client() as client:
        text = elements(client.ask("INFO")).decode()
        assert re.search(r"^# Server\r$", text, re.M)
        assert re.search(r"^redis_version:7\.\d+\.\d+\r$", text, re.M)
        section = elements(client.ask("INFO", "server")).decode()
        assert re.findall(r"^# (\w+)\r$", section, re.M) == ["Server"]
        assert elements(client.ask("INFO", "nonsense")).strip() == b""


def test_info_keyspace(make_cluster):
    """Whether a checkpoint has written them or not, and exact where every node has every partition."""
    with make_cluster("--node", "storage.checkpoint=1h", "--proxy", "cluster.ring_poll=50ms").client() as client:
        client.ask("FLUSHALL")
        wait_for(lambda: elements(client.ask("INFO", "keyspace")).decode() == "# Keyspace\r\n", "an empty database")
        for number in range(100):
            client.ask("SET", f"keyspace:{number}", "x", *(("EX", "1000") if number < 30 else ()))
        wanted = "# Keyspace\r\ndb0:keys=100,expires=30,avg_ttl=0\r\n"
        wait_for(lambda: elements(client.ask("INFO", "keyspace")).decode() == wanted, "100 keys in INFO keyspace")
        client.ask("DEL", "keyspace:0")
        client.ask("PERSIST", "keyspace:1")
        wanted = "# Keyspace\r\ndb0:keys=99,expires=28,avg_ttl=0\r\n"
        wait_for(lambda: elements(client.ask("INFO", "keyspace")).decode() == wanted, "one key less")


def test_config_get(cluster):
    """What redis-benchmark asks before it begins; the values are each server's own."""
    with cluster.client() as client:
        for name in (b"save", b"appendonly"):
            assert elements(client.ask("CONFIG", "GET", name))[0] == name


def test_command(both):
    """The table lists ringkv's commands; for each that Redis has too, name, arity and key positions
    are the same."""
    theirs, ours = both
    names = [entry[0] for entry in elements(ours.ask("COMMAND"))]
    assert {b"get", b"set", b"mset", b"levelget"} <= set(names)
    assert elements(ours.ask("COMMAND", "COUNT")) == len(names)
    shared = [name for name in names if name not in (b"levelget", b"cas")]
    their_table = elements(theirs.ask("COMMAND", "INFO", *shared))
    for theirs_entry, ours_entry in zip(their_table, elements(ours.ask("COMMAND", "INFO", *shared))):
        assert ours_entry[:2] + ours_entry[3:6] == theirs_entry[:2] + theirs_entry[3:6]
    docs = elements(ours.ask("COMMAND", "DOCS", "get"))
    assert docs[0] == b"get" and b"summary" in docs[1]


def test_levelget(cluster):
    """ringkv's own: GET with a level of consistency."""
    with cluster.client() as client:
        assert client.ask("LEVELGET", "level:none", "0") == b"$-1\r\n"
        client.ask("SET", "level:a", "x")
        for level in "012":
            assert client.ask("LEVELGET", "level:a", level) == bulk(b"x")
        for wrong in ("3", "-1", "abc", ""):
            assert client.ask("LEVELGET", "level:a", wrong).startswith(b"-ERR ")
        assert client.ask("LEVELGET", "level:a").startswith(b"-ERR wrong number of arguments for 'levelget'")


def test_quit(both):
    answers = []
    for client in both:
        client.send(b"PING\r\nQUIT\r\nPING\r\n" + array("SET", "quit:a", "1"))
        answers.append(client.rest())
    assert answers == [b"+PONG\r\n+OK\r\n"] * 2


def test_replies_in_order(cluster):
    """Quick and slow commands in one pipeline are answered in the order of asking."""
    count = 2000
    with cluster.client() as client:
        asked, expected = [], []
        for number in range(count):
            text = str(number).encode()
            key = b"order:%d" % (number % 50)
            asked += [("SET", key, text), ("ECHO", text), ("GET", key), ("PING", text), ("NONSENSE", text)]
            expected += [b"+OK\r\n", bulk(text), bulk(text), bulk(text), None]
        client.send(b"".join(array(*command) for command in asked))
        for want in expected:
            reply = client.reply()
            assert reply == want if want else reply.startswith(b"-ERR unknown command")


# Real clients


def test_redis_py(cluster):
    client = redis.Redis(port=cluster.port, client_name="py")
    assert client.client_getname() == "py"
    assert client.mset({"py:a": "1", "py:b": "2"})
    assert client.mget("py:a", "py:b", "py:none") == [b"1", b"2", None]
    assert client.incrby("py:a", 41) == 42
    pipeline = client.pipeline(transaction=False)
    for number in range(1000):
        pipeline.set(f"py:{number}", number)
    assert all(pipeline.execute())
    assert client.exists(*(f"py:{number}" for number in range(1000))) == 1000
    assert client.info()["redis_version"].startswith("7.")
    client.close()


def test_redis_cli(cluster):
    def cli(*arguments, **options):
        return run("redis-cli", "-h", HOST, "-p", cluster.port, *arguments, **options).stdout

    assert cli("SET", "cli:a", "hello world") == "OK\n"
    assert cli("GET", "cli:a") == "hello world\n"
    assert cli("-3", "GET", "cli:none") == "\n"
    assert cli(input="SET cli:b 1\nINCR cli:b\nGET cli:b\n") == "OK\n2\n2\n"


def test_netcat(cluster):
    """What was asked before the end of the input is answered."""
    done = run("nc", "-N", HOST, cluster.port, input="set nc:a hello\r\nget nc:a\r\n")
    assert done.stdout.split() == ["+OK", "$5", "hello"]


@pytest.mark.skipif(bool(SANITIZE), reason="nothing to learn from a slow build's rate")
def test_redis_benchmark(cluster):
    done = run(
        *("redis-benchmark", "-h", HOST, "-p", cluster.port, "-n", "20000", "-P", "16", "-q"),
        *("-t", "ping,set,get,incr,mset", "-r", "1000"),
    )
    rates = re.findall(r"([\d.]+) requests per second", done.stdout)
    assert len(rates) == 6, done.stdout + done.stderr
    assert "rror" not in done.stdout + done.stderr
