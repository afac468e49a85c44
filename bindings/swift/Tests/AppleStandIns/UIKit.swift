// What the Apple files use of Apple's SDK and Foundation for Linux does not have, so that check-apple.sh can let the compiler
// look at them: the types, and nothing behind them.
@_exported import Foundation
@_exported import FoundationNetworking

@MainActor open class UIApplication {
    nonisolated public static let didEnterBackgroundNotification = Notification.Name("didEnterBackground")
    nonisolated public static let willEnterForegroundNotification = Notification.Name("willEnterForeground")

    public struct LaunchOptionsKey: Hashable, Sendable {}
}

@MainActor public protocol UIApplicationDelegate: AnyObject {
    func application(
        _ application: UIApplication, didFinishLaunchingWithOptions options: [UIApplication.LaunchOptionsKey: Any]?
    ) -> Bool
    func application(
        _ application: UIApplication, handleEventsForBackgroundURLSession identifier: String,
        completionHandler: @escaping () -> Void)
}

public class NSExtensionContext {
    public func completeRequest(returningItems: [Any]?, completionHandler: (@Sendable (Bool) -> Void)? = nil) {}
}

@MainActor open class UIViewController: NSObject {
    public var extensionContext: NSExtensionContext? { nil }
    open func viewDidAppear(_ animated: Bool) {}
}

extension Notification.Name {
    public static let NSProcessInfoPowerStateDidChange = Notification.Name("powerState")
}

extension ProcessInfo {
    public var isLowPowerModeEnabled: Bool { false }
    public func performExpiringActivity(withReason: String, using block: @escaping @Sendable (Bool) -> Void) {}
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

extension FileManager {
    public func containerURL(forSecurityApplicationGroupIdentifier: String) -> URL? { nil }
}

extension URL {
    public static var applicationSupportDirectory: URL { fatalError() }
}
