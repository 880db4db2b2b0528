"""Random commands, the same to a real Redis and to ringkv, pipelined on raw sockets: the replies are the same
byte for byte, except for what EXCUSED lists.

RINGKV_DIFFERENTIAL_SEED repeats a run that failed; RINGKV_DIFFERENTIAL_COMMANDS makes it longer."""

import os
import random
import time

import pytest
from harness import array
from random_commands import Commands

COMMANDS = int(os.environ.get("RINGKV_DIFFERENTIAL_COMMANDS", 200_000))
BATCH = 1000
CLOCK_SECONDS = 20  # how far apart the two servers may carry out the same command


def integer_of(reply):
    return int(reply[1:-2]) if reply[:1] == b":" else None


def is_time_left(command, theirs, ours):
    name = command[0].upper()
    if name not in (b"TTL", b"PTTL", b"EXPIRETIME", b"PEXPIRETIME"):
        return False
    left, right = integer_of(theirs), integer_of(ours)
    unit = 1000 if name.startswith(b"P") else 1
    return None not in (left, right) and min(left, right) >= 0 and abs(left - right) <= CLOCK_SECONDS * unit


def is_memory(command, theirs, ours):
    """Of a key that is there: random_commands.py asks of one that is not, and spoils some commands."""
    return command[0].upper() == b"MEMORY" and None not in (integer_of(theirs), integer_of(ours))


# What may differ: a function of command, Redis's reply and ours, and the reason.
EXCUSED = [
    (is_time_left, "a relative time counts from when the command was carried out"),
    (is_memory, "the bytes that a key takes are each server's own"),
    (lambda command, _, ours: ours.startswith(b"-CROSSSLOT"), "keys in several partitions, of LCS"),
    (lambda command, _, ours: b"transient memory for LCS" in ours, "LCS has a lower bound (node/lcs.h)"),
]


def excused(command, theirs, ours):
    return any(excuse(command, theirs, ours) for excuse, _ in EXCUSED)


def let_some_expire(chance, commands):
    """Commands that let two keys expire at once; the caller waits."""
    for key in chance.sample(commands.keys, 2):
        yield [b"PEXPIRE", key, b"1"]


def history_of(batches, command):
    """The commands before that named one of its keys, newest last."""
    keys = set(command[1:3])
    return "\n".join(f"  {c} -> {r[:80]}" for c, r in batches if keys & set(c[1:]))[-3000:]


@pytest.mark.parametrize("resp3", [False, True], ids=["RESP2", "RESP3"])
def test_same_replies(redis_server, cluster, resp3):
    seed = int(os.environ.get("RINGKV_DIFFERENTIAL_SEED") or random.randrange(1 << 32))
    commands, chance = Commands(seed), random.Random(seed)
    done = []
    with redis_server.client() as theirs, cluster.client() as ours:
        for client in (theirs, ours):
            if resp3:
                client.ask("HELLO", "3")
            client.ask("FLUSHALL")
        for _ in range(COMMANDS // 2 // BATCH):
            batch = [command for _ in range(BATCH) for command in commands.draw()]
            batch += let_some_expire(chance, commands)
            data = b"".join(array(*command) for command in batch)
            theirs.send(data)
            ours.send(data)
            for command in batch:
                expected, got = theirs.reply(), ours.reply()
                if expected != got and not excused(command, expected, got):
                    pytest.fail(
                        f"seed {seed}: to {command} Redis says {expected[:300]}, ringkv {got[:300]}; before:\n"
                        + history_of(done, command)
                    )
                done.append((command, expected))
            del done[:-5000]
            time.sleep(0.01)
