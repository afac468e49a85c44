package io.footpath

import java.math.BigDecimal

/** How carefully an event is kept until the server has it. */
enum class Delivery(internal val code: Byte) {
    /** On the disk before its receipt says so. The last to go. */
    CRITICAL(1),

    /** In memory that outlives the process at once, on the disk soon after. */
    NORMAL(2),

    /** As normal, but the first to go when space is short. */
    LOSSY(3),
}

/** What the person allows. */
enum class Consent {
    /** Events are taken and sent. */
    GRANTED,

    /** Nobody has answered yet: events are kept, and sent once consent is granted. */
    PENDING,

    /** Nothing is taken, and what waited is destroyed. */
    DENIED,
}

/**
 * Who did it, where that is not the client's own person: a backend says so with every event. Such an event gets neither
 * the client's session nor its registered properties.
 */
data class Person(
    /** The application's id of a known user. */
    val userId: String? = null,
    /** The device's own id for its user before a login. */
    val anonymousId: String? = null,
)

/** A known user. */
fun user(id: String): Person = Person(userId = id)

/** Somebody before a login. */
fun anonymous(id: String): Person = Person(anonymousId = id)

/**
 * An exact amount of an ISO 4217 currency. The amount is digits with an optional sign and at most nine places, as in
 * "12.50". It is checked when it is tracked.
 */
data class Money(val amount: String, val currency: String)

/** An exact amount, for example `money("12.50", "EUR")`. */
fun money(amount: String, currency: String): Money = Money(amount, currency)

/** An exact amount. */
fun money(amount: BigDecimal, currency: String): Money {
    val plain = if (amount.scale() > 9) amount.stripTrailingZeros() else amount
    // A number with a hundred digits is no amount; it is refused when it is tracked, without being written out.
    val text = if (plain.precision() > 40 || plain.scale() !in -20..40) plain.toString() else plain.toPlainString()
    return Money(text, currency)
}

/** An event, as [FootpathConfig.beforeSend] sees it. */
data class Event(
    /** What happened. */
    val name: String,
    /** Its own properties; null stands for none. */
    val properties: Map<String, Any?>,
    /** Who did it, where that is not the client's own person. */
    val person: Person?,
    /** How carefully it is kept. */
    val delivery: Delivery,
)

/** How far a critical event has come. */
sealed interface Receipt {
    /** Not on this device's disk when the time was up; or no such event is known any more. */
    data object Pending : Receipt

    /** On this device's disk. */
    data object Queued : Receipt

    /** On the server's disk. */
    data object Acked : Receipt

    /** It was not taken, the server will never take it, or it was given up here. */
    data class Rejected(val why: String) : Receipt
}

/** Why delivery is paused. Everything is kept. */
sealed interface Pause {
    /** The key is not known; set the right one with [Footpath.setKey]. */
    data class Unauthenticated(val message: String) : Pause

    /** The key may not send to this project. */
    data class PermissionDenied(val message: String) : Pause

    /** The project or the service does not exist at this endpoint. */
    data class NotFound(val message: String) : Pause

    /** The application called [Footpath.hold]. */
    data object Held : Pause

    /** The person has not been asked yet. */
    data object ConsentPending : Pause
}

/** What the application should know of; each is told once until it changes, a loss each time. */
sealed interface Problem {
    /** Nothing is delivered until somebody acts. */
    data class Paused(val reason: Pause) : Problem

    /** The queue cannot be opened or written now. Events are kept in memory, as many as fit. */
    data class Storage(val message: String) : Problem

    /** The queue's database was broken and is set aside; a new one was begun. */
    data class Quarantined(val path: String) : Problem

    /** Events are gone that nobody can name: files of the queue were deleted or damaged. */
    data class Lost(val message: String) : Problem

    /** The server will never take an event that was sent, and never one like it: correct the application. Told once; [Stats]
     * counts. */
    data class Rejected(val message: String) : Problem

    /** For a minute no batch has got through. Everything is kept and sent as soon as one does. */
    data class Unreachable(val message: String) : Problem

    /** The client takes nothing: it could not start, or has met a bug of its own. The application goes on. */
    data class Disabled(val message: String) : Problem

    /** One that this version does not know. */
    data class Other(val message: String) : Problem
}

/** Whom events belong to now, and what that person allows. */
data class Identity(
    /** The device's own id for its user. */
    val anonymousId: String,
    /** The known user. */
    val userId: String?,
    /** What the person allows. */
    val consent: Consent,
)

/** The server's clock less this device's. */
data class ClockOffset(
    /** Microseconds to add to the wall clock. */
    val offsetMicros: Long,
    /** The true offset lies within so many microseconds of it. */
    val uncertaintyMicros: Long,
)

/** Counts since the client was started. */
data class Stats(
    /** Whether the native library is loaded and the queue is open, or was tried to be. What is tracked from then on outlives
     * the process. */
    val started: Boolean = false,
    /** Calls that wait for the library to be loaded. */
    val waitingForStart: Long = 0,
    /** Calls that were dropped because too many waited for the library, or it could not be loaded. */
    val droppedBeforeStart: Long = 0,
    /** Events and calls that were refused because they can never be right. */
    val invalid: Long = 0,
    /** Events that were refused because they are too large. */
    val tooLarge: Long = 0,
    /** Events and calls that came after [Footpath.close], or when the client was disabled. */
    val afterClose: Long = 0,
    /** Events that were taken. The client's own `$identify` and `$alias` are not among them, but are acked. */
    val tracked: Long = 0,
    /** Events that were refused because the queue was full. */
    val refusedFull: Long = 0,
    /** Events that were left out: no consent, not in the sample, or left out by [FootpathConfig.beforeSend]. */
    val notWanted: Long = 0,
    /** Events moved into the database. */
    val committed: Long = 0,
    /** Events the server acknowledged. */
    val acked: Long = 0,
    /** Acknowledged events that an earlier attempt had stored. */
    val duplicates: Long = 0,
    /** Events the server will never take. */
    val rejected: Long = 0,
    /** Events let go because of age or space. */
    val evicted: Long = 0,
    /** Events that wait for the server. */
    val pending: Long = 0,
    /** Their size in the database, in bytes. */
    val pendingBytes: Long = 0,
    /** Batches handed out. */
    val sends: Long = 0,
    /** Batches handed out once more. */
    val resends: Long = 0,
    /** Bytes handed out, before compression. */
    val sentBytes: Long = 0,
    /** The last failure, for people. */
    val lastError: String? = null,
    /** Why delivery is paused, when it is. */
    val paused: Pause? = null,
    /** How wrong this device's clock is, once the server has answered. */
    val clock: ClockOffset? = null,
)

/** How a flush ended. */
data class FlushResult(
    /** Events acknowledged while it ran. */
    val acked: Long = 0,
    /** Events rejected while it ran. */
    val rejected: Long = 0,
    /** Events that still wait. They are kept and will be sent. */
    val pending: Long = 0,
    /** Whether everything tracked before has reached its end. */
    val complete: Boolean = false,
    /** Why delivery is paused, when it is. */
    val paused: Pause? = null,
)

/** Keeps the keys that seal the queue. A key has 32 bytes. A function that throws is asked again later. */
interface KeyStore {
    /** The key of that name; null only where it is proven to be gone. */
    fun find(id: String): ByteArray?

    /** Makes the key of that name, or finds the one there is. */
    fun make(id: String): ByteArray

    /** Destroys the key of that name; none is no error. */
    fun destroy(id: String)
}

/** Thrown where [FootpathConfig.strict] is set, and nowhere else. */
class FootpathException(message: String) : RuntimeException(message)
