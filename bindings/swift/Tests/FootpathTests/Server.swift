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

    init() throws {
        folder = try temporaryFolder()
        try start()
    }

    deinit {
        stop()
        try? FileManager.default.removeItem(at: folder)
    }

    /// Starts it, at the address where it was before if it was.
    func start() throws {
        guard let program = ProcessInfo.processInfo.environment["FOOTPATH_BIN"] else {
            throw Failure("FOOTPATH_BIN names the server")
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        let listen = url.isEmpty ? "127.0.0.1:0" : String(url.dropFirst("http://".count))
        process.arguments = [
            "serve", "--data", folder.path, "--listen", listen, "--admin-listen", "127.0.0.1:0",
            "--until-stdin-closes",
        ]
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
