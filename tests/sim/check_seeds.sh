#!/bin/sh
# Seeds that once failed, $SIM_SEEDS (A..B, default 1..4000) fresh ones, $SIM_TRANSACTION_SEEDS with many
# transactions, and $SIM_EXPIRY_SEEDS with keys that expire, shared out over the cores. $SIM is the simulator,
# $RINGKV_SOURCE the top of the source tree.
sim=${SIM:-tests/sim/sim}
cores=$(nproc)

# seeds A..B ARGUMENT...
seeds() {
    first=${1%..*} last=${1#*..} core=0 pids='' status=0
    shift
    while [ "$core" -lt "$cores" ]; do
        "$sim" --seeds "$((first + (last - first + 1) * core / cores))..$((first + \
            (last - first + 1) * (core + 1) / cores - 1))" "$@" &
        pids="$pids $!" core=$((core + 1))
    done
    for pid in $pids; do
        wait "$pid" || status=1
    done
    return $status
}

"$sim" --file "${RINGKV_SOURCE:-.}/tests/sim/seeds" && seeds "${SIM_SEEDS:-1..4000}" &&
    seeds "${SIM_TRANSACTION_SEEDS:-1..1000}" --shape transactions=400,fault_us=20000 &&
    seeds "${SIM_EXPIRY_SEEDS:-1..1000}" --shape ttl=300
