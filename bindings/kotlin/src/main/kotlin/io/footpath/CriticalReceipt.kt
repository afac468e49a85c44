package io.footpath

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.future.await
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeoutOrNull
import java.util.concurrent.CompletableFuture
import kotlin.time.Duration
import kotlin.time.TimeSource

/** Tells how far a critical event has come. Nobody has to ask; the event goes its way. */
class CriticalReceipt internal constructor(private val client: Footpath) {
    internal sealed interface Ticket {
        data class Taken(val id: String) : Ticket

        data class NotTaken(val why: String) : Ticket
    }

    internal val ticket = CompletableFuture<Ticket>()

    /** The event's id, which [Footpath.receipt] takes, in a later run too; null before the library is loaded, and for an
     * event that was not taken. */
    val id: String?
        get() = (ticket.getNow(null) as? Ticket.Taken)?.id

    /** Waits until the server has the event or will never take it. When the time is up: how far it has come. */
    suspend fun await(timeout: Duration): Receipt =
        within(timeout) { core, id, left -> core.delivered(id, left) }

    /** Waits until the event is on this device's disk. */
    suspend fun awaitQueued(timeout: Duration): Receipt =
        within(timeout) { core, id, left -> core.queued(id, left) }

    private suspend fun within(
        timeout: Duration,
        ask: suspend (NativeCore, String, Duration) -> Receipt,
    ): Receipt {
        val start = TimeSource.Monotonic.markNow()
        val ticket = withTimeoutOrNull(timeout) { ticket.awaitApart() } ?: return Receipt.Pending
        return when (ticket) {
            is Ticket.NotTaken -> Receipt.Rejected(ticket.why)
            is Ticket.Taken -> try {
                // Not on the native thread that brings the answer.
                withContext(Dispatchers.Default) {
                    val core = withTimeoutOrNull(timeout - start.elapsedNow()) { client.whenStarted() }
                    if (core == null) Receipt.Pending else ask(core, ticket.id, timeout - start.elapsedNow())
                }
            } catch (refused: Refused) {
                if (refused.refusal == Refusal.INVALID) Receipt.Rejected(refused.why) else Receipt.Pending
            } catch (cancelled: CancellationException) {
                throw cancelled
            } catch (_: IllegalStateException) {
                Receipt.Pending // The client was closed meanwhile.
            }
        }
    }
}

/** Waits without cancelling for all when one is cancelled. (`CompletableFuture.copy` is too new for Android.) */
internal suspend fun <T> CompletableFuture<T>.awaitApart(): T = thenApply { it }.await()
