"""What clients do for a history, and whether one copy of the data could have said all that they were
told."""

import time

from harness import BIN, elements, run
from load import NO_NUMBER, Operation

CHECKER = BIN / "tests/sim/check_history"

PREFIX = "chaos:"
ACTIVE_KEYS = 12
OPERATIONS_PER_KEY = 250  # then another takes its place: few enough to be checked quickly


class Keys:
    """Commands on keys of which each is used so many times, and never again before the end."""

    def __init__(self, chance):
        self.chance = chance
        self.left = {}
        self.count = 0
        self.value = 0

    def key(self):
        while len(self.left) < ACTIVE_KEYS:
            self.left[self.count] = OPERATIONS_PER_KEY
            self.count += 1
        number = self.chance.choice(list(self.left))
        self.left[number] -= 1
        if not self.left[number]:
            del self.left[number]
        return f"{PREFIX}{number}"

    def names(self):
        return [f"{PREFIX}{number}" for number in range(self.count)]

    def choose(self, _):
        self.value += 1
        command = self.chance.choices(
            ["GET", "SET", "DEL", "INCR", "SETNX", "APPEND", "GETSET", "GETDEL"], [40, 15, 5, 15, 8, 8, 6, 3]
        )[0]
        if command in ("GET", "DEL", "INCR", "GETDEL"):
            return command, self.key()
        if command == "SET" and self.chance.random() < 0.5:
            return command, self.key(), str(self.value)  # which INCR then counts on from
        return command, self.key(), f"v{self.value}" if command != "APPEND" else str(self.value % 10)


OPERATION_NAMES = {"INCR": "INCRBY"}
NOT_DONE = (b"-NOQUORUM ", b"-BUSY ", b"-NOSPACE ")


def answer_of(operation):
    """KIND and RESULT of the checker's file; None when there was no answer that tells anything."""
    reply = operation.reply
    if reply is None or reply.startswith(b"-UNCERTAIN "):
        return None
    kind, rest = reply[:1], reply[1:].partition(b"\r\n")[0].decode()
    if kind == b"$":
        return ("nil", "-") if rest == "-1" else ("bulk", elements(reply).decode())
    if kind == b":":
        return "integer", rest
    assert reply == b"+OK\r\n" or reply.startswith(NO_NUMBER), operation
    return ("ok", "-") if kind == b"+" else ("error", "-")


def was_refused(operation):
    return operation.reply is not None and operation.reply.startswith(NOT_DONE)


def write_history(path, operations):
    """What was certainly not done is left out: the checker then finds out if it was."""
    done = [o for o in operations if not was_refused(o)]
    moments = [(o.invoked, 0, i) for i, o in enumerate(done)]
    moments += [(o.returned, 1, i) for i, o in enumerate(done) if answer_of(o)]
    # At one and the same moment what begins comes first: then it may have been either.
    ranks = {(i, end): rank for rank, (_, end, i) in enumerate(sorted(moments))}
    with open(path, "w") as out:
        for i, operation in enumerate(done):
            command, key, *value = operation.words
            value = value[0] if value else "1" if command == "INCR" else "-"
            kind, result = answer_of(operation) or ("-", "-")
            print(
                *(key.removeprefix(PREFIX), OPERATION_NAMES.get(command, command), value),
                *(ranks[i, 0], ranks.get((i, 1), "never"), kind, result),
                file=out,
            )


def check(path):
    assert CHECKER.exists(), f"{CHECKER} is not built; make tests/sim/check_history"
    done = run(CHECKER, path, timeout=600)
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr}{done.stdout[:20000]}"
    return done.stdout




def read_all(client, keys, number):
    """What is there at the end, as further operations of client `number`."""
    operations = []
    for name in keys.names():
        operations.append(Operation(number, ("GET", name), time.monotonic_ns()))
        operations[-1].reply = client.ask("GET", name)
        operations[-1].returned = time.monotonic_ns()
        assert operations[-1].reply.startswith(b"$"), operations[-1]
    return operations
