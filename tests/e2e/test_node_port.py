"""Bad input on a node's port: refused with the reason, and the node goes on."""

import os
import random
import struct

import frames
import pytest
from frames import Peer
from harness import RawClient, bulk, elements, wait_for


@pytest.fixture
def port(cluster):
    """A node's port; after the test the cluster still serves."""
    yield cluster.port_of("n1")
    with RawClient(cluster.port) as client:
        for number in range(50):
            key = f"node_port:{number}"
            assert client.ask("SET", key, "x") == b"+OK\r\n"
            assert client.ask("GET", key) == bulk(b"x")


@pytest.fixture
def known(port):
    """What the node says of itself."""
    with Peer(port) as peer:
        peer.send(frames.hello())
        return peer.welcome()


def shard_hello(known, **changed):
    """A proxy's hello to shard 0, right but for what is changed."""
    fields = {
        "role": frames.ROLE_PROXY,
        "shard": 0,
        "epoch": known["epoch"],
        "cluster": known["cluster"],
        "target": known["identity"],
    }
    return frames.hello(**fields | changed)


def check_refused(port, data, error=None):
    """The node says why, and closes."""
    with Peer(port) as peer:
        peer.send(data)
        found, text = peer.goodbye()
        assert error is None or found == error, text
        assert text


def test_right(port, known):
    """The helpers themselves: what is right is not refused."""
    with Peer(port) as peer:
        peer.send(shard_hello(known))
        assert peer.welcome()["identity"] == known["identity"]
    with Peer(port) as peer:
        peer.send(frames.hello())
        peer.welcome()
        peer.send(frames.tagged(frames.STATUS_GET, 7))
        kind, body = peer.receive()
        assert kind == frames.STATUS and body[:8] == struct.pack("<Q", 7)


@pytest.mark.parametrize("version", [0, frames.VERSION - 1, frames.VERSION + 1, 255])
def test_version(port, version):
    check_refused(port, frames.frame(frames.HELLO, bytes(60), version=version), frames.VERSION_ERROR)


@pytest.mark.parametrize("size", [0, 1 << 31, (1 << 32) - 1])
def test_frame_size(port, size):
    check_refused(port, frames.frame(frames.HELLO, bytes(60), size=size))


def test_frame_larger_than_a_hello(port):
    """Before the handshake a node waits for no more than a hello."""
    check_refused(port, frames.frame(frames.HELLO, b"", size=10 << 20))


def test_checksum(port):
    check_refused(port, frames.frame(frames.HELLO, bytes(60), checksum=1), frames.CORRUPT)


def test_spare_field(port):
    check_refused(port, frames.frame(frames.HELLO, bytes(60), spare=1), frames.CORRUPT)


def test_cluster(port, known):
    check_refused(port, shard_hello(known, cluster=b"\1" * 16), frames.CLUSTER)


def test_member(port, known):
    check_refused(port, shard_hello(known, target=b"\1" * 16), frames.MEMBER)


def test_shard(port, known):
    check_refused(port, shard_hello(known, shard=known["shards"]))
    check_refused(port, shard_hello(known, shard=frames.FRONT - 1))


def test_role(port, known):
    for role in (0, 4, 255):
        check_refused(port, shard_hello(known, role=role))


def test_stranger_as_a_peer(port, known):
    """A node that the ring does not know may not speak as a replica."""
    check_refused(port, shard_hello(known, role=frames.ROLE_NODE, identity=b"\7" * 16))


def test_node_of_another_cluster(port, known, cluster):
    """A member's identity is not enough: refused as often as it comes, counted, and the members' own
    links are as they were."""
    other = cluster.port_of("n2")
    with Peer(other) as peer:
        peer.send(frames.hello())
        identity = peer.welcome()["identity"]
    before = {name: counter(cluster, name) for name in ("handshake_failures", "links_up", "links_lost")}
    for _ in range(5):
        check_refused(
            port,
            shard_hello(known, role=frames.ROLE_NODE, identity=identity, cluster=b"\1" * 16),
            frames.CLUSTER,
        )
    refused = before["handshake_failures"] + 5
    wait_for(lambda: counter(cluster, "handshake_failures") >= refused, "five refusals to be counted")
    assert counter(cluster, "links_up") == before["links_up"]
    assert counter(cluster, "links_lost") == before["links_lost"]


def test_no_hello(port):
    check_refused(port, frames.tagged(frames.STATUS_GET))


def test_hello_of_wrong_length(port):
    for size in (1, 59, 61):
        check_refused(port, frames.frame(frames.HELLO, bytes([3]) + bytes(size - 1)))


def test_hello_twice(port):
    with Peer(port) as peer:
        peer.send(frames.hello() * 2)
        peer.welcome()
        assert peer.goodbye()[1]


def test_unknown_message(port, known):
    for kind in (0, 99, 255):
        for greeting in (frames.hello(), shard_hello(known)):
            with Peer(port) as peer:
                peer.send(greeting)
                peer.welcome()
                peer.send(frames.frame(kind, b"x"))
                assert peer.goodbye()[1]


def test_other_protocols(port):
    """A web browser, a Redis client, TLS."""
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"*1\r\n$4\r\nPING\r\n", bytes.fromhex("16030100c8010000c40303")):
        check_refused(port, data + bytes(20), frames.VERSION_ERROR)


def test_half_a_frame(port, known):
    whole = shard_hello(known) + frames.request(frames.OP_GET, frames.store_key(b"a"))
    for size in range(len(whole)):
        with Peer(port) as peer:
            peer.send(whole[:size])


MALFORMED = {
    "no such operation": frames.request(255, frames.store_key(b"a")),
    "operation 0": frames.request(0, frames.store_key(b"a")),
    "no arguments": frames.request(frames.OP_GET),
    "too many arguments": frames.request(frames.OP_GET, frames.store_key(b"a"), b"b"),
    "more arguments announced": frames.request(frames.OP_GET, frames.store_key(b"a"), count=2),
    "most arguments announced": frames.request(frames.OP_GET, frames.store_key(b"a"), count=65535),
    "no key": frames.request(frames.OP_GET, b""),
    "a key without its name": frames.request(frames.OP_GET, bytes(8)),
    "a key too long": frames.request(frames.OP_GET, frames.store_key(b"k" * 497)),
    "no such partition": frames.request(frames.OP_GET, frames.store_key(b"a"), partition=65536),
    "largest partition": frames.request(frames.OP_GET, frames.store_key(b"a"), partition=(1 << 32) - 1),
    "no such level": frames.request(frames.OP_GET, frames.store_key(b"a"), level=5),
    "no such flag": frames.request(frames.OP_GET, frames.store_key(b"a"), flags=4),
    "spare field": frames.request(frames.OP_GET, frames.store_key(b"a"), spare=b"\0\0\0\0\0\0\1"),
    "touches to come": frames.frame(frames.TOUCHED_GET, struct.pack("<QQ", 1, (1 << 64) - 1)),
    "touches cut off": frames.frame(frames.TOUCHED_GET, bytes(15)),
}  # fmt: skip
MALFORMED["argument past the end"] = frames.frame(
    frames.REQUEST, frames.request(frames.OP_GET, frames.store_key(b"a"))[frames.HEADER_SIZE : -4]
)


def counter(cluster, name):
    """Of n1, which tells its counters as of the last tenth of a second."""
    return next(member for member in cluster.status()["members"] if member["name"] == "n1")[name]


def test_malformed_requests_are_counted(port, known, cluster):
    before = counter(cluster, "bad_requests")  # or fewer: what other tests did just now may be missing
    for _ in range(3):
        test_malformed_request(port, known, "spare field")
    wait_for(lambda: counter(cluster, "bad_requests") >= before + 3, "three bad requests to be counted")


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_request(port, known, what):
    with Peer(port) as peer:
        peer.send(shard_hello(known))
        peer.welcome()
        peer.send(MALFORMED[what])
        assert peer.goodbye()[1]


def refusal_of(port, known, request, shard=0):
    with Peer(port) as peer:
        peer.send(shard_hello(known, shard=shard))
        peer.welcome()
        peer.send(request)
        kind, body = peer.receive()
        assert kind == frames.REPLY and body[8] == frames.REPLY_REFUSED, (kind, body)
        return body[9]


def key_in(partition, partitions=256):
    """A store key that lies in a partition."""
    number = 0
    while True:
        key = b"in:%d" % number
        if frames.position(key)[0] * partitions >> 8 == partition:
            return frames.store_key(key)
        number += 1


@pytest.mark.parametrize("epoch", [0, 2, 1 << 40, (1 << 64) - 1])
def test_request_of_another_epoch(port, known, epoch):
    request = frames.request(frames.OP_GET, key_in(0), partition=0, epoch=known["epoch"] + epoch if epoch == 2 else epoch)
    assert refusal_of(port, known, request) == frames.REFUSAL_EPOCH


@pytest.mark.parametrize("view", [1, 1 << 16 | 999, (1 << 64) - 1])
def test_request_of_another_view(port, known, view):
    request = frames.request(
        *(frames.OP_SET, key_in(0), b"never"), epoch=known["epoch"], view=view, partition=0, session=1, number=1
    )
    assert refusal_of(port, known, request) == frames.REFUSAL_ELSEWHERE


def test_key_of_another_partition(port, known):
    """A key that does not lie where its request says is not stored there."""
    request = frames.request(
        *(frames.OP_SET, key_in(2), b"never"), epoch=known["epoch"], partition=0, session=1, number=1
    )
    assert refusal_of(port, known, request) == frames.REFUSAL_MALFORMED


def test_partition_beyond_the_ring(port, known):
    request = frames.request(frames.OP_GET, frames.store_key(b"a"), epoch=known["epoch"], partition=300)
    assert refusal_of(port, known, request, 300 % known["shards"]) == frames.REFUSAL_MALFORMED


def test_partition_of_another_shard(port, known):
    if known["shards"] == 1:
        pytest.skip("the node has one shard")
    request = frames.request(frames.OP_GET, key_in(1), epoch=known["epoch"], partition=1)
    assert refusal_of(port, known, request, 0) == frames.REFUSAL_MALFORMED


def test_ring_from_outside(port, known):
    """A ring is not taken by mistake: rubbish, an old one again, one of another cluster."""
    with Peer(port) as peer:
        peer.send(frames.hello())
        peer.welcome()
        peer.send(frames.tagged(frames.RING_GET, 1))
        kind, body = peer.receive()
        assert kind == frames.RING
        ring = body[8:]

    flipped = bytearray(ring)
    flipped[40] ^= 1
    other = bytearray(ring)
    other[8:24] = os.urandom(16)
    other[-4:] = struct.pack("<I", frames.crc32c(bytes(other[:-4])))
    for wrong in (b"", b"x", bytes(flipped), ring[:-1], ring + b"x", ring, bytes(other)):
        for expected in (0, known["epoch"] - 1, known["epoch"] + 1, (1 << 64) - 1):
            with Peer(port) as peer:
                peer.send(frames.hello())
                peer.welcome()
                peer.send(frames.tagged(frames.RING_PUT, 5, struct.pack("<Q", expected) + wrong))
                kind, body = peer.receive()
                assert (kind == frames.DONE and body[16] != 0) or kind == frames.GOODBYE, (kind, body)
    with Peer(port) as peer:
        peer.send(frames.hello())
        assert peer.welcome() == known


def test_rubbish(port, known):
    chance = random.Random(3)
    good = shard_hello(known) + frames.request(frames.OP_GET, key_in(0), epoch=known["epoch"])
    for number in range(200):
        if number % 2:
            data = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
        else:
            data = chance.randbytes(chance.choice([1, 20, 5000]))
        with Peer(port) as peer:
            peer.send(bytes(data))
            peer.socket.shutdown(1)
            peer.closed()


def test_peer_messages_from_a_proxy(port, known):
    """A proxy's connection carries no replication: not by any message type, at any extreme."""
    chance = random.Random(4)
    for kind in range(30, 40):
        for body in (b"\0", b"\xff" * 200, bytes(200), chance.randbytes(500)):
            with Peer(port) as peer:
                peer.send(shard_hello(known))
                peer.welcome()
                peer.send(frames.frame(kind, body))
                assert peer.goodbye()[1]


def test_reader_that_never_reads(port, known, cluster):
    """A proxy that asks and never reads does not stop the node from serving others."""
    client = RawClient(cluster.port)
    assert elements(client.ask("PING")) == b"PONG"
    with Peer(port) as peer:
        peer.socket.settimeout(1)
        peer.send(shard_hello(known))
        peer.welcome()
        request = frames.request(frames.OP_GET, key_in(0), epoch=known["epoch"])
        with pytest.raises((TimeoutError, ConnectionError)):  # it is not read any more
            for _ in range(5000):
                peer.socket.sendall(request * 1000)
        assert client.ask("SET", "node_port:meanwhile", "x") == b"+OK\r\n"
        wait_for(lambda: counter(cluster, "output_pauses") > 0, "the pause to be counted")
    client.close()


def increment(known, key, view=0, op=0):
    """INCRBY under the same number each time."""
    return frames.request(
        *(frames.OP_INCRBY, frames.store_key(key), struct.pack("<q", 1)),
        **{"epoch": known["epoch"], "partition": frames.position(key)[0], "view": view},
        **{"session": 77, "number": 1, "base_view": view, "base_op": op},
    )


def answer_to(port, known, shard, request):
    with Peer(port) as peer:
        peer.send(shard_hello(known, shard=shard))
        peer.welcome()
        peer.send(request)
        kind, body = peer.receive()
        assert kind == frames.REPLY, (kind, body)
        return body


def newest_at_leader(port, known, shard, key):
    """The view that the node leads a key's partition in, and its newest operation; None while another one
    leads, as may be after the node was too busy to be heard."""
    refused = answer_to(port, known, shard, increment(known, key))
    assert refused[8:10] == bytes([frames.REPLY_REFUSED, frames.REFUSAL_ELSEWHERE])
    view, op = struct.unpack_from("<QQ", refused, 20)
    return (view, op) if op else None


def test_replayed_request(port, known, cluster):
    """The same write again and again, on new connections: it is carried out once, and answered alike."""
    key = next(b"replay:%d" % n for n in range(1000) if cluster.locate(f"replay:{n}")[0] == "n1")
    shard = frames.position(key)[0] % known["shards"]
    wait_for(lambda: newest_at_leader(port, known, shard, key), "n1 to lead what it should lead")
    with RawClient(cluster.port) as client:
        assert client.ask("SET", key, "41") == b"+OK\r\n"  # so a majority follows it
        view, op = newest_at_leader(port, known, shard, key)
        answers = {answer_to(port, known, shard, increment(known, key, view, op)) for _ in range(5)}
        assert len(answers) == 1
        assert client.ask("GET", key) == bulk(b"42")


def test_client_at_the_wrong_port(make_cluster):
    """The log speaks of no other version, for which somebody would look in vain. On a cluster of its
    own: other tests here use up the lines that the log has for what strangers do."""
    cluster = make_cluster()
    port = cluster.port_of("n1")
    for text in (b"*1\r\n$4\r\nPING\r\n", b"GET / HTTP/1.1\r\nHost: n1\r\n\r\n"):
        check_refused(port, text, frames.VERSION_ERROR)
    said = "text came, as from a Redis client or a browser: this is a node's port"
    assert cluster.log("n1").count(said) == 2
