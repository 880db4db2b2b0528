"""What clients do for a history, and whether one copy of the data could have said all that they were
told."""

import re
import time
from collections import namedtuple

from harness import BIN, elements, run
from load import NO_NUMBER, Operation, Steps

CHECKER = BIN / "tests/sim/check_history"

ACTIVE_GROUPS = 12
OPERATIONS_PER_GROUP = 250  # then another takes its place: few enough to be checked quickly
KEYS_OF_GROUP = 3  # of one that is tied together
NAME = re.compile(r"chaos:\{(\d+)\}(\d)")

ALONE = {"GET": 40, "SET": 15, "DEL": 5, "INCR": 15, "SETNX": 8, "APPEND": 8, "GETSET": 6, "GETDEL": 3}
TIED = {**ALONE, "CAS": 30, "MGET": 10, "MSET": 5, "EXEC": 15, "WATCH": 20}
# What clients do that want to get in one another's way.
CONTENDED = {"GET": 10, "SET": 2, "DEL": 1, "INCR": 2, "MGET": 10, "MSET": 2, "CAS": 40, "EXEC": 20, "WATCH": 40}


class Keys:
    """Commands on keys of which each is used so many times, and never again before the end. They come in
    groups. Of every second group the keys are tied together, by a hash tag and by what is done with
    several at once; the others have one key each. With `choices` all groups are tied and these are
    done with them."""

    def __init__(self, chance, active=ACTIVE_GROUPS, choices=None):
        self.chance = chance
        self.active = active
        self.choices = choices
        self.left = {}
        self.count = 0
        self.value = 0
        self.written = {}  # the newest values, by key

    def is_tied(self, group):
        return bool(self.choices) or group % 2 == 1

    def group(self):
        while len(self.left) < self.active:
            self.left[self.count] = OPERATIONS_PER_GROUP
            self.count += 1
        number = self.chance.choice(list(self.left))
        self.left[number] -= 1
        if not self.left[number]:
            del self.left[number]
        return number

    def keys_of(self, group):
        return [f"chaos:{{{group}}}{key}" for key in range(KEYS_OF_GROUP if self.is_tied(group) else 1)]

    def names(self):
        return [name for group in range(self.count) for name in self.keys_of(group)]

    def new_value(self, key, text="v"):
        self.value += 1
        self.written[key] = f"{text}{self.value}"
        return self.written[key]

    def choose(self, _):
        group = self.group()
        keys = self.keys_of(group)
        choices = self.choices or (TIED if self.is_tied(group) else ALONE)
        command = self.chance.choices(list(choices), list(choices.values()))[0]
        if command in ("MGET", "MSET", "EXEC", "WATCH"):
            return self.choose_many(command, self.chance.sample(keys, self.chance.randint(1, len(keys))))
        key = self.chance.choice(keys)
        if command in ("GET", "DEL", "INCR", "GETDEL"):
            return command, key
        if command == "CAS":
            expected = self.written.get(key, "")
            return command, key, expected, self.new_value(key)
        if command == "APPEND":
            return command, key, str(self.chance.randrange(10))
        # A number, too, which INCR then counts on from.
        return command, key, self.new_value(key, self.chance.choice(["v", ""]) if command == "SET" else "v")

    def choose_many(self, command, keys):
        if command == "MGET":
            return command, *keys
        values = [self.new_value(key) for key in keys]
        if command == "MSET":
            return command, *(word for pair in zip(keys, values) for word in pair)
        if command == "EXEC":
            sets = [("GETSET", key, value) for key, value in zip(keys, values)]
            return Steps([[("MULTI",), *sets, ("EXEC",)]])
        sets = [("SET", key, value) for key, value in zip(keys, values)]
        return Steps([[("WATCH", *keys), ("MGET", *keys)], [("MULTI",), *sets, ("EXEC",)]])


# What was seen


NOT_DONE = (b"-NOQUORUM ", b"-BUSY ", b"-NOSPACE ")
ABORTED = b"*-1\r\n"  # a watched key was changed

# What the checker gets of an operation; kind "-": there was no answer that tells anything.
Line = namedtuple("Line", "group keys operation values kind results", defaults=["-", ["-"]])


def was_refused(operation):
    return operation.reply is not None and operation.reply.startswith(NOT_DONE)


def was_done(operation):
    """Whether it may have been: not what was refused, nor a transaction of which the last step was
    not begun or a watched key was changed."""
    begun = operation.sent == len(operation.steps()) or operation.reply is not None
    return begun and not was_refused(operation) and operation.reply != ABORTED


def is_known(operation):
    return operation.reply is not None and not operation.reply.startswith(b"-UNCERTAIN ")


def text_of(value):
    """A value as `elements` gives it, which of nil gives what stands behind the $."""
    return "-" if value == b"-1" else value.decode()


def answer_of(operation):
    """KIND and RESULTS of the checker's file, of a reply that tells something."""
    reply = operation.reply
    kind, rest = reply[:1], reply[1:].partition(b"\r\n")[0].decode()
    if kind == b"$":
        return ("nil", ["-"]) if rest == "-1" else ("bulk", [elements(reply).decode()])
    if kind == b":":
        return "integer", [rest]
    if kind == b"*":
        return "array", [text_of(value) for value in elements(reply)]
    assert reply == b"+OK\r\n" or reply.startswith(NO_NUMBER), operation
    return ("ok" if kind == b"+" else "error"), ["-"]


def line_of(operation):
    """The Line of one that may have been done."""
    if isinstance(operation.words, Steps):
        return line_of_transaction(operation)
    command, *words = operation.words
    many = {"MGET": len(words), "MSET": 2}.get(command)
    names, values = (words[::2], words[1::2]) if command == "MSET" else (words[:many or 1], words[many or 1 :])
    if command == "INCR":
        command, values = "INCRBY", ["1"]
    answer = answer_of(operation) if is_known(operation) else ()
    return Line(*group_and_keys(names), command, values or ["-"], *answer)


def line_of_transaction(operation):
    """It did all at once. Of watched keys, what was read before is what was there then."""
    *before, last = operation.words
    _, *sets, _ = last
    _, names, values = zip(*sets)
    fields = [*group_and_keys(names), "EXEC", values]
    if not is_known(operation):
        return Line(*fields)
    if not before:
        return Line(*fields, *answer_of(operation))
    watch, read = operation.replies[:2]
    assert elements(operation.reply) == [b"OK"] * len(sets), operation
    if watch != b"+OK\r\n" or not read.startswith(b"*"):  # then it waited for nothing
        fields[2] = "MSET"
        return Line(*fields, "ok", ["-"])
    return Line(*fields, "array", [text_of(value) for value in elements(read)])


def group_and_keys(names):
    found = [NAME.fullmatch(name).groups() for name in names]
    assert len({group for group, _ in found}) == 1, names
    return found[0][0], [key for _, key in found]


def write_history(path, operations):
    """What was certainly not done is left out: the checker then finds out if it was."""
    done = [o for o in operations if was_done(o)]
    moments = [(o.invoked, 0, i) for i, o in enumerate(done)]
    moments += [(o.returned, 1, i) for i, o in enumerate(done) if is_known(o)]
    # At one and the same moment what begins comes first: then it may have been either.
    ranks = {(i, end): rank for rank, (_, end, i) in enumerate(sorted(moments))}
    with open(path, "w") as out:
        for i, operation in enumerate(done):
            line = line_of(operation)
            print(
                *(line.group, ",".join(line.keys), line.operation, ",".join(line.values)),
                *(ranks[i, 0], ranks.get((i, 1), "never"), line.kind, ",".join(line.results)),
                file=out,
            )


def check(path):
    assert CHECKER.exists(), f"{CHECKER} is not built; make tests/sim/check_history"
    done = run(CHECKER, path, timeout=600)
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr}{done.stdout[:20000]}"
    return done.stdout


# A majority can be reached, and does not come to answering.
NO_TIME = b"-NOQUORUM no answer within the request timeout"
READS_MAX = 5


def read_all(client, keys, number):
    """What is there at the end, as further operations of client `number`. Any error would be wrong by
    then, but for one: on a machine that is busy with other things nodes may have no time."""
    operations = []
    for name in keys.names():
        for _ in range(READS_MAX):
            operations.append(read(client, name, number))
            if not operations[-1].reply.startswith(NO_TIME):
                break
            print("at the end, and asked again:", operations[-1])
        assert operations[-1].reply.startswith(b"$"), operations[-1]
    return operations


def read(client, name, number):
    operation = Operation(number, ("GET", name), time.monotonic_ns())
    operation.next_step(operation.invoked)
    operation.take(client.ask("GET", name), time.monotonic_ns())
    return operation
