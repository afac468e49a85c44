// A process for the tests to kill.
//
// FootpathChild track FOLDER N PORT    tracks N events and a critical one, says so, and waits for its end
// FootpathChild extension FOLDER OUTBOX N    leaves N events and a critical one for an app, says so, and waits for its end
// FootpathChild app FOLDER OUTBOX URL        sends what an extension left
// FootpathChild strict                 makes a mistake in strict mode
import Footpath
import Foundation

func say(_ line: String) { FileHandle.standardOutput.write(Data("\(line)\n".utf8)) }

let arguments = CommandLine.arguments
switch arguments.dropFirst().first {
case "track":
    let footpath = Footpath(
        Configuration(
            endpoint: "http://127.0.0.1:\(arguments[4])", key: "none",
            queueFolder: URL(fileURLWithPath: arguments[2])))
    footpath.hold()
    // Until the storage is open, events are in this process only.
    while footpath.identity == nil { usleep(1_000) }
    let receipt = footpath.trackCritical("first_paid", ["amount": .money("1", "EUR")])
    guard case .queued? = await receipt.queued(within: .seconds(20)), let id = receipt.id else { exit(3) }
    let count = Int(arguments[3])!
    for n in 0..<count { footpath.track("tracked", ["n": .int(n)]) }
    say("\(id) \(footpath.stats.tracked)")
    while true { sleep(60) }
case "extension":
    var configuration = Configuration(endpoint: "", key: "", queueFolder: URL(fileURLWithPath: arguments[2]))
    configuration.carrier = .outbox(URL(fileURLWithPath: arguments[3]))
    let footpath = Footpath(configuration)
    for n in 0..<Int(arguments[4])! { footpath.track("tracked", ["n": .int(n)]) }
    let receipt = footpath.trackCritical("first_paid", ["amount": .money("1", "EUR")])
    await footpath.flush(within: .seconds(20))
    say(receipt.id ?? "")
    while true { sleep(60) }
case "app":
    var configuration = Configuration(
        endpoint: arguments[4], key: "none", queueFolder: URL(fileURLWithPath: arguments[2]))
    configuration.outboxes = [URL(fileURLWithPath: arguments[3])]
    configuration.requestTimeout = .milliseconds(1_500)
    let footpath = Footpath(configuration)
    while true { sleep(60) }
    withExtendedLifetime(footpath) {}
case "strict":
    let footpath = Footpath(Configuration.test())
    footpath.track("")
    say("went on")
default:
    exit(2)
}
