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

#if !canImport(Darwin)
    /// Makes a folder; see System.swift for what more is done on Apple's systems. What fails here is told by those who use it.
    func prepare(_ folder: URL) {
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }
#endif
