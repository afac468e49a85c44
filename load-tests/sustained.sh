#!/bin/sh
# What one core takes for long with everything on: live numbers (one funnel, watched), ledger, chunks, images.
#   SECONDS_EACH=600 load-tests/sustained.sh [--saturate | --rate N | --search] [generator options]
# --saturate (the default) opens the tap, --rate sends on a schedule, --search finds the highest rate at which every
# consumer keeps up. The no-op server is saturated just before and just after (NOOP_ROUNDS times NOOP_SECONDS each), and
# the ratio to the median of that is printed. Exits with 1 unless every consumer's lag stays bounded: the largest lag of
# the last third at most TOLERANCE (0.2) and TOLERANCE_SECONDS (1) above that of the middle third.
#
# --search: saturates for STEP_SECONDS (120). If a lag grows, bisects STEPS (5) times for STEP_SECONDS each between
# a quarter of that rate and that rate, then runs the best rate for SECONDS_EACH; should a lag grow in that, it goes
# down by 5 % and tries again, three times at most. Each run starts on an empty folder.
# Where consumers fall behind what the log keeps in memory the server slows the way in, so a saturated run settles within
# seconds; --search is for a rate at which nothing waits. Data takes some 100 bytes an event (in TMPDIR).
# Chunks are written every 128 k events, but at least once a minute: below some 10,000 events/s take 300 s or more.
# Also EVERY (seconds between two looks), WARMUP, SERVER_CPU, LOAD_CPU, PORT, PROJECT, BIN, SKIP_BUILD, TMPDIR.
set -eu
FACTS="$0 $*"
. "$(dirname "$0")/lib.sh"

SECONDS_EACH=${SECONDS_EACH:-600}
STEP_SECONDS=${STEP_SECONDS:-120}
STEPS=${STEPS:-5}
NOOP_SECONDS=${NOOP_SECONDS:-10}
NOOP_ROUNDS=${NOOP_ROUNDS:-2}
EVERY=${EVERY:-2}
mode=saturate
rate=
case ${1:-} in
    --saturate) shift ;;
    --search) mode=search; shift ;;
    --rate) mode=rate; rate=${2:?--rate needs a number}; shift 2 ;;
esac

noop() { # when [generator options]
    when=$1; shift
    full=$SECONDS_EACH
    SECONDS_EACH=$NOOP_SECONDS
    round=1
    while [ "$round" -le "$NOOP_ROUNDS" ]; do
        start_noop
        load unused --saturate "$@"
        note noop "$when"
        stop
        round=$((round + 1))
    done
    SECONDS_EACH=$full
}

# One run on an empty folder: bounded=1 or empty, speed=events/s.
run() { # seconds rate-or-empty [generator options]
    seconds=$1; at=$2; shift 2
    full=$SECONDS_EACH
    SECONDS_EACH=$seconds
    if [ -n "$at" ]; then
        printf '\n%s events/s on a schedule for %s s\n' "$at" "$seconds"
        set -- --rate "$at" "$@"
    else
        printf '\nsaturated for %s s\n' "$seconds"
        set -- --saturate "$@"
    fi
    start_with_funnel "$work/data"
    FOOTPATH_TOKEN=$token taskset -c "$LOAD_CPU" "$BIN/footpath-observe" --target "$URL" --admin "$ADMIN" \
        --project "$PROJECT" --funnel load --log "$work/data/log" --seconds "$((seconds + WARMUP))" --every "$EVERY" \
        --tolerance "${TOLERANCE:-0.2}" --tolerance-seconds "${TOLERANCE_SECONDS:-1}" >"$work/observed" 2>&1 &
    observer=$!
    others=$observer
    load "$key" "$@" || fail "the generator's run proves nothing"
    bounded=
    if wait "$observer"; then bounded=1; fi
    others=
    cat "$work/observed"
    grep -q '^every lag bounded: ' "$work/observed" || fail "the lags were not observed"
    note footpath "$([ -n "$bounded" ] && echo bounded || echo GROWS)"
    speed=$(field events_per_s)
    sed -n '/"latency_ms"/,/}/p' "$work/report.json" | tr -d '\n {}"' | sed 's/latency_ms:/latency ms since due  /; s/,$//; s/,/  /g'
    printf '\nchunks %s MiB, images %s MiB on disk at the end\n' \
        "$(du -sm "$work/data/chunks" | cut -f1)" "$(du -sm "$work/data/images" | cut -f1)"
    stop
    rm -rf "$work/data"
    SECONDS_EACH=$full
}

between() { awk -v a="$1" -v b="$2" -v part="$3" 'BEGIN { printf "%.0f", a + (b - a) * part }'; }

search() {
    run "$STEP_SECONDS" "" "$@"
    high=$speed
    if [ -n "$bounded" ]; then
        run "$SECONDS_EACH" "" "$@"
        [ -z "$bounded" ] || return 0
    fi
    low=$(between 0 "$high" 0.25)
    found=
    step=1
    while [ "$step" -le "$STEPS" ]; do
        at=$(between "$low" "$high" 0.5)
        run "$STEP_SECONDS" "$at" "$@"
        # Offered and not taken is no rate that it sustains, however short the lags.
        if [ -n "$bounded" ] && keeps_up "$at" "$speed"; then low=$at; found=$at; else high=$at; fi
        step=$((step + 1))
    done
    at=${found:-$low}
    tries=1
    while [ "$tries" -le 3 ]; do
        run "$SECONDS_EACH" "$at" "$@"
        if [ -n "$bounded" ] && keeps_up "$at" "$speed"; then return 0; fi
        bounded=
        at=$(between 0 "$at" 0.95)
        tries=$((tries + 1))
    done
}

keeps_up() { awk -v offered="$1" -v taken="$2" 'BEGIN { exit !(taken >= offered * 0.98) }'; }

need timeout coreutils
build server
facts
noop before "$@"
case $mode in
    search) search "$@" ;;
    *) run "$SECONDS_EACH" "$rate" "$@" ;;
esac
kept=$bounded
[ -z "$rate" ] || keeps_up "$rate" "$speed" || kept=
echo
noop after "$@"

a=$(median "$work/noop.rates")
printf '\nmedian no-op        %9.0f events/s\n' "$a"
printf 'footpath, %-9s %9.0f events/s for %s s\n' "$mode" "$speed" "$SECONDS_EACH"
printf 'ratio               %9s\n' "$(ratio "$a" "$speed")"
[ -n "$kept" ] || fail "not sustained: a consumer's lag grows, or less was taken than offered"
echo "sustained: every consumer's lag stayed bounded"
