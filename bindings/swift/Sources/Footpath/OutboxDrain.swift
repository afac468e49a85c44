import Foundation
internal import FootpathCore

/// In an app: sends what its extensions left. One drain runs at a time, on a queue of its own.
final class OutboxDrain: @unchecked Sendable {
    /// Files that one drain sends at most: the app has better things to do.
    private static let most = 32

    private let client: CoreClient
    private let outboxes: [Outbox]
    private let firstConsent: Consent?
    private let log: @Sendable (String) -> Void
    private let post: Post
    private let backoff: ClosedRange<Duration>
    private let queue = DispatchQueue(label: "footpath-drain", qos: .utility)
    private let lock = NSLock()
    private var key: String
    private var ended = false
    // Of the queue only.
    private var wait: Duration = .zero
    private var failed: Set<String> = []
    private var told: Set<String> = []
    private var planned: DispatchTime?

    /// `nil` where there is nothing to drain.
    init?(_ client: CoreClient, _ configuration: Configuration) {
        guard !configuration.outboxes.isEmpty else { return nil }
        self.client = client
        outboxes = configuration.outboxes.map(Outbox.init)
        firstConsent = configuration.firstConsent
        log = configuration.log
        post = Post(configuration)
        backoff = configuration.backoff ?? .milliseconds(250) ... .seconds(30)
        key = configuration.key
        outboxes.forEach { prepare($0.folder) }
    }

    /// Sends what lies there, and then answers how many batches of it the server has answered.
    func drain() async -> Int {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: self.pass()) }
        }
    }

    /// Something has changed: what failed before may succeed now.
    func start() {
        queue.async { [self] in
            wait = .zero
            _ = pass()
        }
    }

    func set(_ key: String) {
        lock.withLock { self.key = key }
        start()
    }

    /// Extensions hear of it as well.
    func note(_ consent: Consent) {
        queue.async { [self] in
            for outbox in outboxes {
                do { try outbox.note(consent) } catch { say("consent cannot be noted in an outbox: \(error)") }
            }
            wait = .zero
            _ = pass()
        }
    }

    func end() {
        lock.withLock { ended = true }
        queue.async { [post] in post.end() }
    }

    // MARK: On the queue

    private func pass() -> Int {
        var answered = 0
        guard !lock.withLock({ ended }) else { return answered }
        // Until its storage is open, the client does not know what the person allows.
        guard client.isOpen() else {
            plan(.milliseconds(100))
            return answered
        }
        for outbox in outboxes {
            let (files, foreign) = outbox.list()
            foreign.forEach { say("\($0) does not belong into an outbox: it is left alone") }
            for file in waiting(outbox, files) {
                // Paused, held, or not asked yet. Whoever goes on starts a drain, and the client says so a little later.
                guard client.stats().paused == nil || isDenied(outbox) else {
                    later(.zero)
                    return answered
                }
                guard answered < Self.most else {
                    plan(backoff.lowerBound)
                    return answered
                }
                switch send(file, outbox) {
                case .answered:
                    answered += 1
                    (wait, failed) = (.zero, [])
                case .none: break
                case .later(let least):
                    // The others are before it the next time: it may be the only one that fails.
                    failed.insert(file.id)
                    later(least)
                    return answered
                }
            }
        }
        return answered
    }

    /// What can be sent now. What somebody else is sending is looked at again when his time is over.
    private func waiting(_ outbox: Outbox, _ files: Set<Outbox.File>) -> [Outbox.File] {
        let now = Int(Date().timeIntervalSince1970)
        let ready = files.filter { file in
            guard file.kind == .claim, let until = file.until else { return file.kind == .batch }
            // One that lies far in the future was made before the clock was set.
            if until < now || until > now + 2 * claimSeconds { return true }
            plan(.seconds(until - now + 1))
            return false
        }
        return ready.sorted { (failed.contains($0.id) ? 1 : 0, $0.id) < (failed.contains($1.id) ? 1 : 0, $1.id) }
    }

    /// By then an attempt is over.
    private var claimSeconds: Int { Int(post.longest.milliseconds / 1_000) + 2 }

    private enum Fate {
        case answered
        /// Not a batch that has to be sent.
        case none
        /// Not before so long.
        case later(Duration)
    }

    private func send(_ file: Outbox.File, _ outbox: Outbox) -> Fate {
        let (batch, answer) = (Outbox.File(file.id, .batch), Outbox.File(file.id, .answer))
        let claim = Outbox.File(file.id, .claim, until: Int(Date().timeIntervalSince1970) + claimSeconds)
        guard outbox.rename(file, to: claim) else { return .none }
        // Its drain was killed between the two.
        guard !outbox.has(answer) else {
            outbox.remove(claim)
            return .none
        }
        func giveBack(_ why: String, _ least: Duration = .zero) -> Fate {
            _ = outbox.rename(claim, to: batch)
            say("an extension's batch has to wait: \(why)")
            return .later(least)
        }
        let parcel: Parcel?
        do { parcel = try client.opened(try outbox.read(claim)) } catch { return giveBack("\(error)") }
        guard case .batch(let id, let events, let encoding, let body)? = parcel, id == file.id else {
            say("\(file.name) cannot be read and is deleted: the extension has its events and sends them again")
            outbox.remove(claim)
            return .none
        }
        if events > 0, isDenied(outbox) {
            outbox.remove(claim)
            return .none
        }
        let authorization = "Bearer \(lock.withLock { key })"
        guard let request = post.request(authorization, encoding: encoding) else {
            return giveBack("the endpoint is no URL", backoff.upperBound)
        }
        switch post.send(body, request) {
        case .failed(let why): return giveBack(why)
        case .answered(let heard) where heard.isFinal:
            let reply = Outbox.File(file.id, .reply)
            do { try outbox.write(try client.sealed(.answer(id: id, heard)), to: reply) } catch {
                outbox.remove(reply)
                return giveBack("its answer cannot be written: \(error)")
            }
            _ = outbox.rename(reply, to: answer)
            outbox.remove(claim)
            return .answered
        case .answered(let heard):
            let seconds = heard.retryAfter.flatMap { Int($0.trimmingCharacters(in: .whitespaces)) } ?? 0
            return giveBack("HTTP \(heard.status)", .seconds(min(max(seconds, 0), 3_600)))
        }
    }

    private func isDenied(_ outbox: Outbox) -> Bool { (outbox.consent ?? firstConsent) == .denied }

    private func later(_ least: Duration) {
        wait = min(max(wait * 2, backoff.lowerBound), backoff.upperBound)
        plan(max(wait, least))
    }

    /// Drains again after a while, unless that is planned sooner.
    private func plan(_ wait: Duration) {
        let at = DispatchTime.now() + .milliseconds(Int(wait.milliseconds))
        if let planned, planned <= at, planned > .now() { return }
        planned = at
        queue.asyncAfter(deadline: at) { [weak self] in
            guard let self, self.planned == at else { return }
            self.planned = nil
            _ = self.pass()
        }
    }

    /// Once for each line.
    private func say(_ line: String) {
        if told.count < 100, told.insert(line).inserted { log(line) }
    }
}

extension Answer {
    /// Whether it says something about the batch, and would say so again: then it is the extension's. What is wrong with the
    /// app's key, with the server's load or with something in between is not.
    var isFinal: Bool {
        switch status {
        case 200: contentType?.hasPrefix("application/x-protobuf") ?? false
        case 400, 413, 415: contentType?.hasPrefix("application/json") ?? false
        default: false
        }
    }
}
