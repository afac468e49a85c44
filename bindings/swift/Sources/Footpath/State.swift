/// How far a critical event has come.
public enum ReceiptState: Sendable, Equatable {
    /// On this device's disk.
    case queued
    /// On the server's disk.
    case delivered
    /// The server will never take it, or it was given up or refused here.
    case rejected(String)
}

/// Why delivery is paused. Everything is kept.
public enum Pause: Sendable, Equatable {
    /// The key is not known; set the right one with `setKey`.
    case unauthenticated(String)
    /// The key may not send to this project.
    case permissionDenied(String)
    /// The project or the service does not exist at this endpoint.
    case notFound(String)
    /// The application called `hold`.
    case held
    /// The person has not been asked yet.
    case consentPending
}

/// What the application should know of; each is told once until it changes, a loss each time.
public enum Problem: Sendable, Equatable {
    /// Nothing is delivered until somebody acts.
    case paused(Pause)
    /// The queue cannot be opened or written now. Events are kept in memory, as many as fit.
    case storage(String)
    /// The queue's database was broken and is set aside; a new one was begun.
    case quarantined(String)
    /// Events are gone that nobody can name: files of the queue were deleted or damaged.
    case lost(String)
    /// The server will never take an event that was sent, and never one like it: correct the app. Told once; `stats` counts.
    case rejected(String)
    /// For a minute no batch has got through. Everything is kept and sent as soon as one does.
    case unreachable(String)
    /// A setting cannot be used: this client takes nothing.
    case misconfigured(String)
    /// The library has met a bug of its own and is disabled.
    case disabled(String)
    /// One that this version does not know.
    case other(String)
}

/// The server's clock less this device's, in microseconds.
public struct ClockOffset: Sendable, Equatable {
    /// To add to the device's clock.
    public var microseconds: Int64
    /// The true offset lies within so much of it.
    public var uncertainty: Int64
}

/// Whom events belong to now, and what that person allows.
public struct Identity: Sendable, Equatable {
    /// The device's own id for its user.
    public var anonymousID: String
    /// The known user, once there is one.
    public var userID: String?
    /// What the person allows.
    public var consent: Consent
}

/// What a client has done so far.
public struct Stats: Sendable, Equatable {
    /// Events of the application that were taken. What `identify`, `alias` and `link` send is not among them, and counts
    /// below.
    public var tracked = 0
    /// Calls that can never be right.
    public var invalid = 0
    /// Events that are larger than the server takes.
    public var tooLarge = 0
    /// Events that were refused because the queue was full.
    public var refusedFull = 0
    /// Events that were left out: no consent, not in the sample, or by `beforeSend`.
    public var notWanted = 0
    /// Calls after `close`, or of a client that could not be made.
    public var closed = 0
    /// Events moved into the database.
    public var committed = 0
    /// Events that the server acknowledged.
    public var acked = 0
    /// Acknowledged events that an earlier attempt had stored.
    public var duplicates = 0
    /// Events that the server will never take.
    public var rejected = 0
    /// Events let go because of age, space or withdrawn consent.
    public var evicted = 0
    /// Events that wait.
    public var pending = 0
    /// Their size in the database, in bytes.
    public var pendingBytes = 0
    /// Batches handed to the carrier.
    public var sends = 0
    /// Batches handed to it once more.
    public var resends = 0
    /// Bytes handed to it, before compression.
    public var sentBytes = 0
    /// The last failure, for people.
    public var lastError: String?
    /// Why delivery is paused, when it is.
    public var paused: Pause?
    /// How wrong this device's clock is, once the server has answered.
    public var clock: ClockOffset?
}

/// How a flush ended.
public struct FlushResult: Sendable, Equatable {
    /// Events acknowledged while it ran.
    public var acked = 0
    /// Events rejected while it ran.
    public var rejected = 0
    /// Events that still wait. They are kept and will be sent.
    public var pending = 0
    /// Whether everything tracked before has reached its end.
    public var complete = false
    /// Why delivery is paused, when it is.
    public var paused: Pause?
}
