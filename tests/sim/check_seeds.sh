#!/bin/sh
# Seeds that once failed, $SIM_SEEDS (A..B, default 1..4000) fresh ones, and $SIM_TRANSACTION_SEEDS with many
# transactions. $SIM is the simulator, $RINGKV_SOURCE the top of
# the source tree.
sim=${SIM:-tests/sim/sim}
"$sim" --file "${RINGKV_SOURCE:-.}/tests/sim/seeds" && "$sim" --seeds "${SIM_SEEDS:-1..4000}" &&
    "$sim" --seeds "${SIM_TRANSACTION_SEEDS:-1..1000}" --shape transactions=400,fault_us=20000
