// What crosses the border between this module and the generated one. Nothing of FootpathCore is public here.
import Foundation
internal import FootpathCore

typealias CoreClient = FootpathCore.FootpathClient

extension Configuration {
    var resolvedCarrier: Carrier {
        guard case .automatic = carrier else { return carrier }
        #if canImport(Darwin)
            return .urlSession
        #else
            return .grpc
        #endif
    }

    func makeClient(_ tell: @escaping @Sendable (Problem) -> Void) throws -> CoreClient {
        let device = Device.current
        let carriers: FootpathCore.Carrier =
            switch resolvedCarrier {
            case .memory: .memory
            case .urlSession, .outbox: .host
            case .grpc, .automatic: .grpc
            }
        let config = FootpathCore.Config(
            endpoint: endpoint,
            key: key,
            project: project,
            queueFolder: queueFolder?.path,
            carrier: carriers,
            backend: backend,
            firstConsent: firstConsent?.core,
            library: "footpath-swift \(Footpath.version)",
            app: app,
            appVersion: appVersion,
            os: device.os,
            osVersion: device.osVersion,
            deviceModel: device.model,
            locale: locale,
            timeZone: timeZone,
            bootId: device.bootID,
            ringBytes: ringBytes.map(UInt64.init(clamping:)),
            batchIntervalMs: batchInterval?.milliseconds,
            batchEvents: batchEvents.map(UInt32.init(clamping:)),
            batchBytes: batchBytes.map(UInt64.init(clamping:)),
            requestTimeoutMs: requestTimeout.milliseconds,
            backoffMinMs: backoff?.lowerBound.milliseconds,
            backoffMaxMs: backoff?.upperBound.milliseconds,
            caCertificate: caCertificate,
            maxBytes: maxBytes.map(UInt64.init(clamping:)),
            maxEvents: maxEvents.map(UInt64.init(clamping:)),
            maxAgeDays: maxAgeDays.map(UInt32.init(clamping:)),
            savingBytesPerHour: savingBytesPerHour.map(UInt64.init(clamping:)),
            debugView: debugView,
            samples: samples.isEmpty ? nil : samples
        )
        return try CoreClient(config: config, listener: Listener(tell), keys: keyStore.map(Keys.init))
    }
}

private final class Listener: FootpathCore.ProblemListener {
    private let tell: @Sendable (Problem) -> Void

    init(_ tell: @escaping @Sendable (Problem) -> Void) { self.tell = tell }

    func onProblem(problem: FootpathCore.Problem) { tell(Problem(problem)) }
}

private final class Keys: FootpathCore.KeyStore {
    private let store: any KeyStore

    init(_ store: any KeyStore) { self.store = store }

    func find(id: String) throws -> Data? { try asked { try store.find(id) } }
    func make(id: String) throws -> Data { try asked { try store.make(id) } }
    func destroy(id: String) throws { try asked { try store.destroy(id) } }

    /// Whatever a key store throws means "not now": no error of a host's may look like a key that is gone.
    private func asked<Result>(_ body: () throws -> Result) throws -> Result {
        do { return try body() } catch { throw FootpathCore.KeyFailure.NotNow(why: "\(error)") }
    }
}

extension Consent {
    init(_ core: FootpathCore.Consent) {
        switch core {
        case .granted: self = .granted
        case .pending: self = .pending
        case .denied: self = .denied
        }
    }

    var core: FootpathCore.Consent {
        switch self {
        case .granted: .granted
        case .pending: .pending
        case .denied: .denied
        }
    }
}

extension Pause {
    init(_ pause: FootpathCore.Pause) {
        self =
            switch pause {
            case .unauthenticated(let message): .unauthenticated(message)
            case .permissionDenied(let message): .permissionDenied(message)
            case .notFound(let message): .notFound(message)
            case .held: .held
            case .consentPending: .consentPending
            }
    }
}

extension Problem {
    fileprivate init(_ problem: FootpathCore.Problem) {
        self =
            switch problem {
            case .paused(let reason): .paused(Pause(reason))
            case .storage(let message): .storage(message)
            case .quarantined(let path): .quarantined(path)
            case .lost(let message): .lost(message)
            case .rejected(let message): .rejected(message)
            case .unreachable(let message): .unreachable(message)
            case .disabled(let message): .disabled(message)
            case .other(let message): .other(message)
            }
    }
}

extension ReceiptState {
    init(_ receipt: FootpathCore.Receipt) {
        self =
            switch receipt {
            case .queued: .queued
            case .acked: .delivered
            case .rejected(let why): .rejected(why)
            }
    }
}

extension Stats {
    init(_ stats: FootpathCore.Stats) {
        self.init(
            tracked: Int(stats.tracked),
            refusedFull: Int(stats.refusedFull),
            notWanted: Int(stats.notWanted),
            committed: Int(stats.committed),
            acked: Int(stats.acked),
            duplicates: Int(stats.duplicates),
            rejected: Int(stats.rejected),
            evicted: Int(stats.evicted),
            pending: Int(stats.pending),
            pendingBytes: Int(stats.pendingBytes),
            sends: Int(stats.sends),
            resends: Int(stats.resends),
            sentBytes: Int(stats.sentBytes),
            lastError: stats.lastError,
            paused: stats.paused.map(Pause.init),
            clock: stats.clock.map { ClockOffset(microseconds: $0.offsetUs, uncertainty: $0.uncertaintyUs) }
        )
    }
}

extension FlushResult {
    init(_ result: FootpathCore.FlushResult) {
        self.init(
            acked: Int(result.acked),
            rejected: Int(result.rejected),
            pending: Int(result.pending),
            complete: result.complete,
            paused: result.paused.map(Pause.init)
        )
    }
}

/// Why the library refused a call.
enum Refusal: Int, CaseIterable {
    case invalid = 1
    case tooLarge, queueFull, notWanted, closed, disabled

    /// In words, where the library has none of its own.
    var words: String {
        switch self {
        case .invalid: "not valid"
        case .tooLarge: "the event is larger than the server takes"
        case .queueFull: "the queue is full; try again later"
        case .notWanted: "no consent, or not in the sample"
        case .closed: "the client was closed"
        case .disabled: "the client is disabled after a failure of its own"
        }
    }

    /// What `footpath_track` answered.
    init(code: Int64) { self = Refusal(rawValue: Int(-code)) ?? .disabled }

    init(_ error: any Error) {
        self =
            switch error as? FootpathCore.ClientError {
            case .Invalid: .invalid
            case .TooLarge: .tooLarge
            case .QueueFull: .queueFull
            case .NotWanted: .notWanted
            case .Closed: .closed
            case .Disabled, nil: .disabled
            }
    }
}

/// An error of the library's, in its words.
func words(_ error: any Error) -> String {
    switch error as? FootpathCore.ClientError {
    case .Invalid(let why), .NotWanted(let why): why
    case .TooLarge(let bytes, let limit): "the event has \(bytes) bytes, \(limit) are allowed"
    case .QueueFull, .Closed, .Disabled: Refusal(error).words
    case nil: "\(error)"
    }
}

extension Delivery {
    var core: FootpathCore.Delivery {
        switch self {
        case .critical: .critical
        case .normal: .normal
        case .lossy: .lossy
        }
    }
}

extension Duration {
    var milliseconds: UInt64 {
        guard self > .zero else { return 0 }
        let (seconds, atto) = components
        return UInt64(clamping: seconds) > UInt64.max / 2_000
            ? UInt64.max / 2 : UInt64(seconds) * 1_000 + UInt64(atto / 1_000_000_000_000_000)
    }
}
