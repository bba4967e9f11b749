#!/usr/bin/env bash
# Every Molecule scenario, one after the other (two cores), each in a fresh world of its own. Scenario names may be given.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
mkdir -p build/molecule
scenarios=("$@")
if ((${#scenarios[@]} == 0)); then
    mapfile -t scenarios < <(find molecule -mindepth 2 -maxdepth 2 -name molecule.yml -printf '%h\n' | sed 's|.*/||' | sort)
fi
passed=0 failed=()
for scenario in "${scenarios[@]}"; do
    printf 'molecule %-14s' "$scenario"
    started=$SECONDS log=build/molecule/$scenario.log
    if molecule test -s "$scenario" >"$log" 2>&1; then
        printf 'ok (%ss)\n' $((SECONDS - started))
        passed=$((passed + 1))
    else
        printf 'FAILED (%ss); the last lines of %s:\n' $((SECONDS - started)) "$log"
        tail -n 80 "$log"
        failed+=("$scenario")
    fi
done
printf '%s passed, %s failed\n' "$passed" "${#failed[@]}"
((${#failed[@]} == 0))
