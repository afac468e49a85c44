import Foundation
internal import FootpathCore

/// In an extension: leaves batches for the app, and reads its answers.
final class OutboxCarrier: @unchecked Sendable {
    private let client: CoreClient
    private let outbox: Outbox
    private let log: @Sendable (String) -> Void
    /// Everything that looks at the folder happens under it.
    private let lock = NSLock()
    private var applied: Consent?
    private let away = Away()

    init(_ client: CoreClient, _ folder: URL, _ log: @escaping @Sendable (String) -> Void) {
        (self.client, outbox, self.log) = (client, Outbox(folder: folder), log)
        // Before anything is tracked. It is a file of a few bytes.
        follow()
        startThread("footpath-outbox") { [self] in carry() }
    }

    /// Until the client ends.
    private func carry() {
        prepare(outbox.folder)
        lock.withLock {
            for file in outbox.list().files where file.kind == .draft { outbox.remove(file) }
            readAnswers()
            keep()
        }
        while let batch = client.nextBatch() {
            lock.withLock {
                if let why = leave(batch) { client.reportFailure(batchId: batch.id, message: why) }
                readAnswers()
            }
        }
    }

    /// Reads the answers that lie there now.
    func look() {
        lock.withLock {
            follow()
            readAnswers()
        }
    }

    /// Waits until everything lies in files.
    func flush(within time: Duration) async -> FlushResult {
        lock.withLock { learn() }
        return await away.flush(client, within: time)
    }

    /// How many events lie there since earlier runs.
    private func learn() {
        for file in outbox.list().files where file.kind == .batch && !away.has(file.id) {
            let parcel = try? client.opened(try outbox.read(file))
            if case .batch(let id, let events, _, _)? = parcel { away.add(id, Int(clamping: events)) }
        }
    }

    /// Leaves a batch; or why not.
    private func leave(_ batch: Batch) -> String? {
        follow()
        if applied == .denied, batch.events > 0 { return "consent is denied" }
        let draft = Outbox.File(batch.id, .draft)
        let parcel = Parcel.batch(
            id: batch.id, events: batch.events, encoding: batch.contentEncoding, body: batch.body)
        do {
            try outbox.write(try client.sealed(parcel), to: draft)
        } catch {
            outbox.remove(draft)
            return "the outbox cannot be written: \(error)"
        }
        // Noted before the app can see it: an answer is never for a batch that the library does not know of.
        guard client.detach(batchId: batch.id) else {
            outbox.remove(draft)
            return "the outbox is full"
        }
        if outbox.rename(draft, to: Outbox.File(batch.id, .batch)) {
            away.add(batch.id, Int(clamping: batch.events))
        } else {
            outbox.remove(draft)
            keep()
        }
        return nil
    }

    private func readAnswers() {
        for file in outbox.list().files where file.kind == .answer {
            do {
                guard case .answer(let id, let answer)? = try client.opened(try outbox.read(file)), id == file.id else {
                    log("an answer in the outbox cannot be read: its events are sent again")
                    outbox.remove(file)
                    away.remove(file.id)
                    keep()
                    continue
                }
                client.report(id, .answered(answer))
                outbox.remove(file)
                away.remove(id)
            } catch {
                // The key cannot be had now: it is read later.
                log("an answer in the outbox cannot be read now: \(error)")
            }
        }
    }

    /// The events of batches whose files are gone are sent again.
    private func keep() {
        let there = outbox.list().files.filter { $0.kind != .draft }
        client.keepDetached(batchIds: Array(Set(there.map(\.id))))
    }

    /// What the person told the app holds here too.
    private func follow() {
        guard let consent = outbox.consent, consent != applied else { return }
        applied = consent
        try? client.setConsent(consent: consent.core)
    }
}
