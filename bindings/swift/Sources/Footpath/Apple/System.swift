// Never compiled with Apple's SDK by the project's own tests, which run on Linux (see check-apple.sh). Keep it small.
#if canImport(Darwin)
    import Darwin
    import Foundation

    enum System {
        /// What the system says under a name, for example `kern.bootsessionuuid`.
        static func text(_ name: String) -> String? {
            var length = 0
            guard sysctlbyname(name, nil, &length, nil, 0) == 0, length > 1 else { return nil }
            var bytes = [UInt8](repeating: 0, count: length)
            guard sysctlbyname(name, &bytes, &length, nil, 0) == 0 else { return nil }
            return String(decoding: bytes.prefix(length).prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    /// Makes the queue's folder: not part of a backup (a restored queue would repeat its numbers), and readable from the
    /// first unlock after a start on. What is made in it later inherits the protection.
    func prepare(_ folder: URL) {
        let files = FileManager.default
        #if os(iOS)
            let attributes: [FileAttributeKey: Any] = [
                .protectionKey: FileProtectionType.completeUntilFirstUserAuthentication
            ]
        #else
            let attributes: [FileAttributeKey: Any] = [:]
        #endif
        // What fails here is told by the library once it cannot use the folder.
        try? files.createDirectory(at: folder, withIntermediateDirectories: true, attributes: attributes)
        if !attributes.isEmpty { try? files.setAttributes(attributes, ofItemAtPath: folder.path) }
        var values = URLResourceValues()
        values.isExcludedFromBackup = true
        var excluded = folder
        try? excluded.setResourceValues(values)
    }
#endif
