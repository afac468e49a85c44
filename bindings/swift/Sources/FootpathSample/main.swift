// Tracks a few events and waits until the server has them: FootpathSample URL KEY [QUEUE_FOLDER]
import Footpath
import Foundation

let arguments = CommandLine.arguments
guard arguments.count >= 3 else {
    FileHandle.standardError.write(Data("FootpathSample URL KEY [QUEUE_FOLDER]\n".utf8))
    exit(2)
}
let folder = arguments.count > 3 ? arguments[3] : NSTemporaryDirectory() + "footpath-sample"
let footpath = Footpath(
    Configuration(endpoint: arguments[1], key: arguments[2], queueFolder: URL(fileURLWithPath: folder)))
let watcher = Task {
    for await problem in footpath.problems { print("problem: \(problem)") }
}

footpath.identify("sample-user", ["plan": "free"])
footpath.track("checkout_started", ["amount": .money("12.50", "EUR"), "items": 3])
let receipt = footpath.trackCritical("order_paid", ["amount": .money("12.50", "EUR")])
print("on this disk: \(String(describing: await receipt.queued(within: .seconds(5))))")
print("at the server: \(String(describing: await receipt.delivered(within: .seconds(10))))")
print("flush: \(await footpath.flush(within: .seconds(10)))")
print("stats: \(footpath.stats)")
await footpath.close()
await watcher.value
