import Footpath
import UIKit

/// The share extension: tracks, leaves what it has tracked for the app, and is gone.
final class ShareViewController: UIViewController {
    private static let footpath: Footpath = {
        var configuration = Tracking.configuration()
        if let outbox = Tracking.outbox { configuration.carrier = .outbox(outbox) }
        return Footpath(configuration)
    }()

    override func viewDidAppear(_ animated: Bool) {
        super.viewDidAppear(animated)
        Task {
            Self.footpath.track("shared", ["from": "share_sheet"])
            await Self.footpath.flush(within: .seconds(2))
            extensionContext?.completeRequest(returningItems: nil)
        }
    }
}
