// A process for the tests to kill.
//
// FootpathChild track FOLDER N PORT    tracks N events and a critical one, says so, and waits for its end
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
case "strict":
    let footpath = Footpath(Configuration.test())
    footpath.track("")
    say("went on")
default:
    exit(2)
}
