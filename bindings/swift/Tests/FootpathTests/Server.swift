import Footpath
import Foundation
import XCTest

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// The real server, in a folder of its own.
final class Server {
    let folder: URL
    private(set) var url = ""
    private(set) var key = ""
    private var admin = ""
    private var process: Process?
    private var stdin = Pipe()
    private var tls: [String] = []

    /// With TLS or without.
    init(tls: Bool = false) throws {
        folder = try temporaryFolder()
        if tls {
            self.tls = ["--tls-cert", try Self.beside("tls.pem").path, "--tls-key", try Self.beside("tls.key").path]
        }
        try start()
    }

    /// The certificate of a server with TLS, which is its own authority.
    static func authority() throws -> Data { try Data(contentsOf: beside("tls.pem")) }

    private static func program() throws -> URL {
        guard let program = ProcessInfo.processInfo.environment["FOOTPATH_BIN"] else {
            throw Failure("FOOTPATH_BIN names the server")
        }
        return URL(fileURLWithPath: program)
    }

    private static func beside(_ file: String) throws -> URL {
        try program().deletingLastPathComponent().appendingPathComponent(file)
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(at: folder)
    }

    /// Starts it, at the address where it was before if it was.
    func start() throws {
        let process = Process()
        process.executableURL = try Self.program()
        let listen = url.isEmpty ? "127.0.0.1:0" : String(url.drop { $0 != "/" }.dropFirst(2))
        process.arguments = [
            "serve", "--data", folder.path, "--listen", listen, "--admin-listen", "127.0.0.1:0",
            "--until-stdin-closes",
        ] + tls
        stdin = Pipe()
        let output = Pipe()
        process.standardInput = stdin
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        self.process = process
        // "open:" is the last line of its start.
        for line in Lines(output) {
            if line.hasPrefix("project key: ") { key = String(line.dropFirst(13)) }
            if line.hasPrefix("admin: ") { admin = String(line.dropFirst(7)) }
            if line.hasPrefix("open: ") {
                url = String(line.dropFirst(6).prefix { $0 != "?" })
                while url.hasSuffix("/") { url.removeLast() }
                return
            }
        }
        throw Failure("the server did not start")
    }

    func stop() {
        try? stdin.fileHandleForWriting.close()
        process?.waitUntilExit()
        process = nil
    }

    /// What the server itself counts, over all labels.
    func count(_ metric: String) async throws -> Int {
        let (data, _) = try await URLSession.shared.data(from: URL(string: admin + "/metrics")!)
        let lines = String(decoding: data, as: UTF8.self).split(separator: "\n")
        let ours = lines.filter { $0.hasPrefix(metric + "{") || $0.hasPrefix(metric + " ") }
        return ours.compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0) { $0 + Int($1) }
    }

    func configuration(_ carrier: Carrier, folder: URL?) -> Configuration {
        var configuration = Configuration(endpoint: url, key: key, queueFolder: folder)
        configuration.carrier = carrier
        configuration.batchInterval = .milliseconds(100)
        return configuration
    }
}

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Lines of a pipe as they come.
struct Lines: Sequence, IteratorProtocol {
    private let handle: FileHandle
    private var rest = Data()

    init(_ pipe: Pipe) { handle = pipe.fileHandleForReading }

    mutating func next() -> String? {
        while true {
            if let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                defer { rest = Data(rest[(end + 1)...]) }
                return String(decoding: rest[..<end], as: UTF8.self)
            }
            let more = handle.availableData
            if more.isEmpty { return nil }
            rest.append(more)
        }
    }
}

func temporaryFolder() throws -> URL {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("footpath-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder
}

/// The program beside the tests that they kill.
func child(_ arguments: String...) -> (Process, Pipe) {
    let process = Process()
    let tests = URL(fileURLWithPath: CommandLine.arguments[0])
    process.executableURL = tests.deletingLastPathComponent().appendingPathComponent("FootpathChild")
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    return (process, output)
}

/// Waits until something holds.
func eventually(
    _ what: String, within seconds: Double = 20, file: StaticString = #filePath, line: UInt = #line,
    _ holds: () async throws -> Bool
) async rethrows {
    let end = Date().addingTimeInterval(seconds)
    while Date() < end {
        if try await holds() { return }
        try? await Task.sleep(for: .milliseconds(20))
    }
    XCTFail("not in time: \(what)", file: file, line: line)
}

/// Lines or problems that came from other threads.
final class Heard<Item: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var kept: [Item] = []
    var items: [Item] { lock.withLock { kept } }
    func hear(_ item: Item) { lock.withLock { kept.append(item) } }
}

/// Listens, and gives each request the same answer, or none.
final class InBetween: @unchecked Sendable {
    let url: String
    private let listener: Int32
    private let answer: String?
    private let body: String

    init(answer: String?, body: String = "oops") throws {
        (self.answer, self.body) = (answer, body)
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let (listener, size) = (listener, length)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, size) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        guard bound else { throw Failure("cannot listen") }
        url = "http://127.0.0.1:\(UInt16(bigEndian: address.sin_port))"
        Thread.detachNewThread { [self] in serve() }
    }

    /// The whole of it: what is not read when a connection is closed makes the other side forget the answer.
    private func readRequest(_ connection: Int32) {
        var request = ""
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(connection, &bytes, bytes.count)
            guard count > 0 else { return }
            request += String(decoding: bytes[..<count], as: Unicode.ASCII.self)
            guard let end = request.range(of: "\r\n\r\n") else { continue }
            let head = request[..<end.lowerBound].lowercased()
            let length = head.components(separatedBy: "content-length: ").dropFirst().first
                .flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
            if request[end.upperBound...].unicodeScalars.count >= length { return }
        }
    }

    private func serve() {
        while true {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { return }
            guard let answer else { continue }
            readRequest(connection)
            let whole = answer + "content-length: \(body.utf8.count)\r\nconnection: close\r\n\r\n\(body)"
            _ = whole.withCString { write(connection, $0, whole.utf8.count) }
            close(connection)
        }
    }
}

/// Keys that die with the process.
final class MemoryStore: KeyStore, @unchecked Sendable {
    private let lock = NSLock()
    private var keys: [String: Data] = [:]
    private var locked = false

    var isEmpty: Bool { lock.withLock { keys.isEmpty } }

    /// As on a locked device.
    func lock(_ locked: Bool) { lock.withLock { self.locked = locked } }

    func find(_ id: String) throws -> Data? {
        try lock.withLock {
            if locked { throw Failure("locked") }
            return keys[id]
        }
    }

    func make(_ id: String) throws -> Data {
        try lock.withLock {
            if locked { throw Failure("locked") }
            let key = keys[id] ?? Data((0..<32).map { _ in UInt8.random(in: 0...255) })
            keys[id] = key
            return key
        }
    }

    func destroy(_ id: String) throws { lock.withLock { keys[id] = nil } }
}
