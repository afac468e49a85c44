"""What one ``track`` costs its caller: bursts of 20,000 events of five properties beside an empty loop, encoding included;
percentiles of each burst, medians over 20 bursts.

    python bench/latency.py [folder]
"""

import statistics
import sys
import tempfile
import time

import footpath

BURST, BURSTS = 20_000, 20
SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


def burst(call):
    clock, times = time.perf_counter_ns, []
    for n in range(BURST):
        begin = clock()
        call(n)
        times.append(clock() - begin)
    return sorted(times)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
    # Nobody listens there: events are taken, moved into the database and kept.
    client = footpath.Client("http://127.0.0.1:9", "key", "demo", folder, device=True, exit_seconds=0)
    while not client.is_open():
        time.sleep(0.001)
    amount = footpath.money("12.50", "EUR")

    def track(n):
        client.track(
            "checkout_started",
            {"amount": amount, "items": n, "express": n % 2 == 0, "coupon": "SPRING-26", "weight_kg": 1.25},
        )

    control, tracked = [], []
    for _ in range(BURSTS):
        control.append(burst(lambda n: None))
        tracked.append(burst(track))
        while client.stats().committed < client.stats().tracked:
            time.sleep(0.01)
    refused = client.stats().refused_full
    print(f"{BURST} events a burst, {BURSTS} bursts, {refused} refused; medians over the bursts, in microseconds")
    print(f"{'':>8} {'control':>10} {'track':>10}")
    for name, share in SHARES.items():
        at = round((BURST - 1) * share)
        medians = [statistics.median(one[at] for one in times) / 1_000 for times in (control, tracked)]
        print(f"{name:>8} {medians[0]:>10.3f} {medians[1]:>10.3f}")


main()
