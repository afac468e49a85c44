import Foundation
internal import FootpathCore

/// A folder that an app and one of its extensions share. The extension leaves batches in it, the app sends them and leaves
/// the answers. Nobody holds a lock or an open database in it: the system ends an app that does while it is suspended. One
/// file belongs to one of them at a time, and changes hands by being renamed.
///
///     ID.draft       the extension writes it
///     ID.batch       waits for the app
///     ID.TIME.claim  the app is sending it; whoever finds it after TIME may take it over
///     ID.reply       the app writes the answer
///     ID.answer      waits for the extension
///     consent        what the app was told last: granted, pending or denied
struct Outbox: Sendable {
    let folder: URL

    enum Kind: String, Sendable {
        case draft, batch, claim, reply, answer
    }

    struct File: Hashable, Sendable {
        let id: String
        let kind: Kind
        /// Of a claim: seconds since 1970.
        var until: Int?

        var name: String { until.map { "\(id).\($0).\(kind.rawValue)" } ?? "\(id).\(kind.rawValue)" }

        init(_ id: String, _ kind: Kind, until: Int? = nil) { (self.id, self.kind, self.until) = (id, kind, until) }

        /// `nil` for a name that is none of ours.
        init?(name: String) {
            let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            let isID = !parts[0].isEmpty && parts[0].utf8.count <= 64
                && parts[0].utf8.allSatisfy { $0 == UInt8(ascii: "-") || Character(Unicode.Scalar($0)).isHexDigit }
            guard isID, let kind = parts.last.flatMap(Kind.init(rawValue:)) else { return nil }
            switch (kind, parts.count) {
            case (.claim, 3):
                guard let until = Int(parts[1]), String(until) == parts[1] else { return nil }
                self.init(parts[0], kind, until: until)
            case (.claim, _): return nil
            case (_, 2): self.init(parts[0], kind)
            default: return nil
            }
        }
    }

    /// What lies there, and the names that are none of ours.
    func list() -> (files: Set<File>, foreign: [String]) {
        // A file that is renamed while the folder is read may be missed under both names, but not twice.
        let names = Set(names()).union(names())
        let known = names.filter { $0 != Self.consent && !$0.hasPrefix(".") }
        let files = known.compactMap { File(name: $0) }
        return (Set(files), known.filter { File(name: $0) == nil }.sorted())
    }

    private func names() -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [] }

    func read(_ file: File) throws -> Data { try Data(contentsOf: url(file)) }

    /// Not atomic: for names that nobody else reads.
    func write(_ data: Data, to file: File) throws {
        try data.write(to: url(file), options: .completeFileProtectionUntilFirstUserAuthentication)
    }

    /// Whether the file was there and is now the other one: of several who try, one hears yes.
    func rename(_ file: File, to other: File) -> Bool {
        rename(url(file).path, url(other).path)
    }

    func remove(_ file: File) { try? FileManager.default.removeItem(at: url(file)) }

    func has(_ file: File) -> Bool { FileManager.default.fileExists(atPath: url(file).path) }

    private func url(_ file: File) -> URL { folder.appendingPathComponent(file.name) }

    private func rename(_ old: String, _ new: String) -> Bool { Foundation.rename(old, new) == 0 }

    // MARK: Consent

    private static let consent = "consent"

    /// What the app was told last.
    var consent: Consent? {
        let data = try? Data(contentsOf: folder.appendingPathComponent(Self.consent))
        return data.flatMap { Consent(rawValue: String(decoding: $0, as: UTF8.self)) }
    }

    func note(_ consent: Consent) throws {
        try Data(consent.rawValue.utf8).write(
            to: folder.appendingPathComponent(Self.consent),
            options: [.atomic, .completeFileProtectionUntilFirstUserAuthentication])
    }
}

/// What is in a file, before it is sealed: a version, a kind, and parts with their lengths.
enum Parcel: Equatable, Sendable {
    /// `events` is 0 for a batch with nothing but wishes to delete or see data, which need no consent.
    case batch(id: String, events: UInt64, encoding: String?, body: Data)
    case answer(id: String, Answer)

    private static let version: UInt8 = 1

    var bytes: Data {
        switch self {
        case .batch(let id, let events, let encoding, let body):
            return Self.join("b", [Data(id.utf8), Data("\(events)".utf8), Data((encoding ?? "").utf8), body])
        case .answer(let id, let answer):
            let texts = [id, "\(answer.status)", answer.contentType ?? "", answer.retryAfter ?? ""]
            return Self.join("a", texts.map { Data($0.utf8) } + [answer.body])
        }
    }

    /// `nil` for what this version does not know.
    init?(_ bytes: Data) {
        guard let (kind, parts) = Self.split(bytes) else { return nil }
        let texts = parts.dropLast().map { String(decoding: $0, as: UTF8.self) }
        func text(_ at: Int) -> String? { texts[at].isEmpty ? nil : texts[at] }
        switch (kind, texts.count) {
        case (UInt8(ascii: "b"), 3):
            guard let events = UInt64(texts[1]) else { return nil }
            self = .batch(id: texts[0], events: events, encoding: text(2), body: parts[3])
        case (UInt8(ascii: "a"), 4):
            guard let status = UInt16(texts[1]) else { return nil }
            let answer = Answer(status: status, contentType: text(2), retryAfter: text(3), body: parts[4])
            self = .answer(id: texts[0], answer)
        default: return nil
        }
    }

    private static func join(_ kind: Unicode.Scalar, _ parts: [Data]) -> Data {
        var bytes = Data([version, UInt8(ascii: kind)])
        for part in parts {
            withUnsafeBytes(of: UInt32(part.count).littleEndian) { bytes.append(contentsOf: $0) }
            bytes.append(part)
        }
        return bytes
    }

    private static func split(_ bytes: Data) -> (UInt8, [Data])? {
        var rest = [UInt8](bytes)[...]
        guard rest.popFirst() == version, let kind = rest.popFirst() else { return nil }
        var parts: [Data] = []
        while !rest.isEmpty {
            guard rest.count >= 4 else { return nil }
            let length = rest.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(4)
            guard length <= rest.count else { return nil }
            parts.append(Data(rest.prefix(length)))
            rest = rest.dropFirst(length)
        }
        return (kind, parts)
    }
}

extension FootpathCore.FootpathClient {
    func sealed(_ parcel: Parcel) throws -> Data { try seal(bytes: parcel.bytes) }

    /// `nil` for what can never be read; an error where the key cannot be had now.
    func opened(_ bytes: Data) throws -> Parcel? { try unseal(bytes: bytes).flatMap(Parcel.init) }
}
