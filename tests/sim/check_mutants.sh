#!/bin/sh
# Every broken rule must be noticed: a simulator that finds nothing proves nothing. $SIM_MUTANTS is the simulator
# built with RINGKV_MUTANTS, $RINGKV_SOURCE the top of the source tree.
sim=${SIM_MUTANTS:-tests/sim/sim_mutants}
list=${RINGKV_SOURCE:-.}/tests/sim/mutants
status=0
grep -v '^#' "$list" | {
    while read -r name bit seeds settings; do
        shape=mutants=$((1 << bit))
        [ "$settings" = - ] || shape=$shape,$settings
        if output=$("$sim" --seeds "$seeds" --shape "$shape" --expect-failure); then
            echo "$name: noticed: $(echo "$output" | head -n 1)"
        else
            echo "$name: NOT NOTICED among the seeds $seeds"
            status=1
        fi
    done
    exit $status
}
