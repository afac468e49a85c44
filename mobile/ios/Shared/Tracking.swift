// Of both targets. The app and its extension share a folder and the Keychain's entries, and no database.
import Footpath
import Foundation

enum Tracking {
    /// Change these, here and in project.yml.
    static let endpoint = "https://events.example.com"
    static let key = "fp_..."
    static let group = "group.com.example.footpath"
    static let keychain = "TEAMID.com.example.footpath"

    /// Batches that the extension leaves for the app; `nil` where the group is missing from the entitlements.
    static var outbox: URL? {
        let shared = FileManager.default.containerURL(forSecurityApplicationGroupIdentifier: group)
        return shared?.appendingPathComponent("footpath-share")
    }

    static func configuration() -> Configuration {
        var configuration = Configuration(
            endpoint: endpoint, key: key,
            // In the own container of whichever process this is.
            queueFolder: URL.applicationSupportDirectory.appending(path: "footpath"))
        configuration.keyStore = KeychainStore(accessGroup: keychain)
        return configuration
    }
}
