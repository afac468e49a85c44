import Footpath
import Foundation
import XCTest

/// Against the real server, by both carriers.
final class ServerTests: XCTestCase {
    private let carriers: [Carrier] = [.grpc, .urlSession]

    func testEverythingArrivesOnce() async throws {
        for carrier in carriers {
            let server = try Server()
            let footpath = Footpath(server.configuration(carrier, folder: try temporaryFolder()))
            for n in 0..<3_000 {
                footpath.track("checkout_started", ["amount": .money("12.50", "EUR"), "items": .int(n)])
            }
            footpath.track("hovered", delivery: .lossy)
            footpath.screen("basket")
            footpath.group("company", "acme", ["plan": "pro"])
            footpath.update(Changes(add: ["visits": 1]))
            let receipt = footpath.trackCritical("order_paid", ["amount": .money("12.50", "EUR")])
            let state = await receipt.delivered(within: .seconds(20))
            XCTAssertEqual(state, .delivered)
            let flushed = await footpath.flush(within: .seconds(30))
            XCTAssertTrue(flushed.complete, "\(carrier) \(flushed)")
            let stats = footpath.stats
            XCTAssertEqual(stats.tracked, 3_005)
            XCTAssertEqual(stats.acked, stats.tracked, "\(carrier) \(stats)")
            XCTAssertEqual([stats.duplicates, stats.rejected, stats.pending, stats.invalid], [0, 0, 0, 0])
            let unsaved = await footpath.close()
            XCTAssertNil(unsaved)
            let (stored, twice) = (
                try await server.count("footpath_events_stored_total"),
                try await server.count("footpath_events_duplicate_total")
            )
            XCTAssertEqual([stored, twice], [3_005, 0], "\(carrier)")
        }
    }

    func testAnAuthorityOfYourOwn() async throws {
        let server = try Server(tls: true)
        var configuration = server.configuration(.grpc, folder: try temporaryFolder())
        let wary = Footpath(configuration)
        wary.track("secret")
        await eventually("an attempt fails") { wary.stats.lastError?.contains("certificate") == true }
        XCTAssertEqual(wary.stats.acked, 0)
        await wary.close()
        configuration.caCertificate = try Server.authority()
        let footpath = Footpath(configuration)
        let flushed = await footpath.flush(within: .seconds(20))
        XCTAssertTrue(flushed.complete, "\(flushed) \(footpath.stats)")
        XCTAssertEqual(footpath.stats.acked, 1)
        await footpath.close()
    }

    func testOfflineThenOnline() async throws {
        for carrier in carriers {
            let server = try Server()
            server.stop()
            let footpath = Footpath(server.configuration(carrier, folder: try temporaryFolder()))
            await eventually("open") { footpath.identity != nil }
            for n in 0..<500 { footpath.track("read", ["n": .int(n)]) }
            await eventually("an attempt fails") { footpath.stats.lastError != nil && footpath.stats.sends > 0 }
            XCTAssertEqual(footpath.stats.acked, 0)
            XCTAssertEqual(footpath.stats.pending, 500)
            try server.start()
            footpath.resume()
            let flushed = await footpath.flush(within: .seconds(40))
            XCTAssertTrue(flushed.complete, "\(carrier) \(flushed) \(footpath.stats)")
            XCTAssertEqual(footpath.stats.acked, 500)
            XCTAssertEqual(footpath.stats.duplicates, 0)
            await footpath.close()
        }
    }

    func testBatchesAreAsLargeAsSaid() async throws {
        var configuration = Configuration.test()
        configuration.batchBytes = 8 * 1024
        let footpath = Footpath(configuration)
        let text = Value.string(String(repeating: "x", count: 1_000))
        for _ in 0..<100 { footpath.track("read", ["text": text]) }
        let flushed = await footpath.flush(within: .seconds(20))
        XCTAssertTrue(flushed.complete)
        XCTAssertGreaterThan(footpath.stats.sends, 10)
        await footpath.close()
    }

    /// The library's own attempts end in time too, and the waits between them are as said.
    func testTimesOfAttempts() async throws {
        let nobody = try InBetween(answer: nil)
        var configuration = Configuration(endpoint: nobody.url, key: "k", queueFolder: try temporaryFolder())
        configuration.carrier = .grpc
        configuration.requestTimeout = .milliseconds(300)
        configuration.backoff = .milliseconds(10) ... .milliseconds(20)
        let footpath = Footpath(configuration)
        footpath.trackCritical("order_paid")
        await eventually("it is tried again and again", within: 15) { footpath.stats.resends > 15 }
        await footpath.close()
    }

    /// Nobody asks for a flush: the library's thread is woken for them all the same.
    func testWhatCameBeforeTheStorageWasOpenIsSentByItself() async throws {
        let server = try Server()
        for carrier in carriers {
            let footpath = Footpath(server.configuration(carrier, folder: try temporaryFolder()))
            footpath.track("early")
            await eventually("it is sent", within: 10) { footpath.stats.acked == 1 }
            await footpath.close()
        }
    }

    func testTheServerStopsInBetween() async throws {
        for carrier in carriers {
            let server = try Server()
            let footpath = Footpath(server.configuration(carrier, folder: try temporaryFolder()))
            footpath.track("before")
            var flushed = await footpath.flush(within: .seconds(20))
            XCTAssertTrue(flushed.complete, "\(carrier) \(flushed)")
            server.stop()
            footpath.track("between")
            try await Task.sleep(for: .milliseconds(500))
            try server.start()
            footpath.resume()
            footpath.track("after")
            flushed = await footpath.flush(within: .seconds(40))
            XCTAssertTrue(flushed.complete, "\(carrier) \(flushed) \(footpath.stats)")
            XCTAssertEqual(footpath.stats.acked, 3)
            await footpath.close()
        }
    }

    func testAWrongKeyIsToldOnceAndTheRightOneGoesOn() async throws {
        for carrier in carriers {
            let server = try Server()
            var configuration = server.configuration(carrier, folder: try temporaryFolder())
            configuration.key = "fp_wrong"
            let footpath = Footpath(configuration)
            let heard = Heard<Problem>()
            let watcher = Task { for await problem in footpath.problems { heard.hear(problem) } }
            await eventually("open") { footpath.identity != nil }
            footpath.track("first")
            await eventually("a problem") { !heard.items.isEmpty }
            for _ in 0..<10 { footpath.track("more") }
            await footpath.flush(within: .seconds(1))
            guard case .paused(.unauthenticated)? = heard.items.first else {
                return XCTFail("\(carrier) \(heard.items)")
            }
            XCTAssertEqual(heard.items.count, 1, "\(heard.items)")
            guard case .unauthenticated? = footpath.stats.paused else { return XCTFail("\(footpath.stats)") }
            footpath.setKey(server.key)
            let flushed = await footpath.flush(within: .seconds(20))
            XCTAssertTrue(flushed.complete, "\(carrier) \(flushed)")
            XCTAssertEqual(footpath.stats.acked, 11)
            XCTAssertNil(footpath.stats.paused)
            XCTAssertEqual(heard.items.count, 1)
            await footpath.close()
            await watcher.value
        }
    }

    func testIdentifyResetAndConsent() async throws {
        let server = try Server()
        let folder = try temporaryFolder()
        var configuration = server.configuration(.grpc, folder: folder)
        configuration.firstConsent = .pending
        let footpath = Footpath(configuration)
        footpath.track("before_consent")
        await eventually("open") { footpath.identity != nil }
        let anonymous = footpath.identity?.anonymousID
        XCTAssertNil(footpath.identity?.userID)
        let waiting = await footpath.flush(within: .seconds(1))
        XCTAssertEqual(waiting.paused, .consentPending)
        XCTAssertEqual(footpath.stats.acked, 0)

        footpath.consent(.granted)
        footpath.register("plan", "free")
        footpath.identify("ada", ["name": "Ada"])
        footpath.alias("ada@example.com")
        XCTAssertEqual(footpath.identity?.anonymousID, anonymous)
        XCTAssertEqual(footpath.identity?.userID, "ada")
        footpath.unregister("plan")
        footpath.endSession()
        footpath.track("after_login")
        let flushed = await footpath.flush(within: .seconds(20))
        XCTAssertTrue(flushed.complete, "\(flushed)")
        // The event, the login, the other name, the event before.
        let stored = try await server.count("footpath_events_stored_total")
        XCTAssertEqual(stored, 4)

        footpath.reset()
        XCTAssertNil(footpath.identity?.userID)
        XCTAssertNotEqual(footpath.identity?.anonymousID, anonymous)
        footpath.identify("null")
        XCTAssertEqual(footpath.stats.invalid, 1)

        footpath.hold()
        footpath.track("never_sent")
        footpath.consent(.denied)
        XCTAssertEqual(footpath.identity?.consent, .denied)
        footpath.track("not_taken")
        XCTAssertEqual(footpath.stats.notWanted, 1)
        footpath.deleteMyData()
        footpath.accessMyData()
        footpath.resume()
        await eventually("what waited is gone") { footpath.stats.evicted == 1 && footpath.stats.pending == 0 }
        footpath.consent(.granted)
        footpath.track("again")
        let last = await footpath.flush(within: .seconds(20))
        XCTAssertTrue(last.complete)
        let storedThen = try await server.count("footpath_events_stored_total")
        XCTAssertEqual(storedThen, 5)
        await footpath.close()
    }

    func testAReceiptIsFollowedAcrossARestart() async throws {
        let server = try Server()
        let folder = try temporaryFolder()
        for carrier in carriers {
            let first = Footpath(server.configuration(carrier, folder: folder))
            first.hold()
            let receipt = first.trackCritical("order_paid", ["amount": .money("99.90", "CHF")])
            let queued = await receipt.queued(within: .seconds(20))
            XCTAssertEqual(queued, .queued)
            let early = await receipt.delivered(within: .milliseconds(300))
            XCTAssertEqual(early, .queued)
            await first.close()
            let ended = await receipt.delivered(within: .seconds(60))
            XCTAssertNil(ended)

            let second = Footpath(server.configuration(carrier, folder: folder))
            let id = try XCTUnwrap(receipt.id)
            let delivered = await second.receipt(for: id).delivered(within: .seconds(20))
            XCTAssertEqual(delivered, .delivered, "\(carrier)")
            await second.close()
        }
    }

    func testAWaitIsGivenUp() async throws {
        var configuration = Configuration(endpoint: "http://127.0.0.1:9", key: "k", queueFolder: try temporaryFolder())
        configuration.carrier = .grpc
        let footpath = Footpath(configuration)
        footpath.hold()
        let receipt = footpath.trackCritical("order_paid")
        let waits = Task { await receipt.delivered(within: .seconds(600)) }
        let flushes = Task { await footpath.flush(within: .seconds(600)) }
        try await Task.sleep(for: .milliseconds(300))
        let start = ContinuousClock.now
        waits.cancel()
        flushes.cancel()
        let state = await waits.value
        XCTAssertNil(state)
        _ = await flushes.value
        XCTAssertLessThan(start.duration(to: .now), .seconds(1))
        let unknown = await footpath.receipt(for: "no id").queued(within: .seconds(5))
        XCTAssertNil(unknown)
        // Cancelled before it begins.
        let never = Task { () -> ReceiptState? in
            withUnsafeCurrentTask { $0?.cancel() }
            return await receipt.delivered(within: .seconds(600))
        }
        let nothing = await never.value
        XCTAssertNil(nothing)
        await footpath.close()
    }

    func testNothingIsLostWhenTheProcessIsKilled() async throws {
        let server = try Server()
        for (carrier, count) in [(Carrier.grpc, 5_000), (.urlSession, 20_000)] {
            let folder = try temporaryFolder()
            let (process, output) = child("track", folder.path, "\(count)", "9")
            try process.run()
            var lines = Lines(output)
            let line = try XCTUnwrap(lines.next())
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            let words = line.split(separator: " ").map(String.init)
            XCTAssertEqual(Int(words[1]), count + 1)

            let before = try await server.count("footpath_events_stored_total")
            let footpath = Footpath(server.configuration(carrier, folder: folder))
            let receipt = await footpath.receipt(for: words[0]).delivered(within: .seconds(30))
            XCTAssertEqual(receipt, .delivered)
            let flushed = await footpath.flush(within: .seconds(60))
            XCTAssertTrue(flushed.complete, "\(carrier) \(flushed)")
            XCTAssertEqual(footpath.stats.acked, count + 1)
            XCTAssertEqual(footpath.stats.duplicates, 0)
            let after = try await server.count("footpath_events_stored_total")
            XCTAssertEqual(after - before, count + 1, "\(carrier)")
            await footpath.close()
        }
    }

    func testABackendNamesAPersonWithEachCall() async throws {
        let server = try Server()
        var configuration = server.configuration(.grpc, folder: try temporaryFolder())
        configuration.backend = true
        configuration.log = { _ in }
        let footpath = Footpath(configuration)
        for n in 0..<100 { footpath.track("invoice_sent", ["n": .int(n)], for: .user("user-\(n % 7)")) }
        footpath.track("seen", for: .anonymous("device-1"))
        footpath.link(anonymousID: "device-1", userID: "user-1")
        let receipt = footpath.trackCritical("paid", for: .user("user-1"))
        let state = await receipt.delivered(within: .seconds(20))
        XCTAssertEqual(state, .delivered)
        let flushed = await footpath.flush(within: .seconds(20))
        XCTAssertTrue(flushed.complete)
        XCTAssertNil(footpath.identity)
        footpath.track("nobody")
        footpath.reset()
        XCTAssertEqual(footpath.stats.invalid, 2)
        let stored = try await server.count("footpath_events_stored_total")
        XCTAssertEqual(stored, 103)
        await footpath.close()
    }

    func testSeveralClientsInAProcess() async throws {
        let server = try Server()
        let base = try temporaryFolder()
        let clients = carriers.map { carrier in
            Footpath(server.configuration(carrier, folder: base.appendingPathComponent("\(carrier)")))
        }
        await withTaskGroup(of: Void.self) { group in
            for footpath in clients {
                for task in 0..<4 {
                    group.addTask {
                        for n in 0..<250 { footpath.track("tracked", ["task": .int(task), "n": .int(n)]) }
                    }
                }
            }
        }
        for footpath in clients {
            let flushed = await footpath.flush(within: .seconds(20))
            XCTAssertTrue(flushed.complete)
            XCTAssertEqual(footpath.stats.acked, 1_000)
            await footpath.close()
        }
        let stored = try await server.count("footpath_events_stored_total")
        XCTAssertEqual(stored, 2_000)
    }

    /// What was taken is taken, also while the client ends.
    func testClosedInTheMidstOfCalls() async throws {
        let server = try Server()
        for carrier in carriers {
            var configuration = server.configuration(carrier, folder: try temporaryFolder())
            configuration.log = { _ in }
            let footpath = Footpath(configuration)
            let threads = DispatchGroup()
            for _ in 0..<4 {
                threads.enter()
                Thread.detachNewThread {
                    while footpath.stats.closed == 0 { footpath.track("tracked", ["n": 1]) }
                    threads.leave()
                }
            }
            try await Task.sleep(for: .milliseconds(100))
            await footpath.close()
            await withCheckedContinuation { threads.notify(queue: .global(), execute: $0.resume) }
            let taken = footpath.stats.tracked
            let before = footpath.stats.acked
            let again = Footpath(configuration)
            let flushed = await again.flush(within: .seconds(60))
            XCTAssertTrue(flushed.complete)
            // A batch that was out when it closed is acknowledged the second time only, as duplicates.
            XCTAssertEqual(before + again.stats.acked, taken, "\(carrier)")
            await again.close()
        }
    }

    /// A client that is dropped without `close` ends as well, and its thread with it.
    func testADroppedClientSavesAndEnds() async throws {
        let server = try Server()
        for carrier in carriers {
            let folder = try temporaryFolder()
            do {
                let footpath = Footpath(server.configuration(carrier, folder: folder))
                footpath.hold()
                for _ in 0..<10 { footpath.track("dropped") }
            }
            let lock = folder.appendingPathComponent("default/main/lock").path
            await eventually("the folder is free") {
                let file = open(lock, O_RDWR)
                guard file >= 0 else { return false }
                defer { close(file) }
                return flock(file, LOCK_EX | LOCK_NB) == 0
            }
            let footpath = Footpath(server.configuration(carrier, folder: folder))
            await eventually("they are sent") { footpath.stats.acked == 10 }
            await footpath.close()
        }
    }
}
