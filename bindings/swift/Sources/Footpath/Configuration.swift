import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Who carries the events to the server.
public enum Carrier: Sendable {
    /// The library's own gRPC on Linux, `URLSession` on Apple's systems, where the library has no network code.
    case automatic
    /// The library's own gRPC.
    case grpc
    /// `URLSession`: plain `POST /v1/ingest`, with the proxy and the certificates that the system knows.
    case urlSession
    /// Nobody here: for an extension of an app. Each batch is left as a sealed file in this folder, which extension and app
    /// share and no other extension uses; the app, which names it in `outboxes`, sends it.
    case outbox(URL)
    /// Nobody: events are answered in memory. For tests.
    case memory
}

/// What the person allows.
public enum Consent: String, Sendable {
    /// Events are taken and sent.
    case granted
    /// Nobody has answered yet: events are kept and sent once consent is granted.
    case pending
    /// Nothing is taken, and what waited is destroyed.
    case denied
}

/// Keeps the keys that seal the queue on the disk. A key has 32 bytes. Called from the library's own thread.
public protocol KeyStore: Sendable {
    /// The key of that name; `nil` only where it is proven to be gone. An error means that it cannot be had now, as on a
    /// locked device; it is asked for again.
    func find(_ id: String) throws -> Data?
    /// Makes the key of that name, or finds the one there is.
    func make(_ id: String) throws -> Data
    /// Destroys the key of that name; none is no error.
    func destroy(_ id: String) throws
}

/// Settings of a client. What is `nil` has the library's default.
public struct Configuration: Sendable {
    /// For example `https://events.example.com`.
    public var endpoint: String
    /// The project key.
    public var key: String
    /// The project's id; must be the key's project.
    public var project: String
    /// Where the queue lies; `nil`: in memory, gone with the process. Several processes may name the same folder.
    public var queueFolder: URL?
    /// Who carries the events.
    public var carrier = Carrier.automatic
    /// A backend: every call names a person; no session, no device.
    public var backend = false
    /// What holds on a new install until somebody answers; granted by default.
    public var firstConsent: Consent?
    /// The app's name; by default the bundle's identifier.
    public var app = Bundle.main.bundleIdentifier ?? ""
    /// The app's version; by default the bundle's.
    public var appVersion = Bundle.main.infoDictionary?["CFBundleShortVersionString"] as? String ?? ""
    /// BCP 47, for example "de-CH".
    public var locale = Locale.current.identifier(.bcp47)
    /// IANA name, for example "Europe/Zurich".
    public var timeZone = TimeZone.current.identifier
    /// Looks at every event before it is taken, on the caller's thread: changes it, or leaves it out with `nil`. Events of
    /// the library's own (`identify`, `alias`, `link`) do not come by.
    public var beforeSend: (@Sendable (Event) -> Event?)?
    /// Seals the queue on the disk with keys kept there; `nil`: the queue is not sealed.
    public var keyStore: (any KeyStore)?
    /// For tests: a call that can never be right (not valid, too large) ends the process with the reason, instead of being
    /// counted and logged. Never in an app that people use.
    public var strict = false
    /// Keeps what was tracked in memory, for `recorded`. For tests: it grows without end.
    public var records = false
    /// Where the few lines for the developer go; by default to the standard error.
    public var log: @Sendable (String) -> Void = { line in
        FileHandle.standardError.write(Data("footpath: \(line)\n".utf8))
    }
    /// Bytes between `track` and the database; 8 MiB by default.
    public var ringBytes: Int?
    /// An event waits at most this long for company; 1 s by default. Critical ones do not wait.
    public var batchInterval: Duration?
    /// Events of a batch, at most; 500 by default.
    public var batchEvents: Int?
    /// Bytes of events of a batch, at most; 512 KiB by default.
    public var batchBytes: Int?
    /// Bytes of events that may wait for the server; 256 MiB by default.
    public var maxBytes: Int?
    /// Events that may wait for the server; a million by default.
    public var maxEvents: Int?
    /// Days after which an event that was not delivered is let go; 90 by default.
    public var maxAgeDays: Int?
    /// Bytes an hour, before compression, while `saveData` is on; 256 KiB by default. Critical events go all the same.
    public var savingBytesPerHour: Int?
    /// An attempt by gRPC ends after this long; one by `URLSession` after this long without a sign of life, and after four
    /// times as long in any case.
    public var requestTimeout = Duration.seconds(30)
    /// The wait after a first failure, doubled with each further one, and the longest; 250 ms to 30 s by default.
    public var backoff: ClosedRange<Duration>?
    /// gRPC only: trusts servers whose certificate this authority (PEM) signed, instead of the well-known ones. `URLSession`
    /// trusts whom the system trusts.
    public var caCertificate: Data?
    /// Marks this device's events with the property `debug_view`.
    public var debugView: String?
    /// Takes events of a name from a share of all persons only, 0 to 1.
    public var samples: [String: Double] = [:]
    /// Folders in which extensions leave their batches (`Carrier.outbox`), one for each extension: this client sends them,
    /// with its own key. It reads them with its own `keyStore`, which has to give the same keys as the extension's.
    public var outboxes: [URL] = []
    /// Apple's systems: follows the app into the background and back, see docs/sdk-swift.md.
    public var followsApp = true
    /// What sends while the app is in the background; the tests have something in place of it.
    var uploads: @Sendable (_ name: String) -> URLSessionConfiguration? = systemUploads

    public init(endpoint: String, key: String, project: String = "default", queueFolder: URL? = nil) {
        self.endpoint = endpoint
        self.key = key
        self.project = project
        self.queueFolder = queueFolder
    }

    /// For tests of an app: everything in memory and answered there, strict, and recorded.
    public static func test() -> Configuration {
        var configuration = Configuration(endpoint: "", key: "test", project: "test")
        configuration.carrier = .memory
        configuration.strict = true
        configuration.records = true
        return configuration
    }
}
