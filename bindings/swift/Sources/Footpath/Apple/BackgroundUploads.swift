// Never compiled with Apple's SDK by the project's own tests, which run on Linux (see check-apple.sh). Keep it small.
#if canImport(UIKit) && os(iOS)
    import Foundation
    internal import FootpathCore

    /// Hands batches to the system while the app is in the background: it sends them from files, also after the app was
    /// suspended or ended. The file and the task are named after the batch, so that an answer finds it in a later launch.
    ///
    /// The library takes an answer only for a batch that is out in this process. One that comes in a later launch is
    /// reported and not counted: those events go out once more, and the server knows them by their numbers.
    final class BackgroundUploads: NSObject, URLSessionDataDelegate, @unchecked Sendable {
        private let client: CoreClient
        private let folder: URL
        private let lock = NSLock()
        private var inBackground = false
        private var answers: [Int: Data] = [:]
        private var session: URLSession?

        /// `nil` for a queue in memory: nothing of it may outlive the process.
        static func make(_ client: CoreClient, _ configuration: Configuration) -> BackgroundUploads? {
            guard let queue = configuration.queueFolder else { return nil }
            let name = "\(configuration.project).\(queue.lastPathComponent)"
            return BackgroundUploads(client, queue.appendingPathComponent("uploads"), name: name)
        }

        private init(_ client: CoreClient, _ folder: URL, name: String) {
            self.client = client
            self.folder = folder
            super.init()
            prepare(folder)
            let settings = URLSessionConfiguration.background(withIdentifier: "\(BackgroundEvents.prefix)\(name)")
            settings.isDiscretionary = false
            settings.sessionSendsLaunchEvents = true
            settings.httpCookieStorage = nil
            settings.urlCache = nil
            // What is not sent by then is in the queue and goes out in the foreground.
            settings.timeoutIntervalForResource = 24 * 60 * 60
            let session = URLSession(configuration: settings, delegate: self, delegateQueue: nil)
            lock.withLock { self.session = session }
            // Files of an earlier launch whose tasks are over.
            let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
            session.getAllTasks { [folder] tasks in
                let alive = Set(tasks.compactMap(\.taskDescription))
                for file in files where !alive.contains(file) {
                    try? FileManager.default.removeItem(at: folder.appendingPathComponent(file))
                }
            }
        }

        func enter() { lock.withLock { inBackground = true } }
        func leave() { lock.withLock { inBackground = false } }

        /// Takes a batch over, if this is the time for it.
        func takes(_ id: String, _ body: Data, _ request: URLRequest) -> Bool {
            let (isTime, session) = lock.withLock { (inBackground, self.session) }
            guard isTime, let session else { return false }
            let file = folder.appendingPathComponent(id)
            do {
                try body.write(to: file, options: [.atomic, .completeFileProtectionUntilFirstUserAuthentication])
            } catch {
                return false
            }
            let task = session.uploadTask(with: request, fromFile: file)
            task.taskDescription = id
            task.resume()
            return true
        }

        func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
            lock.withLock { answers[dataTask.taskIdentifier, default: Data()].append(data) }
        }

        func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: (any Error)?) {
            let body = lock.withLock { answers.removeValue(forKey: task.taskIdentifier) }
            guard let id = task.taskDescription else { return }
            try? FileManager.default.removeItem(at: folder.appendingPathComponent(id))
            report(id, body, task.response, error, to: client)
        }

        func urlSession(
            _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
            newRequest request: URLRequest, completionHandler: @escaping @Sendable (URLRequest?) -> Void
        ) {
            completionHandler(nil)
        }

        func urlSessionDidFinishEvents(forBackgroundURLSession session: URLSession) {
            BackgroundEvents.finished(session.configuration.identifier ?? "")
        }

        /// The session keeps its delegate until it is told.
        func end() {
            lock.withLock { session }?.finishTasksAndInvalidate()
        }
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
