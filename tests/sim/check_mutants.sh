#!/bin/sh
# Every broken rule must be noticed: a simulator that finds nothing proves nothing. And the scripts that show it must find
# nothing when no rule is broken. $SIM_MUTANTS is the simulator built with RINGKV_MUTANTS, $RINGKV_SOURCE the top of the
# source tree.
sim=${SIM_MUTANTS:-tests/sim/sim_mutants}
folder=${RINGKV_SOURCE:-.}/tests/sim
status=0
for script in "$folder"/scripts/*; do
    "$sim" --script "$script" || { echo "$script: fails though no rule is broken"; status=1; }
done
grep -v '^#' "$folder/mutants" | {
    while read -r name bits where settings; do
        more=
        [ "$settings" = - ] || more=,$settings
        case $where in
        [0-9]*) set -- --seeds "$where" ;;
        *) set -- --script "$folder/scripts/$where" ;;
        esac
        shape=mutants=$((1 << ${bits##*+}))$more
        case $bits in
        *+*)
            first=$((1 << ${bits%%+*}))
            "$sim" "$@" --shape "mutants=$first$more" || {
                echo "$name: the rule of bit ${bits%%+*} alone is noticed ($where)"
                status=1
            }
            shape=mutants=$((first | 1 << ${bits##*+}))$more
            ;;
        esac
        if output=$("$sim" "$@" --shape "$shape" --expect-failure); then
            echo "$name: noticed: $(echo "$output" | head -n 1)"
        else
            echo "$name: NOT NOTICED ($where)"
            status=1
        fi
    done
    exit $status
} || status=1
exit $status
