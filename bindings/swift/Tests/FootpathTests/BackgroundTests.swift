import Foundation
import XCTest

@testable import Footpath

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Batches that are given away in the background, against the real server. In place of the system's own session, which outlives
/// the process, there is one that does not.
final class BackgroundTests: XCTestCase {
    private func client(
        _ server: Server, _ folder: URL, change: (inout Configuration) -> Void = { _ in }
    ) -> Footpath {
        var configuration = server.configuration(.urlSession, folder: folder)
        configuration.uploads = { _ in .ephemeral }
        configuration.log = { _ in }
        change(&configuration)
        return Footpath(configuration)
    }

    private func uploads(_ folder: URL) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent("uploads").path)) ?? []
    }

    /// Into the background, once it is known what the system still has.
    private func enter(_ footpath: Footpath) async throws -> BackgroundUploads {
        let background = try XCTUnwrap(footpath.host?.background)
        await eventually("ready") { background.isReady && footpath.identity != nil }
        background.enter()
        return background
    }

    func testAllThatWaitsIsGivenAwayAtOnceAndAnswered() async throws {
        let (server, folder) = (try Server(), try temporaryFolder())
        let footpath = client(server, folder) { $0.batchEvents = 10 }
        let background = try await enter(footpath)
        for n in 0..<200 { footpath.track("left", ["n": .int(n)]) }
        let receipt = footpath.trackCritical("order_paid")
        let state = await receipt.delivered(within: .seconds(20))
        XCTAssertEqual(state, .delivered)
        await eventually("all is answered") { footpath.stats.acked == 201 }
        XCTAssertEqual([background.away.events, footpath.stats.duplicates], [0, 0])
        await eventually("no file is left") { self.uploads(folder).isEmpty }
        background.leave()
        footpath.track("back")
        let flushed = await footpath.flush(within: .seconds(20))
        XCTAssertTrue(flushed.complete)
        await footpath.close()
        let stored = try await server.count("footpath_events_stored_total")
        XCTAssertEqual(stored, 202)
    }

    /// Nobody answers: everything is given away all the same, and the little time that the system grants is not waited out.
    func testNothingIsWaitedForInTheBackground() async throws {
        let (server, folder, nobody) = (try Server(), try temporaryFolder(), try InBetween(answer: nil))
        let footpath = client(server, folder) {
            $0.endpoint = nobody.url
            $0.batchEvents = 10
        }
        let background = try await enter(footpath)
        for n in 0..<100 { footpath.track("left", ["n": .int(n)]) }
        let start = ContinuousClock.now
        let client = try XCTUnwrap(footpath.client)
        let result = await background.away.flush(client, within: .seconds(20))
        XCTAssertLessThan(start.duration(to: .now), .seconds(10))
        XCTAssertEqual([result.pending, background.away.events], [100, 100])
        XCTAssertFalse(result.complete)
        XCTAssertGreaterThanOrEqual(uploads(folder).count, 10)
        await footpath.close()

        // The next launch: this system has lost them, so their events are sent by the app.
        let again = self.client(server, folder)
        await eventually("they are sent again") { again.stats.acked == 100 }
        XCTAssertEqual(uploads(folder), [])
        await again.close()
        let stored = try await server.count("footpath_events_stored_total")
        XCTAssertEqual(stored, 100)
    }

    /// The system has sent a file while the app was not running, and tells the app's next life.
    func testAnAnswerInALaterLaunchCounts() async throws {
        let (server, folder, nobody) = (try Server(), try temporaryFolder(), try InBetween(answer: nil))
        let first = client(server, folder) { $0.endpoint = nobody.url }
        let away = try await enter(first).away
        let id = try XCTUnwrap(first.trackCritical("order_paid").id)
        await eventually("it is away") { away.events == 1 }
        await first.close()

        let second = client(server, folder)
        let background = try XCTUnwrap(second.host?.background)
        let name = try XCTUnwrap(uploads(folder).first)
        let file = folder.appendingPathComponent("uploads").appendingPathComponent(name)
        let isPlain = try Data(contentsOf: file).first == 0x0a
        XCTAssertTrue(isPlain, "one event is too small to be compressed")
        let post = Post(server.configuration(.urlSession, folder: nil))
        let request = try XCTUnwrap(post.request("Bearer \(server.key)", encoding: nil))
        let system = URLSession(configuration: .ephemeral, delegate: background, delegateQueue: nil)
        let task = system.uploadTask(with: request, fromFile: file)
        task.taskDescription = "\(name) 1"
        task.resume()
        let state = await second.receipt(for: id).delivered(within: .seconds(20))
        XCTAssertEqual(state, .delivered)
        XCTAssertEqual([second.stats.sends, second.stats.acked, second.stats.duplicates], [0, 1, 0])
        XCTAssertEqual(uploads(folder), [])
        await second.close()
        let stored = try await server.count("footpath_events_stored_total")
        XCTAssertEqual(stored, 1)
    }

    func testConsentIsWithdrawnWhileBatchesAreAway() async throws {
        let (server, folder, nobody) = (try Server(), try temporaryFolder(), try InBetween(answer: nil))
        let footpath = client(server, folder) { $0.endpoint = nobody.url }
        let background = try await enter(footpath)
        footpath.track("left")
        await eventually("it is away") { background.away.events == 1 }
        let left = Set(uploads(folder))
        XCTAssertEqual(left.count, 1)
        footpath.consent(.denied)
        // What was lost is told of, in a batch without events.
        await eventually("the upload is cancelled") {
            left.isDisjoint(with: self.uploads(folder)) && background.away.events == 0
        }
        await eventually("and its events are destroyed") { footpath.stats.pending == 0 && footpath.stats.evicted == 1 }
        await footpath.close()
    }
}
