import Foundation
import XCTest

@testable import Footpath

/// What extensions leave and the app sends, against the real server.
final class OutboxTests: XCTestCase {
    private var base: URL!
    private var outbox: URL { base.appendingPathComponent("outbox") }
    private var own: URL { base.appendingPathComponent("extension") }

    override func setUpWithError() throws { base = try temporaryFolder() }
    override func tearDown() { try? FileManager.default.removeItem(at: base) }

    /// A client as an extension has it.
    private func makeExtension(
        store: (any KeyStore)? = nil, batchEvents: Int? = nil, log: @escaping @Sendable (String) -> Void = { _ in }
    ) -> Footpath {
        var configuration = Configuration(endpoint: "", key: "", queueFolder: own)
        configuration.carrier = .outbox(outbox)
        configuration.batchInterval = .milliseconds(50)
        configuration.batchEvents = batchEvents
        configuration.backoff = .milliseconds(20) ... .milliseconds(200)
        configuration.keyStore = store
        configuration.log = log
        return Footpath(configuration)
    }

    /// A client as the app has it.
    private func app(
        _ server: Server, _ name: String = "app", change: (inout Configuration) -> Void = { _ in }
    ) -> Footpath {
        var configuration = server.configuration(.urlSession, folder: base.appendingPathComponent(name))
        configuration.outboxes = [outbox]
        configuration.backoff = .milliseconds(50) ... .milliseconds(300)
        configuration.log = { _ in }
        change(&configuration)
        return Footpath(configuration)
    }

    private func files(_ end: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: outbox.path)) ?? []
        return names.filter { $0.hasSuffix(end) }.sorted()
    }

    /// Tracks in an extension, leaves it all in files, and ends; the id of a critical event.
    @discardableResult
    private func leave(_ count: Int, batchEvents: Int? = nil, store: (any KeyStore)? = nil) async throws -> String {
        let footpath = makeExtension(store: store, batchEvents: batchEvents)
        for n in 0..<count { footpath.track("shared", ["n": .int(n)]) }
        let receipt = footpath.trackCritical("paid", ["note": "a very secret note"])
        let left = await footpath.flush(within: .seconds(20))
        XCTAssertGreaterThan(left.pending, count)
        await footpath.close()
        return try XCTUnwrap(receipt.id)
    }

    /// The extension's next life hears what became of it all, and sends nothing.
    private func hears(_ id: String, _ acked: Int, store: (any KeyStore)? = nil, line: UInt = #line) async {
        let footpath = makeExtension(store: store)
        let state = await footpath.receipt(for: id).delivered(within: .seconds(20))
        XCTAssertEqual(state, .delivered, line: line)
        await eventually("all is counted", line: line) { footpath.stats.acked == acked }
        XCTAssertEqual([footpath.stats.sends, footpath.stats.pending], [0, 0], line: line)
        XCTAssertEqual(files(".answer") + files(".batch"), [], line: line)
        await footpath.close()
    }

    private func arrived(_ server: Server, _ count: Int, twice: Int = 0, line: UInt = #line) async throws {
        let stored = try await server.count("footpath_events_stored_total")
        let duplicates = try await server.count("footpath_events_duplicate_total")
        XCTAssertEqual([stored, duplicates], [count, twice], line: line)
    }

    func testAKilledExtensionsEventsArriveAndItsNextLifeKnows() async throws {
        let server = try Server()
        let (process, output) = child("extension", own.path, outbox.path, "1200")
        try process.run()
        var lines = Lines(output)
        let id = try XCTUnwrap(lines.next())
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        let left = files(".batch").count
        XCTAssertGreaterThan(left, 1)

        let app = app(server)
        await eventually("the app sends them by itself") { self.files(".answer").count == left }
        XCTAssertEqual(app.stats.sends, 0, "they are not the app's own")
        await app.close()
        try await arrived(server, 1_201)
        await hears(id, 1_201)
        try await arrived(server, 1_201)
    }

    /// A batch that nobody has sent yet stays given away in the extension's next life.
    func testWhatStillLiesThereIsNotSentAgain() async throws {
        let server = try Server()
        let id = try await leave(10)
        let again = makeExtension()
        again.track("later")
        let left = await again.flush(within: .seconds(20))
        XCTAssertEqual([left.pending, again.stats.sends], [12, 1])
        await again.close()
        let app = app(server)
        await eventually("both are answered") { self.files(".answer").count == 2 }
        await app.close()
        await hears(id, 12)
        try await arrived(server, 12)
    }

    func testAnExtensionThatLivesOnReadsItsAnswers() async throws {
        let server = try Server()
        let footpath = makeExtension()
        let receipt = footpath.trackCritical("paid")
        await eventually("it is left") { !self.files(".batch").isEmpty }
        let app = app(server)
        await eventually("it is sent") { self.files(".answer").count == 1 }
        await footpath.drainOutboxes()
        let state = await receipt.delivered(within: .seconds(10))
        XCTAssertEqual(state, .delivered)
        await footpath.close()
        await app.close()
    }

    func testTheAppIsOfflineThenOnline() async throws {
        let server = try Server()
        let id = try await leave(10)
        server.stop()
        let lines = Heard<String>()
        let app = app(server) { $0.log = { lines.hear($0) } }
        await eventually("an attempt fails") { lines.items.contains { $0.contains("has to wait") } }
        await eventually("it lies there as before") { self.files(".batch").count == 1 && self.files(".claim").isEmpty }
        XCTAssertEqual(files(".answer"), [])
        try server.start()
        await eventually("the app tries again by itself") { self.files(".answer").count == 1 }
        await app.close()
        await hears(id, 11)
        try await arrived(server, 11)
    }

    func testTheAppsKeyIsWrongThenRight() async throws {
        let server = try Server()
        let id = try await leave(10)
        let lines = Heard<String>()
        let app = app(server) {
            $0.key = "fp_wrong"
            $0.log = { lines.hear($0) }
        }
        await eventually("it is told") { lines.items.contains { $0.contains("HTTP 401") } }
        XCTAssertEqual(files(".answer"), [])
        app.setKey(server.key)
        await eventually("it is sent") { self.files(".answer").count == 1 }
        await app.close()
        await hears(id, 11)
    }

    func testNothingIsSentWhileTheAppHolds() async throws {
        let server = try Server()
        try await leave(1)
        let app = app(server)
        app.hold()
        await eventually("held") { app.identity != nil && app.stats.paused == .held }
        // One that was begun before.
        let early = files(".answer").count
        try await leave(1)
        let sent = await app.drainOutboxes()
        XCTAssertEqual([sent, files(".answer").count], [0, early])
        app.resume()
        await eventually("all is sent") { self.files(".batch").isEmpty && self.files(".claim").isEmpty }
        await app.close()
    }

    func testDamagedAndForeignFiles() async throws {
        let server = try Server()
        try await leave(10, batchEvents: 5)
        let (lines, names) = (Heard<String>(), files(".batch"))
        XCTAssertGreaterThan(names.count, 1)
        let url = outbox.appendingPathComponent(names[0])
        var bytes = try Data(contentsOf: url)
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: url)
        let others = ["notes.txt", "x.y", ".hidden"]
        for name in others { try Data("mine".utf8).write(to: outbox.appendingPathComponent(name)) }
        let empty = UUID().uuidString.lowercased()
        try Data().write(to: outbox.appendingPathComponent("\(empty).batch"))
        // Whole, but another's.
        try FileManager.default.copyItem(
            at: outbox.appendingPathComponent(names[1]), to: outbox.appendingPathComponent("\(empty)-2.batch"))

        let app = app(server) { $0.log = { lines.hear($0) } }
        await eventually("what is whole is sent") { self.files(".answer").count == names.count - 1 }
        await eventually("the others are gone") { self.files(".batch").isEmpty && self.files(".claim").isEmpty }
        XCTAssertEqual(lines.items.filter { $0.contains("is deleted") }.count, 3, "\(lines.items)")
        XCTAssertEqual(lines.items.filter { $0.contains("left alone") }.count, 2, "\(lines.items)")
        for name in others { XCTAssertEqual(files(name).count, 1) }
        // The answers can be damaged too.
        let answer = files(".answer")[0]
        try Data("nothing".utf8).write(to: outbox.appendingPathComponent(answer))

        let again = makeExtension()
        await eventually("what was lost is left once more") { self.files(".batch").count > 0 && self.files(".answer") == [] }
        await eventually("the rest is sent") {
            await app.drainOutboxes()
            await again.drainOutboxes()
            return again.stats.acked == 11
        }
        await again.close()
        await app.close()
        let stored = try await server.count("footpath_events_stored_total")
        XCTAssertEqual(stored, 11)
    }

    /// The app does not look at what is half written; the extension's next life clears it away.
    func testADraftIsNotABatch() async throws {
        let server = try Server()
        let id = try await leave(1)
        let bytes = try Data(contentsOf: outbox.appendingPathComponent(files(".batch")[0]))
        try bytes.write(to: outbox.appendingPathComponent("\(UUID().uuidString.lowercased()).draft"))
        let app = app(server)
        await eventually("the other one is sent") { self.files(".answer").count == 1 }
        await app.drainOutboxes()
        await app.close()
        XCTAssertEqual(files(".draft").count, 1)
        await hears(id, 2)
        XCTAssertEqual(files(".draft"), [])
    }

    func testSealedWithAKeyThatBothHave() async throws {
        let server = try Server()
        let store = MemoryStore()
        let id = try await leave(10, store: store)
        for name in files(".batch") {
            let data = try Data(contentsOf: outbox.appendingPathComponent(name))
            XCTAssertNil(data.range(of: Data(name.dropLast(6).utf8)), "not even its id can be read")
        }
        // As on a locked device: it is tried again.
        store.lock(true)
        let lines = Heard<String>()
        let app = app(server) {
            $0.keyStore = store
            $0.log = { lines.hear($0) }
        }
        try await Task.sleep(for: .milliseconds(500))
        XCTAssertEqual(files(".batch").count + files(".claim").count, 1)
        store.lock(false)
        await eventually("it is sent", within: 40) { self.files(".answer").count == 1 }
        await app.close()
        await hears(id, 11, store: store)
    }

    func testSealedWithAKeyThatTheAppDoesNotHave() async throws {
        let server = try Server()
        try await leave(1, store: MemoryStore())
        let lines = Heard<String>()
        let app = app(server) {
            $0.keyStore = MemoryStore()
            $0.log = { lines.hear($0) }
        }
        await eventually("it is deleted") {
            lines.items.contains { $0.contains("is deleted") } && self.files(".batch").isEmpty && self.files(".claim").isEmpty
        }
        await app.close()
        try await arrived(server, 0)
    }

    /// The answer of the server itself that it will never take the batch is the extension's, which has the events still; what
    /// something in between says is not.
    func testAnswersThatAreNoAcknowledgement() async throws {
        for (status, isFinal) in [("400 Bad Request", true), ("503 Service Unavailable", false), ("302 Found", false)] {
            try await leave(1)
            let words = #"{"code":3,"domain":"footpath","message":"no","reason":"malformed"}"#
            let between = try InBetween(
                answer: "HTTP/1.1 \(status)\r\ncontent-type: application/json\r\nlocation: http://127.0.0.1:9/\r\n", body: words)
            var configuration = Configuration(
                endpoint: between.url, key: "k", queueFolder: base.appendingPathComponent("app"))
            configuration.carrier = .urlSession
            configuration.outboxes = [outbox]
            let lines = Heard<String>()
            configuration.log = { lines.hear($0) }
            let app = Footpath(configuration)
            if isFinal {
                await eventually("it is answered") { self.files(".answer").count == 1 }
                let footpath = makeExtension()
                await eventually("its events are left again, one by one") { self.files(".batch").count == 2 }
                XCTAssertEqual(footpath.stats.pending, 2)
                XCTAssertEqual([footpath.stats.acked, footpath.stats.rejected], [0, 0])
                await footpath.close()
            } else {
                await eventually("it is told") { lines.items.contains { $0.contains("HTTP \(status.prefix(3))") } }
                XCTAssertEqual(files(".answer"), [], status)
            }
            await app.close()
            try FileManager.default.removeItem(at: base)
        }
    }

    func testTwoDrainsAtOnceSendAFileOnce() async throws {
        let server = try Server()
        let id = try await leave(400, batchEvents: 10)
        let left = files(".batch").count
        XCTAssertGreaterThanOrEqual(left, 40)
        let apps = (0..<3).map { app(server, "app\($0)") }
        await eventually("all is sent") { self.files(".answer").count == left }
        for app in apps { await app.close() }
        try await arrived(server, 401)
        await hears(id, 401)
    }

    func testADrainIsBounded() async throws {
        let server = try Server()
        let app = app(server)
        app.hold()
        await eventually("held") { app.identity != nil && app.stats.paused == .held }
        let id = try await leave(600, batchEvents: 10)
        let left = files(".batch").count
        XCTAssertGreaterThan(left, 50)
        app.resume()
        var sent = 0
        await eventually("some are sent") {
            sent = await app.drainOutboxes()
            return sent > 0
        }
        XCTAssertLessThanOrEqual(sent, 32)
        await eventually("the rest goes by itself") { self.files(".answer").count == left }
        await app.close()
        await hears(id, 601)
    }

    func testAClaimOfAKilledAppIsTakenUp() async throws {
        let server = try Server()
        let id = try await leave(10)
        let nobody = try InBetween(answer: nil)
        let (process, _) = child("app", base.appendingPathComponent("app").path, outbox.path, nobody.url)
        try process.run()
        await eventually("it is being sent") { self.files(".claim").count == 1 }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        XCTAssertEqual(files(".claim").count, 1)
        let app = app(server)
        let early = await app.drainOutboxes()
        XCTAssertEqual([early, files(".claim").count], [0, 1], "somebody may still be sending it")
        await eventually("it is sent once its time is over") { self.files(".answer").count == 1 }
        await app.close()
        await hears(id, 11)
        try await arrived(server, 11)
    }

    func testAClaimOfAnotherTimeIsTakenUpAtOnce() async throws {
        let server = try Server()
        try await leave(1)
        let name = files(".batch")[0]
        let claim = name.replacingOccurrences(of: ".batch", with: ".99999999999.claim")
        try FileManager.default.moveItem(at: outbox.appendingPathComponent(name), to: outbox.appendingPathComponent(claim))
        let app = app(server)
        await eventually("it is sent", within: 5) { self.files(".answer").count == 1 && self.files(".claim").isEmpty }
        await app.close()
    }

    /// As after an app that was killed between the two.
    func testWhatIsAnsweredAlreadyIsNotSent() async throws {
        let server = try Server()
        let id = try await leave(10)
        let batch = outbox.appendingPathComponent(files(".batch")[0])
        let bytes = try Data(contentsOf: batch)
        let app = app(server)
        await eventually("it is answered") { self.files(".answer").count == 1 && self.files(".claim").isEmpty }
        try bytes.write(to: batch)
        await app.drainOutboxes()
        await eventually("it is gone") { self.files(".batch") == [] }
        await app.close()
        try await arrived(server, 11)
        await hears(id, 11)
    }

    func testConsentThatIsWithdrawnInTheAppHoldsForItsExtensions() async throws {
        let server = try Server()
        let app = app(server)
        app.hold()
        await eventually("held") { app.identity != nil && app.stats.paused == .held }
        try await leave(10)
        app.consent(.denied)
        app.resume()
        await eventually("what was left is deleted") { self.files(".batch").isEmpty && self.files(".claim").isEmpty }
        let footpath = makeExtension()
        await eventually("the extension's own is destroyed") { footpath.stats.evicted == 11 }
        footpath.track("not_taken")
        XCTAssertEqual([footpath.stats.notWanted, footpath.stats.pending], [1, 0])
        await footpath.close()
        await app.close()

        // Nobody has to say it again in the app's next life.
        try await arrived(server, 0)
        let later = self.app(server)
        await eventually("open") { later.identity != nil }
        later.consent(.granted)
        await eventually("noted") { Outbox(folder: self.outbox).consent == .granted }
        let id = try await leave(3)
        await eventually("it is sent") {
            await later.drainOutboxes()
            return self.files(".batch").isEmpty && self.files(".claim").isEmpty
        }
        await later.close()
        await hears(id, 4)
        try await arrived(server, 4)
    }

    func testNothingIsSentBeforeThePersonWasAsked() async throws {
        let server = try Server()
        try await leave(1)
        let app = app(server) { $0.firstConsent = .pending }
        await eventually("open") { app.stats.paused == .consentPending }
        let sent = await app.drainOutboxes()
        XCTAssertEqual([sent, files(".batch").count], [0, 1])
        app.consent(.granted)
        await eventually("it is sent") { self.files(".answer").count == 1 }
        await app.close()
    }

    func testADenialThatHoldsFromTheStart() async throws {
        let server = try Server()
        try await leave(1)
        let app = app(server) { $0.firstConsent = .denied }
        await eventually("it is deleted") { self.files(".batch").isEmpty && self.files(".claim").isEmpty }
        await app.close()
        XCTAssertEqual(files(".answer"), [])
        try await arrived(server, 0)
    }

    /// What goes along with events is handed out until it is answered; one file of it is enough.
    func testWhatWasDestroyedIsToldInOneFile() async throws {
        let footpath = makeExtension()
        await eventually("open") { footpath.identity != nil }
        footpath.hold()
        for n in 0..<5 { footpath.track("shared", ["n": .int(n)]) }
        footpath.consent(.denied)
        footpath.resume()
        await eventually("it is told") { self.files(".batch").count == 1 }
        try await Task.sleep(for: .milliseconds(500))
        XCTAssertEqual(files(".batch").count, 1)
        await footpath.close()
    }

    /// More than may be given away at a time waits in the extension's queue.
    func testAFullOutbox() async throws {
        let footpath = makeExtension(batchEvents: 1)
        for n in 0..<100 { footpath.track("shared", ["n": .int(n)]) }
        await eventually("it is full") { footpath.stats.lastError == "the outbox is full" }
        XCTAssertEqual(files(".batch").count, 64)
        XCTAssertEqual(footpath.stats.pending, 100)
        await footpath.close()
        await eventually("nothing half is left") { self.files(".draft").isEmpty }
    }

    // MARK: Parts

    func testNames() {
        let id = UUID().uuidString.lowercased()
        let files: [Outbox.File] = [
            .init(id, .batch), .init(id, .draft), .init(id, .answer), .init(id, .reply), .init(id, .claim, until: 17),
        ]
        for file in files { XCTAssertEqual(Outbox.File(name: file.name), file) }
        for name in [
            "", ".", "..", ".batch", "x.batch", "\(id)", "\(id).batch.batch", "\(id).claim", "\(id).x.claim", "\(id).017.claim",
            "\(id).99999999999999999999.claim", "a/b.batch", "\(id).17.batch", String(repeating: "a", count: 65) + ".batch",
        ] { XCTAssertNil(Outbox.File(name: name), name) }
    }

    func testParcels() {
        let answer = Answer(status: 200, contentType: "application/x-protobuf", retryAfter: nil, body: Data([1, 2, 3]))
        let parcels: [Parcel] = [
            .batch(id: "a-1", events: 7, encoding: "zstd", body: Data([0, 255])),
            .batch(id: "a-2", events: 0, encoding: nil, body: Data()), .answer(id: "a-3", answer),
        ]
        for parcel in parcels {
            let bytes = parcel.bytes
            XCTAssertEqual(Parcel(bytes), parcel)
            for end in 0..<bytes.count { XCTAssertNil(Parcel(bytes.prefix(end)), "\(parcel) \(end)") }
            XCTAssertNil(Parcel(bytes + [0]))
            XCTAssertNil(Parcel([2] + bytes.dropFirst()), "of another version")
        }
        XCTAssertNil(Parcel(Data([1, UInt8(ascii: "b"), 255, 255, 255, 255])))
    }
}
