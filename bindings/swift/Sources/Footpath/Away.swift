import Foundation
internal import FootpathCore

/// How many events are in batches that were given away: they wait, and nothing more can be done for them here.
final class Away: @unchecked Sendable {
    private let lock = NSLock()
    private var batches: [String: Int] = [:]

    var events: Int { lock.withLock { batches.values.reduce(0, +) } }

    var ids: Set<String> { lock.withLock { Set(batches.keys) } }

    func add(_ id: String, _ events: Int) { lock.withLock { batches[id] = events } }
    func remove(_ id: String) { lock.withLock { batches[id] = nil } }

    func has(_ id: String) -> Bool { lock.withLock { batches[id] != nil } }

    /// As a flush of the library's, which would wait for answers; this ends once all that waits is given away.
    func flush(_ client: CoreClient, within time: Duration) async -> FlushResult {
        let (clock, before) = (ContinuousClock(), Stats(client.stats()))
        let end = clock.now.advanced(by: min(time, .seconds(1_000_000_000)))
        // It makes the library hand out what it has at once.
        let forces = Task { await client.flush(timeoutMs: time.milliseconds) }
        defer { forces.cancel() }
        while true {
            // The library's thread itself says what waits: what it publishes lags behind, above all while it opens its storage.
            let isOpen = client.isOpen()
            let asked = await client.flush(timeoutMs: 0)
            let isDone = isOpen && asked.pending <= events
            guard !isDone, asked.paused == nil, clock.now < end, !Task.isCancelled else {
                let now = Stats(client.stats())
                return FlushResult(
                    acked: now.acked - before.acked, rejected: now.rejected - before.rejected, pending: Int(asked.pending),
                    complete: isDone && asked.pending == 0, paused: asked.paused.map(Pause.init))
            }
            try? await Task.sleep(for: .milliseconds(10))
        }
    }
}
