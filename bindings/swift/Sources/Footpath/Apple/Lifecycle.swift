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
                client.tryNow()
                drain?.start()
            }
            on(.NSProcessInfoPowerStateDidChange) {
                client.saveData(saving: ProcessInfo.processInfo.isLowPowerModeEnabled)
            }
            if ProcessInfo.processInfo.isLowPowerModeEnabled { client.saveData(saving: true) }
        }

        deinit { observers.forEach { NotificationCenter.default.removeObserver($0) } }

        /// Asks the system for the moment that it takes to save what there is and to give it away. What is not given away by
        /// then lies in the queue. Not by `UIApplication.shared`, which extensions must not even name.
        private static func sendLast(_ client: CoreClient, _ away: Away) {
            let done = DispatchSemaphore(value: 0)
            Task.detached {
                _ = await away.flush(client, within: .seconds(5))
                done.signal()
            }
            ProcessInfo.processInfo.performExpiringActivity(withReason: "footpath") { isOver in
                // Granted, it lasts until this returns; it is called once more when the system wants the time back.
                if isOver { done.signal() } else { done.wait() }
            }
        }
    }
#endif
