#!/bin/sh
# Seeds that once failed, and $SIM_SEEDS (A..B, default 1..4000) fresh ones. $SIM is the simulator, $RINGKV_SOURCE the top of
# the source tree.
sim=${SIM:-tests/sim/sim}
"$sim" --file "${RINGKV_SOURCE:-.}/tests/sim/seeds" && "$sim" --seeds "${SIM_SEEDS:-1..4000}"
