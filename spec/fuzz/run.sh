#!/bin/sh
# spec/fuzz/run.sh -- every built fuzz target for some seconds, as many at a time
# as there are processors.
#
#   sh spec/fuzz/run.sh SECONDS [NAME...]
#
# build/fuzz/bin/NAME was built from spec/fuzz/NAME.c; it starts from the files
# in spec/fuzz/seeds/NAME and what earlier runs found in build/fuzz/corpus/NAME.
# What breaks it is kept in build/fuzz/found and fails the run.

seconds=${1:-20}
[ $# -gt 0 ] && shift
dir=build/fuzz
cores=$(nproc 2>/dev/null || echo 1)
failed=0 ran=0 group=
mkdir -p "$dir/found"

# One target; says how it went in the end.  1: it broke.
fuzz() {
    corpus=$dir/corpus/$1 seeds=spec/fuzz/seeds/$1 log=$dir/$1.log
    mkdir -p "$corpus"
    [ -d "$seeds" ] || { echo "fuzz $1: there is no $seeds"; return 1; }
    if "$dir/bin/$1" -max_total_time="$seconds" -max_len=8192 -timeout=10 \
        -rss_limit_mb=1024 -artifact_prefix="$dir/found/$1-" \
        -print_final_stats=1 "$corpus" "$seeds" >"$log" 2>&1 </dev/null; then
        runs=$(sed -n 's/.*number_of_executed_units: *//p' "$log")
        echo "fuzz $1: $runs inputs in $seconds s, nothing found"
    else
        echo "fuzz $1: FAILED, see $log"
        tail -60 "$log"
        return 1
    fi
}

# Waits for those that run together.
finish() {
    for pid in $group; do
        wait "$pid" || failed=$((failed + 1))
    done
    group=
}

for target in "$dir"/bin/*; do
    name=${target##*/}
    [ -f "spec/fuzz/$name.c" ] || continue
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    fuzz "$name" &
    group="$group $!"
    ran=$((ran + 1))
    [ $((ran % cores)) = 0 ] && finish
done
finish
[ "$ran" -gt 0 ] || { echo "fuzz: no target was run"; exit 1; }
echo "fuzz: $ran targets, $failed failed"
[ "$failed" = 0 ]
