// Never compiled with Apple's SDK by the project's own tests, which run on Linux (see check-apple.sh). Keep it small.
#if canImport(UIKit) && os(iOS)
    import UIKit
    internal import FootpathCore

    /// Follows the app into the background and back, and Low Power Mode.
    final class Lifecycle: @unchecked Sendable {
        // Written once, before anybody else sees this object.
        private var observers: [any NSObjectProtocol] = []

        init(_ client: CoreClient, _ carrier: HostCarrier?, _ drain: OutboxDrain?) {
            let center = NotificationCenter.default
            func on(_ name: Notification.Name, _ action: @escaping @Sendable () -> Void) {
                observers.append(center.addObserver(forName: name, object: nil, queue: nil) { _ in action() })
            }
            on(UIApplication.didEnterBackgroundNotification) {
                carrier?.background?.enter()
                Self.sendLast(client, carrier?.background?.away ?? Away())
            }
            on(UIApplication.willEnterForegroundNotification) {
                carrier?.background?.leave()
                client.resume()
                drain?.start()
            }
            on(.NSProcessInfoPowerStateDidChange) {
                client.saveData(saving: ProcessInfo.processInfo.isLowPowerModeEnabled)
            }
            if ProcessInfo.processInfo.isLowPowerModeEnabled { client.saveData(saving: true) }
        }

        deinit { observers.forEach { NotificationCenter.default.removeObserver($0) } }

        /// Asks the system for the moment that it takes to save what there is and to give it away. What is not given away by
        /// then lies in the queue.
        private static func sendLast(_ client: CoreClient, _ away: Away) {
            let time = BackgroundTime()
            time.begin()
            Task.detached {
                _ = await away.flush(client, within: .seconds(5))
                time.end()
            }
        }
    }

    /// The time that the system grants, given back once.
    private final class BackgroundTime: @unchecked Sendable {
        private let lock = NSLock()
        private var task = UIBackgroundTaskIdentifier.invalid

        func begin() {
            // didEnterBackground is posted on the main thread.
            MainActor.assumeIsolated {
                let task = UIApplication.shared.beginBackgroundTask(withName: "footpath") { [weak self] in self?.end() }
                lock.withLock { self.task = task }
            }
        }

        func end() {
            let task = lock.withLock {
                defer { self.task = .invalid }
                return self.task
            }
            guard task != .invalid else { return }
            DispatchQueue.main.async { UIApplication.shared.endBackgroundTask(task) }
        }
    }
#endif
