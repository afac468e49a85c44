package io.footpath

import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeEach
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestInstance
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.EnumSource
import java.io.File
import java.math.BigDecimal
import java.time.Instant
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.CountDownLatch
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource

/** The client and the real server. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ServerTest {
    private val server = Server()
    private val logged = CopyOnWriteArrayList<String>()

    @TempDir
    lateinit var folder: File
    private lateinit var tag: String

    @BeforeEach
    fun names() {
        tag = "t" + System.nanoTime()
        logged.clear()
    }

    @AfterAll
    fun stop() = server.close()

    private fun config(carrier: Carrier) = FootpathConfig(
        server.endpoint, server.key, "default", queueFolder = "$folder/$tag", carrier = carrier,
        batchInterval = 20.milliseconds, log = { logged += it },
    )

    private fun arrived(name: String) = server.events().filter { it.name == name }

    private fun started() = server.run {
        stop()
        start()
    }

    private fun Footpath.settle(): Stats = runBlocking {
        withTimeout(30_000) {
            do {
                val result = flush(30.seconds)
            } while (!result.complete || stats().pending > 0)
        }
        stats()
    }

    private fun numbers(name: String) = arrived(name).map { (it.properties["n"] as Double).toInt() }.sorted()

    /** Without five thousand numbers in a failure's message. */
    private fun assertAll(count: Int, name: String) {
        val missing = (0 until count) - numbers(name).toSet()
        assertEquals("none", missing.ifEmpty { "none" }.toString().take(200), "missing of $count")
        assertEquals(count, numbers(name).size, "nothing twice")
    }

    @ParameterizedTest
    @EnumSource(names = ["GRPC", "HTTP"])
    fun `everything arrives once and as it was said`(carrier: Carrier) {
        started()
        Footpath.start(config(carrier)).use { client ->
            client.register("plan" to "free")
            client.track(
                "$tag-all",
                "text" to "Grüße 👋", "int" to -3, "long" to (1L shl 40), "double" to 0.5, "float" to 0.1f, "bool" to true,
                "decimal" to BigDecimal("12.340"), "amount" to money("12.50", "EUR"), "at" to Instant.ofEpochSecond(1),
                "list" to listOf(1, "two"), "map" to mapOf("a" to 1), "null" to null,
            )
            repeat(1_999) { client.track(tag, "n" to it) }
            val stats = client.settle()
            assertEquals(2_000, stats.tracked)
            assertEquals(stats.tracked, stats.acked)
            assertEquals(0, stats.duplicates + stats.rejected + stats.evicted + stats.pending)
            assertTrue(stats.clock != null)
        }
        assertAll(1_999, tag)
        val all = arrived("$tag-all").single().properties
        assertEquals("Grüße 👋", all["text"])
        assertEquals(listOf(-3.0, (1L shl 40).toDouble(), 0.5, 0.1), listOf("int", "long", "double", "float").map { all[it] })
        assertEquals(true, all["bool"])
        assertEquals("free", all["plan"])
        assertTrue(setOf("decimal", "amount", "at", "list", "map").all { it in all }, "$all")
        assertEquals(emptyList<String>(), logged)
    }

    @Test
    fun `an authority of your own`() = Server(tls = true).use { tls ->
        tls.start()
        val wary = config(Carrier.GRPC).copy(endpoint = tls.endpoint, key = tls.key)
        Footpath.start(wary).use { client ->
            client.track("secret")
            runBlocking { client.flush(2.seconds) }
            assertTrue("certificate" in client.stats().lastError.orEmpty(), "${client.stats()}")
            assertEquals(0, client.stats().acked)
        }
        Footpath.start(wary.copy(caCertificate = tls.authority)).use { client ->
            assertEquals(1, client.settle().acked)
        }
    }

    @ParameterizedTest
    @EnumSource(names = ["GRPC", "HTTP"])
    fun `what is tracked offline arrives later`(carrier: Carrier) {
        server.stop()
        Footpath.start(config(carrier)).use { client ->
            repeat(500) { client.track(tag, "n" to it) }
            runBlocking { client.flush(300.milliseconds) }
            assertEquals(500, client.stats().pending)
        }
        Footpath.start(config(carrier)).use { client ->
            repeat(500) { client.track(tag, "n" to 500 + it) }
            server.start()
            client.resume()
            val stats = client.settle()
            assertEquals(1_000, stats.acked)
            assertEquals(0, stats.duplicates)
        }
        assertAll(1_000, tag)
    }

    @ParameterizedTest
    @EnumSource(names = ["GRPC", "HTTP"])
    fun `a wrong key is told once, and the right one goes on`(carrier: Carrier) = runBlocking {
        started()
        val client = Footpath.start(config(carrier).copy(key = "fp_dev_wrong"))
        val told = CopyOnWriteArrayList<Problem>()
        val telling = launch { client.problems.collect { told += it } }
        repeat(10) { client.track(tag, "n" to it) }
        val problem = withTimeout(10_000) { client.problems.first() }
        assertTrue(problem is Problem.Paused && problem.reason is Pause.Unauthenticated, "$problem")
        val paused = client.flush(2.seconds)
        assertTrue(paused.paused is Pause.Unauthenticated && paused.pending == 10L, "$paused")
        assertEquals(1, logged.size, "$logged")
        client.setKey(server.key)
        val stats = client.settle()
        assertEquals(10, stats.acked)
        assertEquals(null, stats.paused)
        assertEquals(listOf(problem), told.toList())
        telling.cancel()
        client.close()
    }

    @ParameterizedTest
    @EnumSource(names = ["GRPC", "HTTP"])
    fun `consent and the wish to be forgotten`(carrier: Carrier) = runBlocking {
        started()
        val client = Footpath.start(config(carrier))
        client.track("$tag-old", "n" to 0)
        client.track(tag, "n" to 1, person = Person("$tag-v", "$tag-a"))
        client.settle()
        assertEquals(1, arrived("$tag-old").size)
        client.deleteMyData()
        client.consent(Consent.DENIED)
        client.track(tag, "n" to 2)
        client.settle() // What waited is destroyed behind the call.
        client.consent(Consent.GRANTED)
        client.track(tag, "n" to 3)
        client.settle()
        assertEquals(1, client.stats().notWanted)
        client.close()
        val events = arrived(tag).associateBy { (it.properties["n"] as Double).toInt() }
        assertEquals(setOf(1, 3), events.keys)
        assertEquals(listOf("$tag-v", "$tag-a", ""), events.getValue(1).run { listOf(user, anonymous, session) })
    }

    @Test
    fun `identify and reset as the server sees them`() {
        started()
        Footpath.start(config(Carrier.GRPC)).use { client ->
            client.track(tag, "n" to 0)
            client.identify("$tag-u", "plan" to "pro")
            client.track(tag, "n" to 1)
            client.reset()
            client.track(tag, "n" to 2)
            client.settle()
        }
        val events = arrived(tag).associateBy { (it.properties["n"] as Double).toInt() }
        assertEquals(setOf(0, 1, 2), events.keys)
        val (first, known, other) = (0..2).map { events.getValue(it) }
        assertEquals(listOf("", "$tag-u", ""), listOf(first.user, known.user, other.user))
        assertEquals(first.anonymous, known.anonymous)
        assertEquals(first.session, known.session)
        assertNotEquals(first.anonymous, other.anonymous)
        assertNotEquals(first.session, other.session)
        assertEquals(1, server.events().count { it.name == "\$identify" && it.user == "$tag-u" })
    }

    @Test
    fun `what was tracked before the library was loaded has the time of the call`() {
        started()
        val loading = CountDownLatch(1)
        val client = Footpath.start(config(Carrier.GRPC)) { _, given -> given.also { loading.await() } }
        client.track("$tag-early")
        Thread.sleep(2_500)
        loading.countDown()
        client.settle()
        client.track("$tag-late")
        client.settle()
        client.close()
        val gap = arrived("$tag-late").single().seconds - arrived("$tag-early").single().seconds
        assertTrue(gap in 2..20, "$gap s")
    }

    @Test
    fun `a receipt is good after a restart`() = runBlocking {
        server.stop()
        val first = Footpath.start(config(Carrier.GRPC))
        val receipt = first.trackCritical(tag, "amount" to money("99.00", "EUR"))
        assertEquals(Receipt.Queued, receipt.awaitQueued(10.seconds))
        assertEquals(Receipt.Queued, receipt.await(200.milliseconds))
        val id = receipt.id!!
        first.close()
        val second = Footpath.start(config(Carrier.GRPC))
        assertEquals(Receipt.Queued, second.receipt(id).awaitQueued(10.seconds))
        server.start()
        second.resume()
        assertEquals(Receipt.Acked, second.receipt(id).await(30.seconds))
        second.close()
        assertEquals(id, arrived(tag).single().id)
    }

    @Test
    fun `a killed process loses nothing`() {
        started()
        val events = 5_000
        val child = Child.start(server.endpoint, server.key, "$folder/$tag", tag, events, "wait")
        child.inputReader().useLines { lines -> assertTrue(lines.any { it == "tracked" }, "the child tracks") }
        child.destroyForcibly().waitFor()
        assertEquals(137, child.exitValue())
        deliver(events)
        assertAll(events, tag)
    }

    @Test
    fun `a program that ends at once, and without close, loses nothing`() {
        started()
        val child = Child.start(server.endpoint, server.key, "$folder/$tag", tag, 1_000, "exit")
        assertEquals(0, child.waitFor())
        deliver(1_000)
        assertAll(1_000, tag)
    }

    /** Starts on the same folder and waits until so many events are there. */
    private fun deliver(events: Int) = Footpath.start(config(Carrier.GRPC)).use { client ->
        runBlocking {
            val start = TimeSource.Monotonic.markNow()
            while (arrived(tag).size < events && start.elapsedNow() < 20.seconds) client.flush(1.seconds)
        }
    }
}
