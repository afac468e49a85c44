package io.footpath

import com.sun.jna.Native
import io.footpath.ffi.Batch
import io.footpath.ffi.ClientException
import io.footpath.ffi.Config
import io.footpath.ffi.FootpathClient
import io.footpath.ffi.KeyFailure
import io.footpath.ffi.ProblemListener
import kotlin.time.Duration

/** The one call that an app makes all the time: direct, and with primitives only, which costs JNA the least. */
internal object Hot {
    init {
        val name = System.getProperty("uniffi.component.footpath.libraryOverride") ?: "footpath"
        Native.register(Hot::class.java, name)
    }

    /** `len` is a `size_t`: this library is for 64 bits. */
    @JvmStatic
    external fun footpath_track(handle: Long, ptr: Long, len: Long): Long
}

/** What the core answers to a call, where it is not 0. */
internal enum class Refusal(val code: Long) {
    INVALID(-1),
    TOO_LARGE(-2),
    QUEUE_FULL(-3),
    NOT_WANTED(-4),
    CLOSED(-5),
    DISABLED(-6),
    ;

    companion object {
        fun of(code: Long): Refusal = entries.find { it.code == code } ?: DISABLED
    }
}

/** A call that was not taken. */
internal class Refused(val refusal: Refusal, val why: String) : RuntimeException(why, null, false, false)

/** The loaded library with a client: what crosses the border, in this library's own types. */
internal class NativeCore(config: FootpathConfig, onProblem: (Problem) -> Unit) {
    private val client = refusing {
        FootpathClient(config.native(), Listener(onProblem), config.keys?.let(::Keys))
    }
    private val handle = client.trackHandle().toLong()

    init {
        // Loads what the first event would otherwise wait for; a handle of 0 is nobody's.
        check(Hot.footpath_track(0, 0, 0) != 0L)
    }

    /** Takes what was encoded; 0, or the code of a [Refusal]. */
    fun track(encoder: Encoder): Long = Hot.footpath_track(handle, encoder.address(), encoder.length.toLong())

    /** The same, slowly: with the event's id, or the reason in words. */
    fun trackForId(frame: ByteArray, delivery: Delivery): String =
        refusing { client.track(frame, delivery.native()) }

    fun identify(user: String, person: ByteArray) = refusing { client.identify(user, person) }

    fun link(anonymous: String, user: String, person: ByteArray) =
        refusing { client.link(anonymous, user, person) }

    fun alias(name: String) = refusing { client.alias(name) }

    fun reset() = refusing { client.reset() }

    fun register(key: String, value: ByteArray) = refusing { client.register(key, value) }

    fun unregister(key: String) = refusing { client.unregister(key) }

    fun endSession() = refusing { client.endSession() }

    fun consent(consent: Consent) = refusing {
        client.setConsent(io.footpath.ffi.Consent.valueOf(consent.name))
    }

    fun deleteMyData() = refusing { client.deleteMyData() }

    fun accessMyData() = refusing { client.accessMyData() }

    fun identity(): Identity? = client.who()?.let { who ->
        Identity(who.anonymousId, who.userId.ifEmpty { null }, Consent.valueOf(who.consent.name))
    }

    fun hold() = client.hold()

    fun resume() = client.resume()

    fun tryNow() = client.tryNow()

    fun setKey(key: String) = client.setKey(key)

    fun saveData(saving: Boolean) = client.saveData(saving)

    suspend fun queued(id: String, timeout: Duration): Receipt =
        receipt(refusing { client.queued(id, timeout.millis()) })

    suspend fun delivered(id: String, timeout: Duration): Receipt =
        receipt(refusing { client.delivered(id, timeout.millis()) })

    suspend fun flush(timeout: Duration): FlushResult {
        val result = client.flush(timeout.millis())
        return FlushResult(
            acked = result.acked.toLong(),
            rejected = result.rejected.toLong(),
            pending = result.pending.toLong(),
            complete = result.complete,
            paused = result.paused?.own(),
        )
    }

    /** Waits until the queue is open, or could not be opened for now: before that, the core's thread obeys nothing. */
    fun awaitOpen() {
        client.waitFlushed(0u)
    }

    fun nextBatch(): Batch? = client.nextBatch()

    fun report(batch: String, status: Int, type: String?, retryAfter: String?, body: ByteArray) =
        client.report(batch, status.toUShort(), type, retryAfter, body)

    fun reportFailure(batch: String, message: String) = client.reportFailure(batch, message)

    /** Adds the core's counts to this library's own. */
    fun stats(own: Stats): Stats {
        val stats = client.stats()
        return own.copy(
            tracked = stats.tracked.toLong(),
            refusedFull = own.refusedFull + stats.refusedFull.toLong(),
            notWanted = own.notWanted + stats.notWanted.toLong(),
            committed = stats.committed.toLong(),
            acked = stats.acked.toLong(),
            duplicates = stats.duplicates.toLong(),
            rejected = stats.rejected.toLong(),
            evicted = stats.evicted.toLong(),
            pending = stats.pending.toLong(),
            pendingBytes = stats.pendingBytes.toLong(),
            sends = stats.sends.toLong(),
            resends = stats.resends.toLong(),
            sentBytes = stats.sentBytes.toLong(),
            lastError = stats.lastError,
            paused = stats.paused?.own(),
            clock = stats.clock?.let { ClockOffset(it.offsetUs, it.uncertaintyUs) },
        )
    }

    /** Saves everything and ends the client; what could not be saved, in words. Waits for the disk. */
    fun shutdown(): String? = client.shutdown()

    /** Lets go of the native side. */
    fun destroy() = client.destroy()
}

private class Listener(private val onProblem: (Problem) -> Unit) : ProblemListener {
    override fun onProblem(problem: io.footpath.ffi.Problem) = onProblem(
        when (problem) {
            is io.footpath.ffi.Problem.Paused -> Problem.Paused(problem.reason.own())
            is io.footpath.ffi.Problem.Storage -> Problem.Storage(problem.message)
            is io.footpath.ffi.Problem.Quarantined -> Problem.Quarantined(problem.path)
            is io.footpath.ffi.Problem.Lost -> Problem.Lost(problem.message)
            is io.footpath.ffi.Problem.Rejected -> Problem.Rejected(problem.message)
            is io.footpath.ffi.Problem.Unreachable -> Problem.Unreachable(problem.message)
            is io.footpath.ffi.Problem.Disabled -> Problem.Disabled(problem.message)
            is io.footpath.ffi.Problem.Other -> Problem.Other(problem.message)
        },
    )
}

private class Keys(private val keys: KeyStore) : io.footpath.ffi.KeyStore {
    override fun find(id: String): ByteArray? = notNow { keys.find(id) }

    override fun make(id: String): ByteArray = notNow { keys.make(id) }

    override fun destroy(id: String) = notNow { keys.destroy(id) }

    private inline fun <T> notNow(call: () -> T): T = try {
        call()
    } catch (failure: Exception) {
        throw KeyFailure.NotNow(failure.toString())
    }
}

private inline fun <T> refusing(call: () -> T): T = try {
    call()
} catch (error: ClientException) {
    throw when (error) {
        is ClientException.Invalid -> Refused(Refusal.INVALID, error.why)
        is ClientException.TooLarge ->
            Refused(Refusal.TOO_LARGE, "the event has ${error.bytes} bytes, ${error.limit} are allowed")
        is ClientException.QueueFull -> Refused(Refusal.QUEUE_FULL, "the queue is full")
        is ClientException.NotWanted -> Refused(Refusal.NOT_WANTED, error.why)
        is ClientException.Closed -> Refused(Refusal.CLOSED, "the client was closed")
        is ClientException.Disabled -> Refused(Refusal.DISABLED, "the client is disabled after a failure of its own")
    }
}

private fun receipt(receipt: io.footpath.ffi.Receipt?): Receipt = when (receipt) {
    null -> Receipt.Pending
    is io.footpath.ffi.Receipt.Queued -> Receipt.Queued
    is io.footpath.ffi.Receipt.Acked -> Receipt.Acked
    is io.footpath.ffi.Receipt.Rejected -> Receipt.Rejected(receipt.why)
}

private fun io.footpath.ffi.Pause.own(): Pause = when (this) {
    is io.footpath.ffi.Pause.Unauthenticated -> Pause.Unauthenticated(message)
    is io.footpath.ffi.Pause.PermissionDenied -> Pause.PermissionDenied(message)
    is io.footpath.ffi.Pause.NotFound -> Pause.NotFound(message)
    is io.footpath.ffi.Pause.Held -> Pause.Held
    is io.footpath.ffi.Pause.ConsentPending -> Pause.ConsentPending
}

private fun Delivery.native() = when (this) {
    Delivery.CRITICAL -> io.footpath.ffi.Delivery.CRITICAL
    Delivery.NORMAL -> io.footpath.ffi.Delivery.NORMAL
    Delivery.LOSSY -> io.footpath.ffi.Delivery.LOSSY
}

private fun Duration.millis(): ULong = inWholeMilliseconds.coerceAtLeast(0).toULong()

private fun FootpathConfig.native() = Config(
    endpoint = endpoint,
    key = key,
    project = project,
    queueFolder = queueFolder,
    carrier = when (carrier) {
        Carrier.GRPC -> io.footpath.ffi.Carrier.GRPC
        Carrier.HTTP -> io.footpath.ffi.Carrier.HOST
        Carrier.MEMORY -> io.footpath.ffi.Carrier.MEMORY
    },
    backend = backend,
    firstConsent = firstConsent?.let { io.footpath.ffi.Consent.valueOf(it.name) },
    library = Platform.LIBRARY,
    app = app,
    appVersion = appVersion,
    os = Platform.OS,
    osVersion = Platform.osVersion,
    deviceModel = Platform.deviceModel,
    locale = locale,
    timeZone = timeZone,
    // The core says what is wrong with too little; a negative number would come to it as a huge one.
    ringBytes = ringBytes?.coerceAtLeast(0)?.toULong(),
    batchIntervalMs = batchInterval?.millis(),
    batchEvents = batchEvents?.coerceAtLeast(0)?.toUInt(),
    batchBytes = batchBytes?.coerceAtLeast(0)?.toULong(),
    requestTimeoutMs = requestTimeout?.millis(),
    caCertificate = caCertificate,
    maxBytes = maxBytes?.coerceAtLeast(0)?.toULong(),
    maxEvents = maxEvents?.coerceAtLeast(0)?.toULong(),
    maxAgeDays = maxAgeDays?.coerceAtLeast(0)?.toUInt(),
    savingBytesPerHour = savingBytesPerHour?.coerceAtLeast(0)?.toULong(),
    debugView = debugView,
    samples = samples.ifEmpty { null },
)
