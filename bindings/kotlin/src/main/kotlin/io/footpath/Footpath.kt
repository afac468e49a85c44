package io.footpath

import io.footpath.CriticalReceipt.Ticket
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.SharedFlow
import kotlinx.coroutines.flow.asSharedFlow
import kotlinx.coroutines.withContext
import kotlinx.coroutines.withTimeoutOrNull
import java.time.Instant
import java.util.concurrent.CompletableFuture
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.CountDownLatch
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.LongAdder
import kotlin.concurrent.thread
import kotlin.time.Duration
import kotlin.time.TimeSource

/**
 * Tracks events and delivers them.
 *
 * No call throws (but where [FootpathConfig.strict] is set), and none waits for a disk, a socket or the native library; only
 * [close] does, for a bounded time. What is wrong with an event is logged once per kind and counted in [stats].
 *
 * ```
 * val footpath = Footpath.start(FootpathConfig("http://127.0.0.1:7400", key, "default", queueFolder = "queue"))
 * footpath.track("checkout_started", "amount" to money("12.50", "EUR"), "items" to 3)
 * ```
 *
 * A property's value is a text, a whole number, a `Double` or `Float`, a `Boolean`, a `BigDecimal`, a [Money], a
 * `java.time.Instant`, an enum's constant (its name), or a list or map of those; null leaves the property out.
 */
class Footpath private constructor(private val config: FootpathConfig, private val host: Host) : AutoCloseable {
    /** Set once the library is loaded and everything that came before is handed over. */
    @Volatile
    private var live: NativeCore? = null

    /** Set once the queue is open, or could not be opened for now. */
    @Volatile
    private var open = false

    @Volatile
    private var over: Refusal? = null

    @Volatile
    private var whyNot = "the client could not start"
    private val encoders = Encoders()
    private val early = Early(config.callsBeforeStart)
    private val whenLive = CompletableFuture<NativeCore?>()
    private val closed = AtomicBoolean()
    private val ended = CountDownLatch(1)

    @Volatile
    private var lastStats: Stats? = null

    private val invalid = LongAdder()
    private val tooLarge = LongAdder()
    private val afterClose = LongAdder()
    private val leftOut = LongAdder()

    /** What the core counted as refused because the queue was full, but was taken when it was tried again. */
    private val triedAgain = LongAdder()
    private val told = ConcurrentHashMap.newKeySet<String>()

    private val toldProblems = Problems()

    /**
     * What the application should know of. Each is told once until it changes. Who begins to collect is told the last 16;
     * a collector that is more than 16 behind misses the oldest ones. Every problem is logged, too.
     */
    val problems: SharedFlow<Problem>
        get() = toldProblems.flow().asSharedFlow()

    private val loader = thread(name = "footpath-start", isDaemon = true, start = false) { load() }

    private fun begin(): Footpath {
        loader.start()
        return this
    }

    /** Takes an event. The last value of a property stands. */
    fun track(
        name: String,
        vararg properties: Pair<String, Any?>,
        person: Person? = null,
        delivery: Delivery = Delivery.NORMAL,
        time: Instant? = null,
    ) {
        if (config.beforeSend == null) {
            put(name, delivery, person, time) { entries(11, properties) }
        } else {
            hooked(Event(name, properties.toMap(), person, delivery), time)
        }
    }

    /** Takes an event. */
    fun track(
        name: String,
        properties: Map<String, Any?>,
        person: Person? = null,
        delivery: Delivery = Delivery.NORMAL,
        time: Instant? = null,
    ) {
        if (config.beforeSend == null) {
            put(name, delivery, person, time) { entries(11, properties) }
        } else {
            hooked(Event(name, properties, person, delivery), time)
        }
    }

    /** Takes an event that must not be lost even if the power fails. Whoever wants to know asks its receipt. */
    fun trackCritical(
        name: String,
        vararg properties: Pair<String, Any?>,
        person: Person? = null,
        time: Instant? = null,
    ): CriticalReceipt {
        val receipt = CriticalReceipt(this)
        if (config.beforeSend == null) {
            put(name, Delivery.CRITICAL, person, time, receipt) { entries(11, properties) }
        } else {
            hooked(Event(name, properties.toMap(), person, Delivery.CRITICAL), time, receipt)
        }
        return receipt
    }

    /** How far a critical event of an earlier run has come. */
    fun receipt(id: String): CriticalReceipt = CriticalReceipt(this).apply { ticket.complete(Ticket.Taken(id)) }

    /** Somebody looks at a screen: the event `screen_viewed`. */
    fun screen(name: String, vararg properties: Pair<String, Any?>) = track("screen_viewed", *properties, "screen" to name)

    /**
     * Says who the person is, and sets properties of the person. Another user than before begins with a new anonymous id:
     * two users are never made one.
     */
    fun identify(userId: String, vararg properties: Pair<String, Any?>) =
        control("identify", { entries(1, properties) }) { core, person -> core.identify(userId, person) }

    /** What a backend does instead: says that the person behind an anonymous id is a user. */
    fun link(anonymousId: String, userId: String, vararg properties: Pair<String, Any?>) =
        control("link", { entries(1, properties) }) { core, person -> core.link(anonymousId, userId, person) }

    /** Gives the person another name. */
    fun alias(name: String) = control("alias") { core, _ -> core.alias(name) }

    /** Sets properties of the person: the event `person_updated`. */
    fun setPerson(vararg properties: Pair<String, Any?>, person: Person? = null) =
        changePerson(person) { entries(1, properties) }

    /** Sets properties of the person where no earlier event did. */
    fun setOnce(vararg properties: Pair<String, Any?>, person: Person? = null) =
        changePerson(person) { entries(2, properties) }

    /** Takes properties of the person away. */
    fun unset(vararg keys: String, person: Person? = null) =
        changePerson(person) { keys.distinct().forEach { text(3, it) } }

    /** Adds to a number of the person. */
    fun add(key: String, amount: Number, person: Person? = null) =
        changePerson(person) { number(4, key, amount.toDouble()) }

    private fun changePerson(person: Person?, changes: Encoder.() -> Unit) =
        own("person_updated", person) {
            val mark = open(13)
            changes()
            close(mark)
        }

    /** Says that the person belongs to a group (a company, a household), and sets the group's properties: the event
     * `group_joined`. */
    fun group(type: String, id: String, vararg properties: Pair<String, Any?>, person: Person? = null) =
        own("group_joined", person) {
            val mark = open(14)
            text(1, type)
            text(2, id)
            val changes = open(3)
            entries(1, properties)
            close(changes)
            close(mark)
        }

    /** An event of the client's own, which the application's hook sees as any other. */
    private fun own(name: String, person: Person?, content: Encoder.() -> Unit) {
        if (config.beforeSend == null) {
            put(name, Delivery.NORMAL, person, null, content = content)
        } else {
            hooked(Event(name, emptyMap(), person, Delivery.NORMAL), null, content = content)
        }
    }

    /** Forgets the person, as after a logout: a new anonymous id, no registered properties, a new session. */
    fun reset() = control("reset") { core, _ -> core.reset() }

    /** Sets properties of every later event that does not set them itself. They outlive the process. */
    fun register(vararg properties: Pair<String, Any?>) {
        for ((key, value) in properties) {
            if (value != null) control("register", { value(value) }) { core, bytes -> core.register(key, bytes) }
        }
    }

    /** Takes a registered property away again. */
    fun unregister(key: String) = control("unregister") { core, _ -> core.unregister(key) }

    /** The next event begins a new session. */
    fun endSession() = control("endSession") { core, _ -> core.endSession() }

    /** What the person allows. Denied: nothing is taken, and what waited is destroyed. */
    fun consent(consent: Consent) = control("consent") { core, _ -> core.consent(consent) }

    /** Asks the server to delete what it knows of the person. Needs no consent. */
    fun deleteMyData() = control("deleteMyData") { core, _ -> core.deleteMyData() }

    /** Asks for a copy of what the server knows of the person. */
    fun accessMyData() = control("accessMyData") { core, _ -> core.accessMyData() }

    /** Sends at once, also during a wait after a failure, unless delivery is paused or held: for whoever knows that the network
     * is back. */
    fun tryNow() = control("tryNow") { core, _ -> core.tryNow() }

    /** Stops sending. Events are taken and kept. */
    fun hold() = control("hold") { core, _ -> core.hold() }

    /** Goes on sending at once. */
    fun resume() = control("resume") { core, _ -> core.resume() }

    /** Sends with another project key from now on, and goes on if delivery was paused. */
    fun setKey(key: String) = control("setKey") { core, _ -> core.setKey(key) }

    /** Spends little from now on, or no longer. */
    fun saveData(saving: Boolean) = control("saveData") { core, _ -> core.saveData(saving) }

    /** Whom events belong to now, and what that person allows; null for a backend, and until the queue is open. */
    fun identity(): Identity? = try {
        live?.identity()
    } catch (_: IllegalStateException) {
        null
    }

    /** What this client has done so far. */
    fun stats(): Stats {
        val own = Stats(
            started = open,
            waitingForStart = early.waiting().toLong(),
            droppedBeforeStart = early.dropped.sum(),
            invalid = invalid.sum(),
            tooLarge = tooLarge.sum(),
            afterClose = afterClose.sum(),
            notWanted = leftOut.sum(),
            refusedFull = -triedAgain.sum(),
        )
        return try {
            val core = live ?: return lastStats?.copy(afterClose = own.afterClose, started = false) ?: own
            core.stats(own)
        } catch (_: IllegalStateException) {
            lastStats?.copy(afterClose = own.afterClose, started = false) ?: own
        }
    }

    /** Sends what was tracked so far and waits until it has reached its end, delivery is paused, or the time is up. */
    suspend fun flush(timeout: Duration): FlushResult {
        val start = TimeSource.Monotonic.markNow()
        val core = withTimeoutOrNull(timeout) { whenLive.awaitApart() } ?: return FlushResult(pending = stats().pending)
        return try {
            withContext(Dispatchers.Default) { core.flush(timeout - start.elapsedNow()) }
        } catch (cancelled: CancellationException) {
            throw cancelled
        } catch (_: IllegalStateException) {
            FlushResult(pending = stats().pending)
        }
    }

    /**
     * Saves everything that was tracked and ends the client. Does not wait for the server: what is not acknowledged is
     * sent after the next start. The one call that waits: for the disk, and at most [FootpathConfig.closeTimeout].
     */
    override fun close() {
        if (!closed.compareAndSet(false, true)) return
        over = Refusal.CLOSED
        thread(name = "footpath-close", isDaemon = true) {
            try {
                host.closing()
                loader.join()
                end()
            } catch (failure: Throwable) {
                tell("close", "the client did not end well: $failure")
            } finally {
                ended.countDown()
            }
        }
        val inTime = try {
            ended.await(config.closeTimeout.inWholeMilliseconds, TimeUnit.MILLISECONDS)
        } catch (_: InterruptedException) {
            Thread.currentThread().interrupt()
            false
        }
        if (!inTime) tell("close", "the client goes on to end behind close, which waited ${config.closeTimeout}")
    }

    private fun end() {
        val core = live ?: return
        core.shutdown()?.let { tell("close", it) }
        lastStats = stats()
        live = null
        core.destroy()
    }

    /** It takes nothing, and nothing will change that. */
    internal val isDisabled: Boolean
        get() = over == Refusal.DISABLED

    internal suspend fun whenStarted(): NativeCore? = whenLive.awaitApart()

    // ---- Taking

    private fun hooked(
        event: Event,
        time: Instant?,
        receipt: CriticalReceipt? = null,
        content: Encoder.() -> Unit = {},
    ) {
        val changed = try {
            config.beforeSend!!(event)
        } catch (failure: Throwable) {
            refuse(Refused(Refusal.INVALID, "beforeSend failed: $failure"), event.name, receipt)
            return
        }
        if (changed == null) {
            leftOut.increment()
            receipt?.ticket?.complete(Ticket.NotTaken("left out by beforeSend"))
            return
        }
        // A receipt stands for a critical event, whatever the hook says.
        val delivery = if (receipt != null) Delivery.CRITICAL else changed.delivery
        put(changed.name, delivery, changed.person, time, receipt) {
            entries(11, changed.properties)
            content()
        }
    }

    private inline fun put(
        name: String,
        delivery: Delivery,
        person: Person?,
        time: Instant?,
        receipt: CriticalReceipt? = null,
        content: Encoder.() -> Unit,
    ) {
        val encoder = encoders.take()
        try {
            val core = live
            encoder.event(delivery, name, person, time ?: if (core == null) Instant.now() else null)
            encoder.content()
            send(core, encoder, name, delivery, receipt)
        } catch (failure: Throwable) {
            refuse(failure, name, receipt)
        } finally {
            encoders.give(encoder)
        }
    }

    private fun send(core: NativeCore?, encoder: Encoder, name: String, delivery: Delivery, receipt: CriticalReceipt?) {
        over?.let { throw Refused(it, whyOver(it)) }
        if (core == null) {
            val frame = encoder.copy()
            val late = early.put(frame.size) { loaded ->
                if (loaded == null) {
                    receipt?.ticket?.complete(Ticket.NotTaken(whyNot))
                } else {
                    later(name, receipt) { handOver(loaded, frame, name, delivery, receipt) }
                }
            }
            when (late) {
                Early.Kept.WAITS -> return
                Early.Kept.DROPPED -> {
                    receipt?.ticket?.complete(Ticket.NotTaken("too many calls wait for the start"))
                    tellOnce("dropped before start", "too many calls wait for the native library; some are dropped")
                    return
                }
                Early.Kept.TOO_LATE -> Unit
            }
        }
        val loaded = core ?: live ?: throw Refused(Refusal.CLOSED, Refusal.CLOSED.words())
        if (receipt != null) {
            receipt.ticket.complete(Ticket.Taken(loaded.trackForId(encoder.copy(1), delivery)))
            return
        }
        val code = loaded.track(encoder)
        if (code != 0L) failed(loaded, Refusal.of(code), encoder, name, delivery)
    }

    /** Hands over an event that waited. While the storage is being opened, the core takes only so much. */
    private fun handOver(core: NativeCore, frame: ByteArray, name: String, delivery: Delivery, receipt: CriticalReceipt?) {
        val encoder = Encoder()
        encoder.load(frame)
        untilThereIsRoom {
            if (receipt != null) {
                receipt.ticket.complete(Ticket.Taken(core.trackForId(encoder.copy(1), delivery)))
                return@untilThereIsRoom
            }
            val code = core.track(encoder)
            if (code == Refusal.QUEUE_FULL.code) throw Refused(Refusal.QUEUE_FULL, Refusal.QUEUE_FULL.words())
            if (code != 0L) failed(core, Refusal.of(code), encoder, name, delivery)
        }
    }

    /** On the thread that starts the client. */
    private inline fun untilThereIsRoom(call: () -> Unit) {
        while (true) {
            try {
                return call()
            } catch (refused: Refused) {
                if (refused.refusal != Refusal.QUEUE_FULL || System.nanoTime() - giveUpAt > 0) throw refused
                triedAgain.increment()
                Thread.sleep(2)
            }
        }
    }

    @Volatile
    private var giveUpAt = 0L

    /** Finds the words for a code, once per kind: through the call that is slow and says why. */
    private fun failed(core: NativeCore, refusal: Refusal, encoder: Encoder, name: String, delivery: Delivery) {
        val needsWords = refusal == Refusal.INVALID || refusal == Refusal.TOO_LARGE
        if (needsWords && (config.strict || !told.contains(kind(refusal, name)))) {
            core.trackForId(encoder.copy(1), delivery)
            return // It was taken after all, as where a backend's storage has opened meanwhile.
        }
        throw Refused(refusal, refusal.words())
    }

    private inline fun control(
        what: String,
        content: Encoder.() -> Unit = {},
        crossinline call: (NativeCore, ByteArray) -> Unit,
    ) {
        val encoder = encoders.take()
        try {
            over?.let { throw Refused(it, whyOver(it)) }
            encoder.begin()
            encoder.content()
            val bytes = encoder.copy()
            val core = live
            if (core == null) {
                val kept = early.put(bytes.size) { loaded ->
                    if (loaded != null) later(what, null) { untilThereIsRoom { call(loaded, bytes) } }
                }
                when (kept) {
                    Early.Kept.WAITS -> return
                    Early.Kept.DROPPED -> {
                        tellOnce("dropped before start", "too many calls wait for the native library; some are dropped")
                        return
                    }
                    Early.Kept.TOO_LATE -> Unit
                }
            }
            call(core ?: live ?: throw Refused(Refusal.CLOSED, Refusal.CLOSED.words()), bytes)
        } catch (failure: Throwable) {
            refuse(failure, what, null)
        } finally {
            encoders.give(encoder)
        }
    }

    private inline fun later(name: String, receipt: CriticalReceipt?, call: () -> Unit) {
        try {
            call()
        } catch (failure: Throwable) {
            refuse(failure, name, receipt, mayThrow = false)
        }
    }

    /** Counts and tells what was not taken. */
    private fun refuse(failure: Throwable, name: String, receipt: CriticalReceipt?, mayThrow: Boolean = true) {
        if (failure is VirtualMachineError && failure !is StackOverflowError) throw failure
        val refused = when (failure) {
            is Refused -> failure
            Encoder.TooLarge -> Refused(Refusal.TOO_LARGE, Encoder.TooLarge.why)
            is NotEncodable -> Refused(Refusal.INVALID, failure.why)
            // UniFFI's word for an object that was let go of.
            is IllegalStateException -> if (closed.get()) Refused(Refusal.CLOSED, Refusal.CLOSED.words()) else unexpected(failure)
            else -> unexpected(failure)
        }
        receipt?.ticket?.complete(Ticket.NotTaken(refused.why))
        when (refused.refusal) {
            Refusal.INVALID -> invalid.increment()
            Refusal.TOO_LARGE -> tooLarge.increment()
            Refusal.CLOSED, Refusal.DISABLED -> afterClose.increment()
            Refusal.QUEUE_FULL, Refusal.NOT_WANTED -> Unit // The core has counted it.
        }
        if (config.strict && mayThrow && refused.refusal != Refusal.NOT_WANTED) {
            throw FootpathException("\"$name\": ${refused.why}")
        }
        if (refused.refusal != Refusal.NOT_WANTED) {
            tellOnce(kind(refused.refusal, name), "\"$name\" was not taken: ${refused.why}. More of this kind is only counted.")
        }
    }

    /** Why nothing is taken any more: before and after the start failed, the same words. */
    private fun whyOver(over: Refusal): String = if (over == Refusal.DISABLED) whyNot else over.words()

    private fun unexpected(failure: Throwable) = Refused(Refusal.INVALID, failure.toString())

    /** Only what is wrong with an event depends on the event. */
    private fun kind(refusal: Refusal, name: String): String =
        if (refusal == Refusal.INVALID || refusal == Refusal.TOO_LARGE) "$refusal $name" else refusal.name

    private fun tellOnce(kind: String, message: String) {
        if (told.size < MOST_KINDS && told.add(kind)) tell(kind, message)
    }

    private fun tell(@Suppress("UNUSED_PARAMETER") kind: String, message: String) {
        try {
            config.log(message)
        } catch (_: Throwable) {
            // A logger that fails must not fail the application.
        }
    }

    // ---- Starting

    private fun load() {
        val hook = Thread { loader.join(config.closeTimeout.inWholeMilliseconds) }
        // What waits for the library and the queue is only in this process: a program that ends at once ends after that.
        val hooked = runCatching { Runtime.getRuntime().addShutdownHook(hook) }.isSuccess
        try {
            val ready = host.prepare(this, config)
            val core = NativeCore(ready, ::onProblem)
            giveUpAt = System.nanoTime() + TimeUnit.SECONDS.toNanos(10)
            if (ready.carrier == Carrier.HTTP) HttpCarrier(ready, core).start()
            early.handOver(core) { live = core }
            whenLive.complete(core)
            core.awaitOpen()
            open = true
        } catch (failure: Throwable) {
            val why = (failure as? Refused)?.why ?: failure.toString()
            whyNot = "the client could not start: $why"
            if (over == null) over = Refusal.DISABLED
            // A client that is closed while it waits for its start has no problem.
            if (!closed.get()) onProblem(Problem.Disabled(whyNot))
            val tell = early.giveUp()
            // Whoever waits for a receipt goes on at once, on the thread that says so; `close` waits for this one.
            thread(name = "footpath-failed", isDaemon = true) {
                tell()
                whenLive.complete(null)
            }
        } finally {
            if (hooked) runCatching { Runtime.getRuntime().removeShutdownHook(hook) }
        }
    }

    /** Comes from a native thread; whoever collects must not run on it. */
    private fun onProblem(problem: Problem) {
        TELLERS.execute {
            tell("problem", problem.words())
            toldProblems.flow().tryEmit(problem)
        }
    }

    companion object {
        private const val MOST_KINDS = 256

        private val TELLERS = ThreadPoolExecutor(1, 1, 5, TimeUnit.SECONDS, LinkedBlockingQueue()) { work ->
            Thread(work, "footpath-problems").apply { isDaemon = true }
        }.apply { allowCoreThreadTimeOut(true) }

        /**
         * Starts a client and returns at once. The native library is loaded, and the queue opened, behind it; calls until
         * then are kept in order, with their time.
         */
        @JvmStatic
        fun start(config: FootpathConfig): Footpath = start(config) { _, given -> given }

        internal fun start(config: FootpathConfig, host: Host): Footpath = Footpath(config, host).begin()
    }
}

/** What a client runs in. Asked by threads of the client's own. */
internal fun interface Host {
    /** Waits until the client may touch its folder, and answers the settings to start with. */
    fun prepare(client: Footpath, config: FootpathConfig): FootpathConfig

    /** The client is being closed; [prepare] must not wait any longer. */
    fun closing() {}
}

private fun Refusal.words(): String = when (this) {
    Refusal.INVALID -> "it is not valid"
    Refusal.TOO_LARGE -> "it is too large"
    Refusal.QUEUE_FULL -> "the queue is full"
    Refusal.NOT_WANTED -> "it is not wanted"
    Refusal.CLOSED -> "the client was closed"
    Refusal.DISABLED -> "the client is disabled"
}

private fun Problem.words(): String = when (this) {
    is Problem.Paused -> "delivery is paused, everything is kept: $reason"
    is Problem.Storage -> "the queue cannot be used now: $message"
    is Problem.Quarantined -> "the queue's database was broken and is set aside: $path"
    is Problem.Lost -> "events are lost: $message"
    is Problem.Rejected -> "the server will never take some events, they are given up: $message"
    is Problem.Unreachable -> "nothing gets through, everything is kept: $message"
    is Problem.Disabled -> "nothing is taken: $message"
    is Problem.Other -> message
}
