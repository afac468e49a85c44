import Foundation
internal import FootpathCore
internal import footpathFFI

/// Tracks events and delivers them. Made at once: the storage is opened by the library's own thread, and what is tracked
/// until then is kept in memory.
///
/// No call throws, and none waits for a disk or a socket, except where it says `async`. A call that the library refuses is
/// counted in `stats` and logged once per kind. Several clients may live in a process, each with its own folder and project.
public final class Footpath: Sendable {
    /// This SDK's version.
    public static let version = "0.1.0"

    /// What the application should know of, as it happens. One reader at a time; of what nobody has read, the newest 16
    /// are kept. It ends when the client is closed.
    public let problems: AsyncStream<Problem>

    private let tell: AsyncStream<Problem>.Continuation
    let client: CoreClient?
    /// What `footpath_track` takes; 0 is nobody's.
    private let handle: UInt64
    private let refusals: Refusals
    private let recorder: Recorder?
    private let beforeSend: (@Sendable (Event) -> Event?)?
    #if canImport(UIKit) && os(iOS)
        private let lifecycle: Lifecycle?
    #endif
    let host: HostCarrier?
    private let outbox: OutboxCarrier?
    private let drain: OutboxDrain?

    /// Starts a client. A setting that cannot be used is told in `problems` and logged; such a client takes nothing.
    public init(_ configuration: Configuration) {
        let (problems, tell) = AsyncStream.makeStream(of: Problem.self, bufferingPolicy: .bufferingNewest(16))
        (self.problems, self.tell) = (problems, tell)
        refusals = Refusals(strict: configuration.strict, log: configuration.log)
        recorder = configuration.records ? Recorder() : nil
        beforeSend = configuration.beforeSend
        if let folder = configuration.queueFolder { prepare(folder) }
        do {
            let client = try configuration.makeClient { tell.yield($0) }
            self.client = client
            handle = client.trackHandle()
            // Their threads keep them.
            switch configuration.resolvedCarrier {
            case .urlSession: (host, outbox) = (HostCarrier(client, configuration), nil)
            case .outbox(let folder): (host, outbox) = (nil, OutboxCarrier(client, folder, configuration.log))
            case .automatic, .grpc, .memory: (host, outbox) = (nil, nil)
            }
            drain = OutboxDrain(client, configuration)
            drain?.start()
            #if canImport(UIKit) && os(iOS)
                lifecycle = configuration.followsApp ? Lifecycle(client, host, drain) : nil
            #endif
        } catch {
            (client, handle, host, outbox, drain) = (nil, 0, nil, nil, nil)
            #if canImport(UIKit) && os(iOS)
                lifecycle = nil
            #endif
            tell.yield(.misconfigured(words(error)))
            refusals.say("\(words(error)); this client takes nothing")
        }
    }

    deinit {
        tell.finish()
        drain?.end()
        // Who carries waits inside the library, which must be told; saving takes a moment, so not on this thread.
        if let client { DispatchQueue.global(qos: .utility).async { _ = client.shutdown() } }
    }

    // MARK: Events

    /// Takes an event. It survives the end of the process from here on.
    public func track(_ name: String, _ properties: Properties = [:]) {
        guard isPlain else { return track(Event(name, properties)) }
        send(.normal) { $0.event(name, properties) }
    }

    /// Takes an event of a class; for a backend, with its person.
    public func track(
        _ name: String, _ properties: Properties = [:], for person: Person? = nil, delivery: Delivery
    ) {
        track(Event(name, properties, person: person), delivery: delivery)
    }

    /// Takes an event of somebody else than the client's own person: what a backend does.
    public func track(_ name: String, _ properties: Properties = [:], for person: Person) {
        track(Event(name, properties, person: person))
    }

    /// Takes an event with everything that can be said of it.
    public func track(_ event: Event, delivery: Delivery = .normal) {
        guard let event = seen(event) else { return }
        if send(delivery, { $0.event(event) }) { recorder?.record(event) }
    }

    /// Takes an event that must not be lost even if the power fails. The receipt says when it is on the disk, and when the
    /// server has it.
    @discardableResult
    public func trackCritical(
        _ name: String, _ properties: Properties = [:], for person: Person? = nil
    ) -> Receipt {
        trackCritical(Event(name, properties, person: person))
    }

    /// As above, with everything that can be said of an event.
    @discardableResult
    public func trackCritical(_ event: Event) -> Receipt {
        guard let event = seen(event) else { return Receipt(refused: "left out by beforeSend") }
        let (data, problem) = Frame.data { $0.event(event) }
        guard let data else { return Receipt(refused: refused(.invalid, problem ?? "")) }
        guard let client else { return Receipt(refused: refused(.closed, "the client could not be made")) }
        do {
            let id = try client.track(frame: data, delivery: .critical)
            recorder?.record(event)
            return Receipt(id: id, client: client)
        } catch {
            return Receipt(refused: refused(Refusal(error), words(error)))
        }
    }

    /// The receipt of a critical event of this run or an earlier one.
    public func receipt(for id: String) -> Receipt { Receipt(id: id, client: client) }

    /// Somebody looks at a screen: tracks `screen_viewed` with the property `screen`.
    public func screen(_ name: String, _ properties: Properties = [:]) {
        var properties = properties
        properties["screen"] = .string(name)
        track("screen_viewed", properties)
    }

    /// Changes properties of the person: tracks `person_updated`.
    public func update(_ changes: Changes) {
        track(Event("person_updated", changes: changes))
    }

    /// Says that the person belongs to a group, and changes the group's properties: tracks `group_joined`.
    public func group(_ kind: String, _ id: String, _ changes: Changes = Changes()) {
        track(Event("group_joined", groups: [Group(kind, id, changes)]))
    }

    /// What was tracked, oldest first, where the configuration records. For tests.
    public var recorded: [Event] { recorder?.events ?? [] }

    // MARK: The person

    /// Says who the person is, after a login. Another user than before begins with a new anonymous id.
    public func identify(_ userID: String, _ changes: Changes = Changes()) {
        withBytes({ $0.changes(changes) }) { try $0.identify(userId: userID, person: $1) }
    }

    /// What a backend does instead: says that the person behind an anonymous id is a user.
    public func link(anonymousID: String, userID: String, _ changes: Changes = Changes()) {
        withBytes({ $0.changes(changes) }) {
            try $0.link(anonymousId: anonymousID, userId: userID, person: $1)
        }
    }

    /// Gives the person another name.
    public func alias(_ name: String) { ask { try $0.alias(name: name) } }

    /// Forgets the person, as after a logout: a new anonymous id, no shared properties, a new session.
    public func reset() { ask { try $0.reset() } }

    /// Sets a property of every later event that does not set it itself.
    public func register(_ key: String, _ value: Value) {
        withBytes({ $0.value(value) }) { try $0.register(key: key, value: $1) }
    }

    /// Takes a shared property away again.
    public func unregister(_ key: String) { ask { try $0.unregister(key: key) } }

    /// The next event begins a new session.
    public func endSession() { ask { try $0.endSession() } }

    /// What the person allows. Denied: nothing is taken, and what waited is destroyed.
    /// In an app, its extensions follow (`Configuration.outboxes`).
    public func consent(_ consent: Consent) {
        guard ask({ try $0.setConsent(consent: consent.core) }) else { return }
        if consent == .denied { host?.background?.forget() }
        drain?.note(consent)
    }

    /// Asks the server to delete what it knows of the person. The wish needs no consent and is never let go.
    public func deleteMyData() { ask { try $0.deleteMyData() } }

    /// Asks for a copy of what the server knows of the person.
    public func accessMyData() { ask { try $0.accessMyData() } }

    /// Whom events belong to now, and what that person allows; `nil` for a backend and until the storage is open.
    public var identity: Identity? {
        client?.who().map {
            let user = $0.userId.isEmpty ? nil : $0.userId
            return Identity(anonymousID: $0.anonymousId, userID: user, consent: Consent($0.consent))
        }
    }

    // MARK: Delivery

    /// Stops sending. Events are taken and kept.
    public func hold() { client?.hold() }

    /// Goes on sending at once, after `hold`, a pause, or during a wait after a failure.
    public func resume() {
        client?.resume()
        drain?.start()
    }

    /// Sends at once, also during a wait after a failure, unless delivery is paused or held: for whoever knows that the
    /// network is back.
    public func tryNow() { client?.tryNow() }

    /// Sends with another project key from now on, and goes on if delivery was paused.
    public func setKey(_ key: String) {
        client?.setKey(key: key)
        drain?.set(key)
    }

    /// Spends little from now on, or no longer: on a metered link, or with a low battery. Critical events still go.
    public func saveData(_ saving: Bool) { client?.saveData(saving: saving) }

    /// Sends what was tracked so far and waits until it has reached its end, delivery is paused, or the time is up.
    /// Cancelled, it answers at once; what is under way goes on. In an extension (`Carrier.outbox`) it ends once everything
    /// lies in files for the app.
    @discardableResult
    public func flush(within time: Duration) async -> FlushResult {
        guard let client else { return FlushResult() }
        if let outbox { return await outbox.flush(within: time) }
        let ms = time.milliseconds
        return await cancellable(else: FlushResult()) { _ in FlushResult(await client.flush(timeoutMs: ms)) }
    }

    /// In an app: sends what its extensions left (`Configuration.outboxes`), and answers how many batches the server has
    /// answered. It is done by itself at the start, when the app comes to the foreground, and after `resume` and `setKey`.
    /// In an extension (`Carrier.outbox`): reads the app's answers, as is done at its start and with each batch.
    @discardableResult
    public func drainOutboxes() async -> Int {
        outbox?.look()
        return await drain?.drain() ?? 0
    }

    /// What this client has done so far.
    public var stats: Stats {
        var stats = client.map { Stats($0.stats()) } ?? Stats()
        refusals.add(to: &stats)
        return stats
    }

    /// Saves everything that was tracked and ends the client; answers what could not be saved, in words. It does not wait
    /// for the server: what is not acknowledged is sent after the next start.
    @discardableResult
    public func close() async -> String? {
        guard let client else {
            tell.finish()
            return nil
        }
        drain?.end()
        let unsaved: String? = await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: client.shutdown()) }
        }
        tell.finish()
        return unsaved
    }

    // MARK: Inside

    /// Whether events need no look before they are written.
    private var isPlain: Bool { beforeSend == nil && recorder == nil }

    private func seen(_ event: Event) -> Event? {
        guard let beforeSend else { return event }
        let event = beforeSend(event)
        if event == nil { refusals.leftOut() }
        return event
    }

    /// Writes an event and hands it over; whether it was taken.
    @inline(__always)
    @discardableResult
    private func send(_ delivery: Delivery, _ write: (inout Frame) -> Void) -> Bool {
        Frame.make { frame in
            frame.byte(delivery.rawValue)
            write(&frame)
            let bytes = frame.bytes
            guard frame.problem == nil else { return notTaken(frame, .invalid, delivery) }
            let code = footpath_track(handle, bytes.baseAddress!, bytes.count)
            return code == 0 || notTaken(frame, Refusal(code: code), delivery)
        }
    }

    /// The way of what was refused. What can never be right is tried once more where its reason will be read: only the
    /// slow call says why.
    @inline(never)
    private func notTaken(_ frame: borrowing Frame, _ refusal: Refusal, _ delivery: Delivery) -> Bool {
        if let problem = frame.problem {
            refused(.invalid, problem)
        } else if refusal == .invalid || refusal == .tooLarge, refusals.wantsWords(refusal) {
            return ask { _ = try $0.track(frame: Data(frame.bytes.dropFirst()), delivery: delivery.core) }
        } else {
            refused(refusal, client == nil ? "the client could not be made" : refusal.words)
        }
        return false
    }

    /// Calls the library where it may refuse; whether it did not.
    @discardableResult
    private func ask(_ call: (CoreClient) throws -> Void) -> Bool {
        guard let client else {
            refused(.closed, "the client could not be made")
            return false
        }
        do {
            try call(client)
            return true
        } catch {
            refused(Refusal(error), words(error))
            return false
        }
    }

    private func withBytes(_ write: (inout Frame) -> Void, _ call: (CoreClient, Data) throws -> Void) {
        let (data, problem) = Frame.data(write)
        guard let data else {
            refused(.invalid, problem ?? "")
            return
        }
        ask { try call($0, data) }
    }

    @discardableResult
    private func refused(_ refusal: Refusal, _ why: String) -> String {
        refusals.refused(refusal, why)
        return why
    }
}

/// Counts what was refused, and says so once per kind.
private final class Refusals: @unchecked Sendable {
    private let strict: Bool
    private let log: @Sendable (String) -> Void
    private let lock = NSLock()
    private var counts: [Refusal: Int] = [:]
    private var leftOutCount = 0

    init(strict: Bool, log: @escaping @Sendable (String) -> Void) {
        (self.strict, self.log) = (strict, log)
    }

    func say(_ line: String) { log(line) }

    func refused(_ refusal: Refusal, _ why: String) {
        if strict, refusal == .invalid || refusal == .tooLarge { fatalError("footpath: \(why)") }
        let isFirst = lock.withLock {
            counts[refusal, default: 0] += 1
            return counts[refusal] == 1
        }
        if isFirst, refusal != .notWanted { log("refused: \(why) (said once; stats count the others)") }
    }

    /// Whether anybody will read why.
    func wantsWords(_ refusal: Refusal) -> Bool { strict || lock.withLock { counts[refusal] == nil } }

    func leftOut() { lock.withLock { leftOutCount += 1 } }

    func add(to stats: inout Stats) {
        lock.withLock {
            stats.invalid = counts[.invalid] ?? 0
            stats.tooLarge = counts[.tooLarge] ?? 0
            stats.closed = counts[.closed] ?? 0
            // Counted here as well, so that a client that could not be made counts too.
            stats.refusedFull = counts[.queueFull] ?? 0
            stats.notWanted = (counts[.notWanted] ?? 0) + leftOutCount
        }
    }
}

/// Keeps events for tests.
private final class Recorder: @unchecked Sendable {
    private let lock = NSLock()
    private var kept: [Event] = []

    var events: [Event] { lock.withLock { kept } }

    func record(_ event: Event) { lock.withLock { kept.append(event) } }
}
