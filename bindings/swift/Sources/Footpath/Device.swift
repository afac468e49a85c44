import Foundation

/// What the library cannot ask the system itself.
struct Device: Sendable {
    var os = ""
    var osVersion = ""
    var model = ""
    var bootID: String?

    static let current: Device = {
        let version = ProcessInfo.processInfo.operatingSystemVersion
        var device = Device()
        device.osVersion = "\(version.majorVersion).\(version.minorVersion).\(version.patchVersion)"
        #if os(iOS)
            device.os = "ios"
        #elseif os(macOS)
            device.os = "macos"
        #endif
        #if canImport(Darwin)
            device.model = System.text("hw.machine") ?? ""
            device.bootID = System.text("kern.bootsessionuuid")
        #endif
        return device
    }()
}
