"""The frames that proxies, nodes and ringctl speak, from shared/frame.h and shared/message.h: enough to
say hello to a node, and to say it wrong."""

import hashlib
import re
import socket
import struct

from harness import HOST, REPLY_SECONDS

VERSION = 2
HEADER_SIZE = 12
ZERO_ID = bytes(16)

HELLO, WELCOME, GOODBYE, PING = 1, 2, 3, 4
REQUEST, REPLY, TOUCHED_GET = 10, 11, 13
RING_GET, RING, RING_PUT, DONE, STATUS_GET, STATUS = 20, 21, 22, 23, 24, 25

ROLE_PROXY, ROLE_NODE, ROLE_CONTROL = 1, 2, 3
FRONT = 0xFFFF

# shared/error.h
CORRUPT, TOOBIG, NOSPACE, VERSION_ERROR, CLUSTER, MEMBER, EPOCH, PROTOCOL = 3, 4, 9, 11, 12, 13, 14, 19

REPLY_NIL, REPLY_INTEGER, REPLY_BULK, REPLY_REFUSED = 2, 3, 4, 7
REFUSAL_EPOCH, REFUSAL_ELSEWHERE, REFUSAL_MALFORMED = 1, 2, 6
OP_GET, OP_EXISTS, OP_SET, OP_INCRBY = 1, 3, 5, 10
LEVEL_LINEAR, LEVEL_ANY = 0, 2


def _crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def frame(kind, body, version=VERSION, size=None, checksum=None, spare=0):
    """A frame; what is given besides kind and body goes wrong on purpose."""
    rest = struct.pack("<BBH", version, kind, spare) + body
    size = len(body) if size is None else size
    return struct.pack("<II", size, crc32c(rest) if checksum is None else checksum) + rest


def hello(role=ROLE_CONTROL, shard=FRONT, epoch=0, cluster=ZERO_ID, identity=ZERO_ID, target=ZERO_ID):
    return frame(HELLO, struct.pack("<BBHQ", role, 0, shard, epoch) + cluster + identity + target)


def tagged(kind, tag=1, rest=b""):
    return frame(kind, struct.pack("<Q", tag) + rest)


def position(key):
    """Of a key, or of what stands in its first {...} if that is not empty."""
    tag = re.search(rb"\{([^}]*)\}", key)
    return hashlib.md5(tag[1] if tag and tag[1] else key).digest()[:8]


def store_key(key):
    return position(key) + key


REQUEST_FIELDS = {
    **{"id": 1, "epoch": 1, "view": 0, "session": 0, "number": 0, "partition": 0, "level": 0},
    **{"base_view": 0, "base_op": 0, "flags": 0, "count": None, "spare": bytes(7)},
}


def request(op, *args, **fields):
    """A REQUEST; count None is the number of args."""
    assert fields.keys() <= REQUEST_FIELDS.keys()
    f = REQUEST_FIELDS | fields
    count = len(args) if f["count"] is None else f["count"]
    head = struct.pack("<QQQQQ", f["id"], f["epoch"], f["view"], f["session"], f["number"])
    head += struct.pack("<IBBH", f["partition"], op, f["level"], count)
    head += struct.pack("<QQB", f["base_view"], f["base_op"], f["flags"]) + f["spare"]
    return frame(REQUEST, head + b"".join(struct.pack("<I", len(arg)) + arg for arg in args))


class Peer:
    """A connection to a node's port that has said nothing yet."""

    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port), REPLY_SECONDS)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def send(self, data):
        """True unless the node has closed already."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def receive(self):
        """(kind, body) of the next frame; (None, b"") when the node has closed."""
        try:
            header = self.stream.read(HEADER_SIZE)
            if len(header) < HEADER_SIZE:
                return None, b""
            size, checksum, version, kind, spare = struct.unpack("<IIBBH", header)
            body = self.stream.read(size)
        except ConnectionResetError:
            return None, b""
        assert (version, spare) == (VERSION, 0)
        assert checksum == crc32c(header[8:] + body)
        return kind, body

    def welcome(self):
        """Reads a WELCOME: {cluster, identity, shards, epoch}."""
        kind, body = self.receive()
        assert kind == WELCOME, (kind, body)
        shards, epoch = struct.unpack("<HQ", body[:10])
        return {"shards": shards, "epoch": epoch, "cluster": body[10:26], "identity": body[26:42]}

    def goodbye(self):
        """Reads a GOODBYE and the end of the stream: (error, text)."""
        kind, body = self.receive()
        assert kind == GOODBYE, (kind, body)
        assert self.receive() == (None, b"")
        return body[0], body[1:].decode()

    def closed(self):
        """Reads to the end; the last frame may be a GOODBYE."""
        kind, last = self.receive(), None
        while kind[0] is not None:
            last, kind = kind, self.receive()
        return last


def ask_any(port, asked, op):
    """Asks the node at a port itself, whoever leads: for each (partition, store keys) the reply's
    body."""
    with Peer(port) as front:
        front.send(hello())
        known = front.welcome()
    replies = {}
    for shard in range(known["shards"]):
        mine = [one for one in enumerate(asked) if one[1][0] % known["shards"] == shard]
        with Peer(port) as peer:
            peer.send(
                hello(ROLE_PROXY, shard, known["epoch"], known["cluster"], target=known["identity"])
            )
            peer.welcome()
            for number, (partition, keys) in mine:
                fields = {"epoch": known["epoch"], "partition": partition, "level": LEVEL_ANY}
                peer.send(request(op, *keys, id=number + 1, **fields))
            for _ in mine:
                kind, body = peer.receive()
                assert kind == REPLY, (kind, body)
                replies[struct.unpack("<Q", body[:8])[0] - 1] = body
    return [replies[number] for number in range(len(asked))]


def partition_of(stored, partitions):
    return int.from_bytes(stored[:8], "big") * partitions >> 64


def held_by(port, keys, partitions=256):
    """How many of the keys (bytes) the node at a port holds itself, asked partition by partition; None while it
    refuses to tell, as where it is being brought up."""
    by_partition = {}
    for key in keys:
        stored = store_key(key)
        by_partition.setdefault(partition_of(stored, partitions), []).append(stored)
    bodies = ask_any(port, list(by_partition.items()), OP_EXISTS)
    if any(body[8] == REPLY_REFUSED for body in bodies):
        return None
    assert all(body[8] == REPLY_INTEGER for body in bodies)
    return sum(struct.unpack("<q", body[12:20])[0] for body in bodies)


def values_at(port, keys, partitions=256):
    """The values, or None, that the node at a port holds itself, in the keys' (bytes) order; no list while it
    refuses to tell, as where it is being brought up."""
    asked = [(partition_of(store_key(key), partitions), [store_key(key)]) for key in keys]
    bodies = ask_any(port, asked, OP_GET)
    if any(body[8] == REPLY_REFUSED for body in bodies):
        return None
    assert all(body[8] in (REPLY_NIL, REPLY_BULK) for body in bodies)
    return [body[12:] if body[8] == REPLY_BULK else None for body in bodies]
