// What the Apple files use of Apple's SDK and Foundation for Linux does not have, so that check-apple.sh can let the compiler
// look at them: the types, and nothing behind them.
@_exported import Foundation
@_exported import FoundationNetworking

public struct UIBackgroundTaskIdentifier: Sendable, Equatable {
    public static let invalid = UIBackgroundTaskIdentifier()
}

@MainActor open class UIApplication {
    nonisolated public static let didEnterBackgroundNotification = Notification.Name("didEnterBackground")
    nonisolated public static let willEnterForegroundNotification = Notification.Name("willEnterForeground")
    public static var shared: UIApplication { fatalError() }

    public func beginBackgroundTask(
        withName: String?, expirationHandler: (@MainActor @Sendable () -> Void)?
    ) -> UIBackgroundTaskIdentifier { .invalid }

    public func endBackgroundTask(_ id: UIBackgroundTaskIdentifier) {}
}

extension Notification.Name {
    public static let NSProcessInfoPowerStateDidChange = Notification.Name("powerState")
}

extension ProcessInfo {
    public var isLowPowerModeEnabled: Bool { false }
}

extension URLSessionConfiguration {
    public class func standIn(withIdentifier: String) -> URLSessionConfiguration { .default }
    public var sessionSendsLaunchEvents: Bool {
        get { false }
        set {}
    }
}

public func sysctlbyname(
    _ name: String, _ old: UnsafeMutableRawPointer?, _ length: UnsafeMutablePointer<Int>?,
    _ new: UnsafeMutableRawPointer?, _ newLength: Int
) -> Int32 { -1 }
