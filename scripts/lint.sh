#!/usr/bin/env bash
# The house rules, quickest first; every rule runs even when an earlier one failed, so that one run shows all there is to mend.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
failed=()
rule() {
    local name=$1
    shift
    printf '%-28s' "$name"
    local started=$SECONDS out
    if out=$("$@" 2>&1); then
        printf 'ok (%ss)\n' $((SECONDS - started))
    else
        printf 'FAILED (%ss)\n%s\n' $((SECONDS - started)) "$out"
        failed+=("$name")
    fi
}
mapfile -t shell_files < <(git ls-files '*.sh' .ci/run)
rule "ruff check" ruff check --quiet .
rule "ruff format" ruff format --check --quiet .
rule "mypy" mypy python_checks plugins/module_utils scripts --exclude "/tests/"
rule "yamllint" yamllint --strict .
rule "shellcheck" shellcheck "${shell_files[@]}"
rule "ansible-lint" ansible-lint --offline --strict -q
if ((${#failed[@]})); then
    printf '\nlint: %s failed: %s\n' "${#failed[@]}" "${failed[*]}"
    exit 1
fi
