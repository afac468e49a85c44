// What one `track` costs its caller: bursts of 20,000 events beside an empty loop, percentiles of each burst, medians of
// 20 bursts. An event has a name and five properties, one of them money; making and encoding it is part of the call. The
// queue lies in a folder, so the library's thread moves events into its database at the same time.
import Footpath
import Foundation

let burstSize = 20_000
let bursts = 20
let folder = URL(fileURLWithPath: NSTemporaryDirectory() + "footpath-latency-\(UUID().uuidString)")

@inline(__always)
func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Nanoseconds of each call, sorted.
@inline(__always)
func burst(_ call: (Int) -> Void) -> [UInt64] {
    var times = [UInt64](repeating: 0, count: burstSize)
    times.withUnsafeMutableBufferPointer { times in
        for n in 0..<burstSize {
            let start = now()
            call(n)
            times[n] = now() - start
        }
    }
    return times.sorted()
}

func at(_ times: [UInt64], _ share: Double) -> UInt64 {
    times[min(times.count - 1, Int(Double(times.count) * share))]
}

func median(_ bursts: [[UInt64]], _ share: Double) -> Double {
    let sorted = bursts.map { at($0, share) }.sorted()
    return Double(sorted[sorted.count / 2]) / 1_000
}

@inline(never)
func nothing(_ n: Int) {}

// Nobody listens there: everything is kept, so that only the caller's side and the disk are measured.
var configuration = Configuration(endpoint: "http://127.0.0.1:9", key: "key", queueFolder: folder)
configuration.carrier = .grpc
let footpath = Footpath(configuration)
footpath.hold()
while footpath.identity == nil { usleep(1_000) }

var control: [[UInt64]] = []
var tracked: [[UInt64]] = []
for _ in 0..<bursts {
    control.append(burst { nothing($0) })
    tracked.append(
        burst { n in
            footpath.track(
                "checkout_started",
                [
                    "amount": .money("12.50", "EUR"), "items": .int(n), "express": .bool(n % 2 == 0),
                    "coupon": "SPRING-26", "weight_kg": 1.25,
                ])
        })
    await footpath.flush(within: .seconds(2))
    while footpath.stats.committed < footpath.stats.tracked { usleep(5_000) }
}
let stats = footpath.stats
await footpath.close()
try? FileManager.default.removeItem(at: folder)

func cell(_ value: Double) -> String { String(format: "%10.3f", value) }
print("\(burstSize) events a burst, \(bursts) bursts, \(stats.tracked) taken, \(stats.refusedFull) refused;")
print("medians over the bursts, in microseconds")
print("            control      track")
for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
    print(name.padding(toLength: 8, withPad: " ", startingAt: 0), cell(median(control, share)), cell(median(tracked, share)))
}
