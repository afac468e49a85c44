import Footpath
import Foundation
import XCTest

/// Without a server.
final class ClientTests: XCTestCase {
    func testInMemoryForTests() async throws {
        let footpath = Footpath(.test())
        footpath.track("checkout_started", ["items": 3])
        let receipt = footpath.trackCritical("order_paid")
        let state = await receipt.delivered(within: .seconds(10))
        XCTAssertEqual(state, .delivered)
        XCTAssertEqual(footpath.recorded.map(\.name), ["checkout_started", "order_paid"])
        XCTAssertEqual(footpath.recorded[0].properties["items"], 3)
        let flushed = await footpath.flush(within: .seconds(10))
        XCTAssertTrue(flushed.complete)
        XCTAssertEqual(footpath.stats.acked, 2)
        await footpath.close()
    }

    func testAHookChangesAndLeavesOut() async throws {
        var configuration = Configuration.test()
        configuration.beforeSend = { event in
            if event.name == "secret" { return nil }
            var event = event
            event.properties["email"] = nil
            return event
        }
        let footpath = Footpath(configuration)
        footpath.track("secret")
        footpath.track("signed_up", ["email": "a@example.com", "plan": "pro"])
        let receipt = footpath.trackCritical("secret")
        let state = await receipt.queued(within: .seconds(1))
        XCTAssertEqual(state, .rejected("left out by beforeSend"))
        XCTAssertEqual(footpath.recorded.map(\.properties.keys), [["plan"]])
        XCTAssertEqual(footpath.stats.notWanted, 2)
        XCTAssertEqual(footpath.stats.tracked, 1)
        await footpath.close()
    }

    func testWhatIsNotValidIsCountedAndLoggedOnce() async throws {
        let lines = Heard<String>()
        var configuration = Configuration.test()
        configuration.strict = false
        configuration.log = { lines.hear($0) }
        let footpath = Footpath(configuration)
        footpath.track("")
        footpath.track("$reserved")
        footpath.track("priced", ["amount": .money("12,50", "EUR")])
        footpath.track("measured", ["value": .double(.nan)])
        let receipt = footpath.trackCritical("")
        footpath.track("large", ["text": .string(String(repeating: "x", count: 40_000))])
        XCTAssertEqual(footpath.stats.invalid, 5)
        XCTAssertEqual(footpath.stats.tooLarge, 1)
        XCTAssertEqual(footpath.stats.tracked, 0)
        XCTAssertEqual(lines.items.count, 2, "\(lines.items)")
        XCTAssertTrue(lines.items[0].contains("1 to 255 bytes"), lines.items[0])
        let state = await receipt.queued(within: .seconds(1))
        XCTAssertEqual(state, .rejected("a name has 1 to 255 bytes"))
        XCTAssertNil(receipt.id)
        XCTAssertEqual(footpath.recorded, [])
        await footpath.close()
        footpath.track("late")
        footpath.track("later")
        XCTAssertEqual(footpath.stats.closed, 2)
        XCTAssertEqual(lines.items.count, 3)
    }

    func testStrictModeEndsTheProcess() throws {
        let (process, output) = child("strict")
        try process.run()
        process.waitUntilExit()
        XCTAssertEqual(process.terminationReason, .uncaughtSignal)
        XCTAssertEqual(output.fileHandleForReading.readDataToEndOfFile(), Data())
    }

    func testAWrongSettingIsToldAndTheClientTakesNothing() async throws {
        let lines = Heard<String>()
        var configuration = Configuration(endpoint: "http://127.0.0.1:9", key: "k", project: "")
        configuration.log = { lines.hear($0) }
        let footpath = Footpath(configuration)
        footpath.track("lost")
        footpath.reset()
        footpath.hold()
        let receipt = footpath.trackCritical("lost")
        let state = await receipt.delivered(within: .seconds(1))
        guard case .rejected? = state else { return XCTFail("\(String(describing: state))") }
        XCTAssertEqual(footpath.stats.closed, 3)
        let flushed = await footpath.flush(within: .seconds(1))
        XCTAssertFalse(flushed.complete)
        await footpath.close()
        var heard: [Problem] = []
        for await problem in footpath.problems { heard.append(problem) }
        guard case .misconfigured? = heard.first, heard.count == 1 else { return XCTFail("\(heard)") }
        XCTAssertEqual(lines.items.count, 2)
    }

    /// More than fits, and no storage: refused, counted, and the process goes on.
    func testAFullQueueRefuses() async throws {
        let lines = Heard<String>()
        let blocked = try temporaryFolder().appendingPathComponent("file")
        try Data().write(to: blocked)
        var configuration = Configuration(endpoint: "http://127.0.0.1:9", key: "k", queueFolder: blocked)
        configuration.log = { lines.hear($0) }
        let footpath = Footpath(configuration)
        let text = Value.string(String(repeating: "x", count: 1_000))
        for _ in 0..<2_000 { footpath.track("tracked", ["text": text]) }
        let stats = footpath.stats
        XCTAssertGreaterThan(stats.refusedFull, 0)
        XCTAssertEqual(stats.tracked + stats.refusedFull, 2_000)
        XCTAssertEqual(lines.items.count, 1)
        var problems = footpath.problems.makeAsyncIterator()
        let problem = await problems.next()
        guard case .storage? = problem else { return XCTFail("\(String(describing: problem))") }
    }

    func testAKeyStoreSealsTheQueue() async throws {
        let folder = try temporaryFolder()
        let store = MemoryStore()
        var configuration = Configuration(endpoint: "http://127.0.0.1:9", key: "k", queueFolder: folder)
        configuration.keyStore = store
        let footpath = Footpath(configuration)
        footpath.hold()
        let receipt = footpath.trackCritical("order_paid", ["note": "a very secret note"])
        let state = await receipt.queued(within: .seconds(20))
        XCTAssertEqual(state, .queued)
        await footpath.close()
        XCTAssertFalse(store.isEmpty)
        let main = folder.appendingPathComponent("default/main")
        for name in try FileManager.default.contentsOfDirectory(atPath: main.path) where name.hasPrefix("queue") {
            let data = try Data(contentsOf: main.appendingPathComponent(name))
            XCTAssertNil(data.range(of: Data("very secret".utf8)), name)
        }
        let again = Footpath(configuration)
        again.hold()
        await eventually("it is still there") { again.stats.pending == 1 }
        await again.close()
    }
}

/// By `URLSession`: what stands between and answers for the server, or does not answer at all, costs no event.
final class InBetweenTests: XCTestCase {
    private func tries(_ answer: String?, timeout: Duration = .seconds(10)) async throws -> Stats {
        let between = try InBetween(answer: answer)
        var configuration = Configuration(
            endpoint: between.url, key: "k", queueFolder: try temporaryFolder())
        configuration.carrier = .urlSession
        configuration.batchInterval = .milliseconds(10)
        configuration.requestTimeout = timeout
        let footpath = Footpath(configuration)
        footpath.trackCritical("order_paid")
        await eventually("it is tried again") { footpath.stats.resends > 0 }
        let stats = footpath.stats
        XCTAssertEqual([stats.acked, stats.rejected, stats.pending], [0, 0, 1], "\(stats)")
        XCTAssertNil(stats.paused)
        await footpath.close()
        return stats
    }

    func testAPortalThatRedirects() async throws {
        let stats = try await tries("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/login\r\n")
        XCTAssertEqual(stats.lastError, "HTTP 302, not by the server")
    }

    func testAPortalThatAnswers() async throws {
        for status in ["200 OK", "401 Unauthorized", "404 Not Found"] {
            let stats = try await tries("HTTP/1.1 \(status)\r\ncontent-type: text/html\r\n")
            XCTAssertTrue(stats.lastError?.hasPrefix("HTTP \(status.prefix(3))") ?? false, "\(status) \(stats)")
        }
    }

    func testAServerThatNeverAnswers() async throws {
        let stats = try await tries(nil, timeout: .milliseconds(500))
        XCTAssertNotNil(stats.lastError)
    }
}
