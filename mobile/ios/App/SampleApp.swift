import Footpath
import SwiftUI

@main
struct SampleApp: App {
    @UIApplicationDelegateAdaptor(AppDelegate.self) private var delegate

    var body: some Scene {
        WindowGroup { ShopScreen(footpath: AppDelegate.footpath) }
    }
}

final class AppDelegate: NSObject, UIApplicationDelegate {
    static let footpath: Footpath = {
        var configuration = Tracking.configuration()
        configuration.outboxes = Tracking.outbox.map { [$0] } ?? []
        return Footpath(configuration)
    }()

    func application(
        _ application: UIApplication, didFinishLaunchingWithOptions options: [UIApplication.LaunchOptionsKey: Any]?
    ) -> Bool {
        // Made at every launch, also when the system starts the app in the background for its uploads.
        _ = Self.footpath
        return true
    }

    func application(
        _ application: UIApplication, handleEventsForBackgroundURLSession identifier: String,
        completionHandler: @escaping () -> Void
    ) {
        Footpath.handleBackgroundEvents(identifier) { completionHandler() }
    }
}
