package io.footpath

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import java.io.File
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.CountDownLatch
import kotlin.concurrent.thread
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import org.junit.jupiter.api.io.TempDir

/** The client without a server. */
class FootpathTest {
    private val logged = CopyOnWriteArrayList<String>()
    private val config = FootpathConfig(
        "http://127.0.0.1:1", "key", "default", carrier = Carrier.MEMORY, batchInterval = 10.milliseconds,
        log = { logged += it },
    )

    private fun Footpath.settle(): Stats = runBlocking {
        val result = flush(20.seconds)
        assertTrue(result.complete, "$result")
        stats()
    }

    @Test
    fun `what is tracked is acknowledged`() {
        Footpath.start(config).use { client ->
            client.track("checkout_started", "amount" to money("12.50", "EUR"), "items" to 3)
            client.track("page_viewed", mapOf("path" to "/", "tags" to listOf("a", "b")))
            client.track("lossy", delivery = Delivery.LOSSY)
            client.setOnce("first_plan" to "pro")
            client.setPerson("plan" to "pro")
            client.unset("old", "old")
            client.add("visits", 1)
            client.group("company", "acme", "size" to 12)
            client.screen("Home", "tab" to 1)
            val stats = client.settle()
            assertEquals(9, stats.tracked)
            assertEquals(9, stats.acked)
            assertEquals(0, stats.invalid + stats.duplicates + stats.rejected + stats.droppedBeforeStart)
            assertEquals(emptyList<String>(), logged)
        }
    }

    @Test
    fun `start returns before the library is loaded, and calls wait in order up to a bound`() {
        val loading = CountDownLatch(1)
        val client = Footpath.start(config.copy(callsBeforeStart = 100)) { _, given -> given.also { loading.await() } }
        client.identify("u-1")
        val receipt = client.trackCritical("paid", "n" to 0)
        repeat(150) { client.track("early", "n" to it) }
        val tooMany = client.trackCritical("paid", "n" to 1)
        assertNull(receipt.id)
        val waits = client.stats()
        assertFalse(waits.started)
        assertEquals(100, waits.waitingForStart)
        assertEquals(53, waits.droppedBeforeStart)
        assertEquals(1, logged.size, "$logged")
        runBlocking {
            assertEquals(Receipt.Pending, receipt.await(20.milliseconds))
            assertTrue(tooMany.await(1.seconds) is Receipt.Rejected)
            assertFalse(client.flush(20.milliseconds).complete)
            loading.countDown()
            assertEquals(Receipt.Acked, receipt.await(10.seconds))
        }
        val stats = client.settle()
        assertEquals(99, stats.tracked)
        assertEquals(100, stats.acked, "with the event of identify")
        assertEquals("u-1", client.identity()?.userId)
        client.close()
    }

    @Test
    fun `what waits for the library keeps its time and its place`() {
        val loading = CountDownLatch(1)
        val client = Footpath.start(config) { _, given -> given.also { loading.await() } }
        client.reset()
        val before = client.identity()
        assertNull(before)
        client.register("plan" to "free")
        client.identify("u-1", "plan" to "pro")
        client.reset()
        client.track("later")
        loading.countDown()
        client.settle()
        assertNull(client.identity()?.userId, "reset came after identify")
        client.close()
        assertEquals(1, client.stats().tracked)
    }

    @Test
    fun `many threads during the start lose nothing`() {
        val loading = CountDownLatch(1)
        val client = Footpath.start(config.copy(callsBeforeStart = 100_000, ringBytes = 4L shl 20)) { _, given -> given.also { loading.await() } }
        val threads = List(4) { n -> thread { repeat(1_000) { client.track("t", "thread" to n, "n" to it) } } }
        loading.countDown()
        threads.forEach { it.join() }
        val stats = client.settle()
        assertEquals(4_000, stats.tracked + stats.droppedBeforeStart + stats.refusedFull, "$stats")
        assertEquals(stats.tracked, stats.acked)
        assertEquals(4_000, stats.acked)
        client.close()
    }

    @Test
    fun `no call throws, and what is wrong is logged once per kind and counted`() {
        Footpath.start(config).use { client ->
            client.settle()
            repeat(5) { client.track("odd", "value" to Any()) }
            repeat(5) { client.track("", "value" to 1) }
            repeat(5) { client.track("nan", "value" to Double.NaN) }
            repeat(5) { client.track("big", "text" to "x".repeat(40_000)) }
            client.track("huge", "text" to "x".repeat(4 shl 20))
            client.track("\$reserved")
            client.identify("null")
            client.register("" to 1)
            client.track("money", "amount" to money("1,5", "EUR"))
            val evil = object : AbstractList<Int>() {
                override val size = 3
                override fun get(index: Int): Int = throw ConcurrentModificationException()
            }
            client.track("evil", "list" to evil)
            val stats = client.settle()
            assertEquals(0, stats.tracked)
            assertEquals(6, stats.tooLarge)
            assertEquals(20, stats.invalid)
            assertEquals(10, logged.size, logged.joinToString("\n"))
            assertTrue(logged.any { "finite" in it }, "the core's words: $logged")
            assertTrue(logged.any { "40" in it && "32768" in it }, "$logged")
        }
    }

    @Test
    fun `strict throws`() {
        Footpath.start(config.copy(strict = true)).use { client ->
            client.settle()
            val failure = assertThrows<FootpathException> { client.track("nan", "value" to Double.NaN) }
            assertTrue("finite" in failure.message!!, failure.message)
            assertThrows<FootpathException> { client.track("odd", "value" to Any()) }
            assertThrows<FootpathException> { client.identify("null") }
            client.track("fine")
            assertEquals(1, client.settle().tracked)
        }
    }

    @Test
    fun `whoever waits for a client that cannot start is told why, and ends it at once`() {
        val wrong = listOf(
            config.copy(project = "Default"), config.copy(key = "two words"), config.copy(maxAgeDays = 0), config.copy(ringBytes = -1),
            config.copy(batchEvents = -1), config.copy(requestTimeout = Duration.INFINITE), config.copy(samples = mapOf("e" to 2.0)),
            config.copy(carrier = Carrier.HTTP, caCertificate = "-----BEGIN CERTIFICATE-----".toByteArray()),
        )
        for (settings in wrong) {
            val client = Footpath.start(settings.copy(closeTimeout = 60.seconds))
            val begin = System.nanoTime()
            runBlocking(Dispatchers.Unconfined) {
                val told = client.trackCritical("paid").await(20.seconds)
                assertTrue(told is Receipt.Rejected && told.why.length > "the client could not start: ".length, "$settings: $told")
                // By now it has failed for sure; who comes later is told the same.
                val later = client.trackCritical("paid").await(20.seconds)
                assertEquals(told, later, "$settings")
                client.close()
            }
            assertTrue(System.nanoTime() - begin < 30_000_000_000, "$settings")
        }
    }

    @Test
    fun `the hook changes and leaves out`() {
        val seen = CopyOnWriteArrayList<Event>()
        val hooked = config.copy(
            beforeSend = { event ->
                seen += event
                when (event.name) {
                    "secret" -> null
                    "broken" -> error("a bug in the hook")
                    else -> event.copy(properties = event.properties - "email")
                }
            },
        )
        Footpath.start(hooked).use { client ->
            client.track("seen", "email" to "a@b.c", "n" to 1)
            client.track("secret", mapOf("email" to "a@b.c"))
            client.track("broken")
            client.setPerson("email" to "a@b.c")
            client.group("company", "acme", "plan" to "pro")
            assertTrue(runBlocking { client.trackCritical("secret").await(1.seconds) } is Receipt.Rejected)
            val stats = client.settle()
            assertEquals(listOf(3L, 2L, 1L), listOf(stats.tracked, stats.notWanted, stats.invalid))
            assertEquals(listOf("seen", "secret", "broken", "person_updated", "group_joined", "secret"), seen.map { it.name })
            assertEquals(mapOf("email" to "a@b.c", "n" to 1), seen[0].properties)
        }
    }

    @Test
    fun `a backend names a person with every event`() {
        Footpath.start(config.copy(backend = true)).use { client ->
            client.settle()
            client.track("paid", "n" to 1, person = user("u-1"))
            client.track("seen", person = anonymous("a-1"))
            client.track("nobody")
            client.setPerson("plan" to "pro", person = user("u-1"))
            client.group("company", "acme", person = user("u-1"))
            client.link("a-1", "u-1", "plan" to "pro")
            client.identify("u-2")
            val stats = client.settle()
            assertEquals(4, stats.tracked)
            assertEquals(5, stats.acked, "with the event of link")
            assertEquals(2, stats.invalid, "$logged")
            assertNull(client.identity())
        }
    }

    @Test
    fun `consent, reset and several instances`() {
        val other = Footpath.start(config)
        Footpath.start(config.copy(firstConsent = Consent.PENDING)).use { client ->
            client.track("kept")
            runBlocking {
                val waits = client.flush(1.seconds)
                assertEquals(Pause.ConsentPending, waits.paused)
            }
            assertEquals(0, client.stats().acked)
            client.consent(Consent.GRANTED)
            assertEquals(1, client.settle().acked)
            client.identify("u-1")
            val known = client.identity()!!
            assertEquals("u-1", known.userId)
            client.reset()
            val fresh = client.identity()!!
            assertNull(fresh.userId)
            assertNotEquals(known.anonymousId, fresh.anonymousId)
            assertEquals(Consent.GRANTED, fresh.consent)
            client.consent(Consent.DENIED)
            assertEquals(Consent.DENIED, client.identity()!!.consent)
            client.track("not wanted")
            client.deleteMyData()
            client.accessMyData()
            assertEquals(1, client.stats().notWanted)
            client.consent(Consent.GRANTED)
            client.track("wanted")
            client.settle()
        }
        other.track("mine")
        assertEquals(1, other.settle().tracked)
        other.close()
    }

    @Test
    fun `registered properties, hold and resume are taken`() {
        Footpath.start(config).use { client ->
            client.register("plan" to "pro", "price" to money("1", "EUR"), "gone" to null)
            client.unregister("price")
            client.endSession()
            client.alias("other-name")
            client.saveData(true)
            client.saveData(false)
            client.settle()
            client.hold()
            client.track("held")
            runBlocking { assertEquals(Pause.Held, client.flush(2.seconds).paused) }
            client.resume()
            client.settle()
            assertEquals(emptyList<String>(), logged.filter { "paused" !in it })
        }
    }

    @Test
    fun `a client that cannot start says so and takes nothing`() {
        val client = Footpath.start(config.copy(project = ""))
        val early = client.trackCritical("early")
        runBlocking {
            withTimeout(10_000) {
                val problem = client.problems.first()
                assertTrue(problem is Problem.Disabled && "project" in problem.message, "$problem")
            }
            assertTrue(early.await(5.seconds) is Receipt.Rejected)
            assertFalse(client.flush(1.seconds).complete)
        }
        client.track("late")
        val stats = client.stats()
        assertEquals(2, stats.droppedBeforeStart + stats.afterClose, "$stats")
        client.close()
    }

    @Test
    fun `after close nothing is taken and nothing throws`() {
        val client = Footpath.start(config)
        client.track("last")
        client.close()
        client.close()
        assertEquals(1, client.stats().tracked, "close waits for the start")
        client.track("late")
        client.identify("u")
        client.hold()
        runBlocking {
            assertTrue(client.trackCritical("late").await(1.seconds) is Receipt.Rejected)
            assertFalse(client.flush(1.seconds).complete)
        }
        assertEquals(4, client.stats().afterClose)
        assertNull(client.identity())
        assertTrue(logged.size == 1, "$logged")
    }

    @Test
    fun `waiting for a receipt can be cancelled`() = runBlocking {
        val client = Footpath.start(config)
        client.hold()
        val receipt = client.trackCritical("paid")
        assertEquals(Receipt.Queued, receipt.awaitQueued(10.seconds))
        assertEquals(Receipt.Queued, receipt.await(50.milliseconds), "how far it has come when the time is up")
        val waits = launch { receipt.await(1_000.seconds) }
        val flushes = async { client.flush(1_000.seconds) }
        delay(100)
        withTimeout(2_000) { waits.cancelAndJoin() }
        assertTrue(withTimeout(2_000) { flushes.await() }.paused == Pause.Held)
        client.resume()
        assertEquals(Receipt.Acked, receipt.await(10.seconds))
        assertEquals(Receipt.Acked, client.receipt(receipt.id!!).await(10.seconds))
        assertTrue(client.receipt("no id").await(1.seconds) is Receipt.Rejected)
        client.close()
    }

    @Test
    fun `the queue is encrypted with the host's keys`(@TempDir folder: File) {
        val kept = java.util.concurrent.ConcurrentHashMap<String, ByteArray>()
        val keys = object : KeyStore {
            override fun find(id: String) = kept[id]
            override fun make(id: String) = kept.getOrPut(id) { ByteArray(32) { it.toByte() } }
            override fun destroy(id: String) {
                kept.remove(id)
            }
        }
        Footpath.start(config.copy(keys = keys, queueFolder = "$folder")).use { client ->
            client.hold()
            runBlocking { assertEquals(Receipt.Queued, client.trackCritical("sealed", "secret" to "visible-or-not").awaitQueued(10.seconds)) }
        }
        assertTrue(kept.isNotEmpty())
        Footpath.start(config.copy(keys = keys, queueFolder = "$folder")).use { client ->
            assertEquals(1, client.settle().acked)
        }
    }

    @Test
    fun `who comes late is told the last problems`(@TempDir folder: File) = runBlocking {
        val file = File(folder, "no-folder").apply { writeText("") }
        val client = Footpath.start(config.copy(queueFolder = "$file/queue"))
        val problem = withTimeout(10_000) { client.problems.first() }
        assertTrue(problem is Problem.Storage, "$problem")
        assertEquals(problem, client.problems.first())
        client.track("kept", "n" to 1)
        assertEquals(1, client.stats().tracked)
        file.delete()
        client.settle()
        assertEquals(1, client.stats().acked)
        assertEquals(1, logged.size, "$logged")
        client.close()
    }
}
