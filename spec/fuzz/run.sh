#!/bin/sh
# spec/fuzz/run.sh -- every built fuzz target for some seconds.
#
#   sh spec/fuzz/run.sh SECONDS [NAME...]
#
# build/fuzz/bin/NAME was built from spec/fuzz/NAME.c; it starts from the files
# in spec/fuzz/seeds/NAME and what earlier runs found in build/fuzz/corpus/NAME.
# What breaks it is kept in build/fuzz/found and fails the run.

seconds=${1:-20}
[ $# -gt 0 ] && shift
dir=build/fuzz
failed=0 ran=0
mkdir -p "$dir/found"
for target in "$dir"/bin/*; do
    name=${target##*/}
    [ -f "spec/fuzz/$name.c" ] || continue
    case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
    ran=$((ran + 1))
    corpus=$dir/corpus/$name seeds=spec/fuzz/seeds/$name log=$dir/$name.log
    mkdir -p "$corpus"
    [ -d "$seeds" ] || { echo "fuzz $name: there is no $seeds"; failed=$((failed + 1)); continue; }
    if "$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 \
        -rss_limit_mb=1024 -artifact_prefix="$dir/found/$name-" \
        -print_final_stats=1 "$corpus" "$seeds" >"$log" 2>&1 </dev/null; then
        runs=$(sed -n 's/.*number_of_executed_units: *//p' "$log")
        echo "fuzz $name: $runs inputs in $seconds s, nothing found"
    else
        failed=$((failed + 1))
        echo "fuzz $name: FAILED, see $log"
        tail -60 "$log"
    fi
done
[ "$ran" -gt 0 ] || { echo "fuzz: no target was run"; exit 1; }
echo "fuzz: $ran targets, $failed failed"
[ "$failed" = 0 ]
