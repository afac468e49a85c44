import Foundation
internal import FootpathCore

/// Follows a critical event. Dropped, nobody waits any more; the event goes its way.
public struct Receipt: Sendable {
    /// The event's id: `receipt(for:)` takes it, in a later run too. `nil` where the event was refused.
    public let id: String?
    private let client: CoreClient?
    private let refused: String

    init(id: String, client: CoreClient?) {
        (self.id, self.client, refused) = (id, client, "")
    }

    init(refused: String) {
        (id, client, self.refused) = (nil, nil, refused)
    }

    /// Waits until the event is on this device's disk, or the time is up, or the task is cancelled: then `nil`.
    public func queued(within time: Duration) async -> ReceiptState? {
        await wait(time) { client, id, ms in
            try await client.queued(eventId: id, timeoutMs: ms).map(ReceiptState.init)
        }
    }

    /// Waits until the server has the event or will never take it. When the time is up: how far it has come; `nil` if no
    /// such event is known, or the task is cancelled.
    public func delivered(within time: Duration) async -> ReceiptState? {
        await wait(time) { client, id, ms in
            try await client.delivered(eventId: id, timeoutMs: ms).map(ReceiptState.init)
        }
    }

    private func wait(
        _ time: Duration, _ ask: @escaping @Sendable (CoreClient, String, UInt64) async throws -> ReceiptState?
    ) async -> ReceiptState? {
        guard let id else { return .rejected(refused) }
        guard let client else { return nil }
        return await cancellable(else: nil) { isCancelled in
            // The library answers a question once its time is up, not when nobody wants to know any more. It is asked for
            // short times, so that a wait that was given up is over soon on both sides.
            let clock = ContinuousClock()
            let end = clock.now.advanced(by: min(time, .seconds(1_000_000_000)))
            while true {
                let slice = min(clock.now.duration(to: end), .seconds(5))
                let asked = clock.now
                guard let answer = try? await ask(client, id, slice.milliseconds) else {
                    // Too early: the client has ended.
                    if clock.now >= end || isCancelled() || asked.duration(to: clock.now) < slice / 2 { return nil }
                    continue
                }
                // `queued` with less than a final answer is an answer; `delivered` gives one only when its time is up.
                let isEarly = asked.duration(to: clock.now) < slice
                if answer != .queued || isEarly || clock.now >= end || isCancelled() { return answer }
            }
        }
    }
}

/// Runs `body` in a task of its own and answers what it answers, or `fallback` as soon as the caller's task is cancelled.
func cancellable<Answer: Sendable>(
    else fallback: Answer, _ body: @escaping @Sendable (_ isCancelled: @escaping @Sendable () -> Bool) async -> Answer
) async -> Answer {
    let once = Once<Answer>()
    return await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
            once.wait(continuation)
            if Task.isCancelled {
                once.answer(fallback)
            } else {
                Task.detached { once.answer(await body { once.isOver }) }
            }
        }
    } onCancel: {
        once.answer(fallback)
    }
}

/// Resumes a continuation with the first answer that there is.
private final class Once<Answer: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var continuation: CheckedContinuation<Answer, Never>?
    private var first: Answer?
    private var over = false

    var isOver: Bool { lock.withLock { over } }

    func wait(_ waiting: CheckedContinuation<Answer, Never>) {
        let answer: Answer? = lock.withLock {
            if !over { continuation = waiting }
            return first
        }
        if let answer { waiting.resume(returning: answer) }
    }

    func answer(_ answer: Answer) {
        let waiting: CheckedContinuation<Answer, Never>? = lock.withLock {
            guard !over else { return nil }
            (over, first) = (true, answer)
            defer { continuation = nil }
            return continuation
        }
        waiting?.resume(returning: answer)
    }
}
