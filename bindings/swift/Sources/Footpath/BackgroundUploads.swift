import Foundation
internal import FootpathCore

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Gives batches away to the system while the app is in the background: it sends them from files, also after the app was
/// suspended or ended. The file and the task are named after the batch, which the library has noted as given away: an
/// answer that comes in a later launch finds it and counts.
final class BackgroundUploads: NSObject, URLSessionDataDelegate, @unchecked Sendable {
    private let client: CoreClient
    private let folder: URL
    private let lock = NSLock()
    private var inBackground = false
    /// Whether the library knows what the system still has.
    private var isKnown = false
    private var ended = false
    private var answers: [Int: Data] = [:]
    private var session: URLSession?
    let away = Away()

    /// `nil` where the system sends nothing for an app, and for a queue in memory: nothing of it may outlive the process.
    static func make(_ client: CoreClient, _ configuration: Configuration) -> BackgroundUploads? {
        guard configuration.followsApp, let queue = configuration.queueFolder else { return nil }
        let name = "\(configuration.project).\(queue.lastPathComponent)"
        guard let settings = configuration.uploads(name) else { return nil }
        return BackgroundUploads(client, queue.appendingPathComponent("uploads"), settings)
    }

    private init(_ client: CoreClient, _ folder: URL, _ settings: URLSessionConfiguration) {
        self.client = client
        self.folder = folder
        super.init()
        prepare(folder)
        settings.httpCookieStorage = nil
        settings.urlCache = nil
        // The library waits as long before it sends those events itself.
        settings.timeoutIntervalForResource = 24 * 60 * 60
        let session = URLSession(configuration: settings, delegate: self, delegateQueue: nil)
        lock.withLock { self.session = session }
        // What is with the system is of earlier launches: nothing is given away before this is known.
        let files = Set((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
        session.getAllTasks { [self] tasks in
            let batches = tasks.compactMap { Self.batch($0) }
            batches.forEach { away.add($0.id, $0.events) }
            let earlier = files.union(batches.map(\.id))
            // The answers that came while the app was not running are about to be heard; their tasks may be gone already.
            client.keepDetached(batchIds: Array(earlier))
            lock.withLock { isKnown = true }
            DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + Self.grace) { [weak self] in
                self?.settle(earlier)
            }
        }
    }

    /// So long after a start the answers of earlier launches are waited for.
    private static let grace = 5.0

    /// The events of all batches that are not with the system are sent again: of those that were being given away when the app
    /// was ended.
    private func settle(_ earlier: Set<String>) {
        guard let session = lock.withLock({ ended ? nil : self.session }) else { return }
        session.getAllTasks { [self] tasks in
            let alive = Set(tasks.compactMap { Self.batch($0)?.id })
            for id in earlier.subtracting(alive) {
                away.remove(id)
                try? FileManager.default.removeItem(at: folder.appendingPathComponent(id))
            }
            client.keepDetached(batchIds: Array(away.ids.union(alive)))
        }
    }

    var isReady: Bool { lock.withLock { isKnown } }
    func enter() { lock.withLock { inBackground = true } }
    func leave() { lock.withLock { inBackground = false } }

    /// Gives a batch away, if this is the time for it. Whoever has none to give any more is asked again at once: the
    /// library hands out the next one until nothing waits.
    func takes(_ batch: Batch, _ request: URLRequest) -> Bool {
        let (isTime, session) = lock.withLock { (inBackground && isKnown, self.session) }
        guard isTime, let session else { return false }
        let file = folder.appendingPathComponent(batch.id)
        do {
            try batch.body.write(to: file, options: [.atomic, .completeFileProtectionUntilFirstUserAuthentication])
        } catch {
            return false
        }
        away.add(batch.id, Int(clamping: batch.events))
        // Noted first: nobody could answer for a batch that the library does not know of.
        guard client.detach(batchId: batch.id) else {
            away.remove(batch.id)
            try? FileManager.default.removeItem(at: file)
            return false
        }
        let task = session.uploadTask(with: request, fromFile: file)
        task.taskDescription = "\(batch.id) \(batch.events)"
        task.resume()
        return true
    }

    /// The batch that a task sends, and its events.
    private static func batch(_ task: URLSessionTask) -> (id: String, events: Int)? {
        let words = task.taskDescription?.split(separator: " ") ?? []
        guard words.count == 2, let events = Int(words[1]) else { return nil }
        return (String(words[0]), events)
    }

    /// Consent is withdrawn: what the system has not sent yet is not sent any more.
    func forget() {
        lock.withLock { session }?.getAllTasks { tasks in tasks.forEach { $0.cancel() } }
    }

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        lock.withLock { answers[dataTask.taskIdentifier, default: Data()].append(data) }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
        let body = lock.withLock { answers.removeValue(forKey: task.taskIdentifier) }
        guard let (id, _) = Self.batch(task) else { return }
        away.remove(id)
        try? FileManager.default.removeItem(at: folder.appendingPathComponent(id))
        client.report(id, Sent(body, task.response, error))
    }

    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping @Sendable (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }

    #if canImport(UIKit) && os(iOS)
        func urlSessionDidFinishEvents(forBackgroundURLSession session: URLSession) {
            BackgroundEvents.finished(session.configuration.identifier ?? "")
        }
    #endif

    /// The session keeps its delegate until it is told.
    func end() {
        lock.withLock {
            ended = true
            return session
        }?.finishTasksAndInvalidate()
    }
}

#if !(canImport(UIKit) && os(iOS))
    /// Only iOS sends on while the app is in the background. The tests have something in place of it.
    func systemUploads(_ name: String) -> URLSessionConfiguration? { nil }
#endif

// Never compiled with Apple's SDK by the project's own tests, which run on Linux (see check-apple.sh). Keep it small.
#if canImport(UIKit) && os(iOS)
    func systemUploads(_ name: String) -> URLSessionConfiguration? {
        let settings = URLSessionConfiguration.background(withIdentifier: "\(BackgroundEvents.prefix)\(name)")
        settings.isDiscretionary = false
        settings.sessionSendsLaunchEvents = true
        return settings
    }

    /// What the system asks an app that it woke for finished uploads to call back.
    enum BackgroundEvents {
        static let prefix = "footpath."
        private static let waiting = Waiting()

        static func wait(_ identifier: String, _ completion: @escaping @MainActor @Sendable () -> Void) -> Bool {
            guard identifier.hasPrefix(prefix) else { return false }
            waiting.lock.withLock { waiting.completions[identifier] = completion }
            return true
        }

        static func finished(_ identifier: String) {
            let completion = waiting.lock.withLock { waiting.completions.removeValue(forKey: identifier) }
            guard let completion else { return }
            Task { @MainActor in completion() }
        }

        private final class Waiting: @unchecked Sendable {
            let lock = NSLock()
            var completions: [String: @MainActor @Sendable () -> Void] = [:]
        }
    }

    extension Footpath {
        /// To be called from `application(_:handleEventsForBackgroundURLSession:completionHandler:)`, after the client was
        /// made; `false` where the session is not this library's.
        @discardableResult
        public static func handleBackgroundEvents(
            _ identifier: String, completionHandler: @escaping @MainActor @Sendable () -> Void
        ) -> Bool {
            BackgroundEvents.wait(identifier, completionHandler)
        }
    }
#endif
