#!/usr/bin/env bash
# Every Molecule scenario, each in a fresh world of its own, two at a time (a scenario mostly waits). Scenario names may be given.
# MOLECULE_JOBS=1 runs them one after the other.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
logs=build/molecule
mkdir -p "$logs" && rm -f "$logs"/*.failed "$logs"/*.why
# The longest first, so that none of them is left over at the end.
longest_first=(newcomer interrupted writer sources cutover)
mapfile -t known < <(find molecule -mindepth 2 -maxdepth 2 -name molecule.yml -printf '%h\n' | sed 's|.*/||' | sort)
scenarios=("$@")
if ((${#scenarios[@]} == 0)); then
    mapfile -t scenarios < <(printf '%s\n' "${longest_first[@]}" "${known[@]}" | awk '!seen[$0]++' | grep -xFf <(printf '%s\n' "${known[@]}"))
fi

run() {
    local scenario=$1 log=$logs/$1.log started=$SECONDS
    if molecule test -s "$scenario" >"$log" 2>&1; then
        printf 'molecule %-14s ok (%ss)\n' "$scenario" $((SECONDS - started))
    else
        touch "$logs/$scenario.failed"
        printf 'molecule %-14s FAILED (%ss); more at the end, and in %s\n' "$scenario" $((SECONDS - started)) "$log"
    fi
}

# Once, before worlds that would all build the same images at the same time.
python molecule/world/world.py build >"$logs/images.log" 2>&1 || { cat "$logs/images.log"; exit 1; }
for scenario in "${scenarios[@]}"; do
    while (($(jobs -rp | wc -l) >= ${MOLECULE_JOBS:-2})); do wait -n; done
    run "$scenario" &
done
wait
mapfile -t broken < <(find "$logs" -name '*.failed' -printf '%f\n' | sed 's/[.]failed$//' | sort)
failed=${#broken[@]}
for scenario in "${broken[@]}"; do printf '\n%s\n' "$logs/$scenario.log, its end:" && tail -n 80 "$logs/$scenario.log"; done
# What failed comes last and short: whoever keeps only the end of this output has it.
for scenario in "${broken[@]}"; do
    printf '\n%s:\n' "$scenario"
    { cat "$logs/$scenario.why" 2>/dev/null || echo "no test failed: the world or Molecule did"; } | grep -E '^(E  |test|no test|molecule)' | cut -c-200 | head -n 9
done
printf '%s passed, %s failed\n' $((${#scenarios[@]} - failed)) "$failed"
((failed == 0))
