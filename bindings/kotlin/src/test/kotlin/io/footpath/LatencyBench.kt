package io.footpath

import com.sun.jna.Native
import com.sun.jna.Pointer
import kotlinx.coroutines.runBlocking
import java.nio.ByteBuffer
import java.nio.file.Files
import java.util.Locale
import kotlin.time.Duration.Companion.seconds

/*
 * What `track` costs its caller: bursts of 20,000 calls of an event with five properties, encoding included, beside an
 * empty loop that only reads the clock. Medians over the bursts. Run it with `build.sh bench`.
 */

private const val CALLS = 20_000
private const val BURSTS = 20
private const val WARM_UP = 15

fun main(args: Array<String>) {
    val cores = Runtime.getRuntime().availableProcessors()
    println("Java ${System.getProperty("java.version")}, $cores cores; $BURSTS bursts of $CALLS calls, in microseconds")
    println(String.format("%-42s %8s %8s %8s %9s", "", "p50", "p99", "p99.9", "max"))
    show("empty loop") { burst { } }
    val folder = Files.createTempDirectory("footpath-bench")
    val config = FootpathConfig("http://127.0.0.1:1", "key", "bench", folder.toString(), Carrier.MEMORY, strict = true)
    val began = System.nanoTime()
    val client = Footpath.start(config)
    val returned = System.nanoTime()
    runBlocking { client.flush(30.seconds) }
    val ready = System.nanoTime()
    var n = 0
    val emptied = { runBlocking { check(client.flush(60.seconds).complete) } }
    show("track, five properties", emptied) {
        burst {
            client.track(
                "checkout_started",
                "amount" to money("12.50", "EUR"),
                "items" to n++,
                "plan" to "pro",
                "ratio" to 0.25,
                "first" to true,
            )
        }
    }
    show("track, no properties", emptied) { burst { client.track("page_viewed") } }
    show("encoding alone, five properties") {
        val encoder = Encoder()
        burst { encode(encoder, n++) }
    }
    if ("--jna" in args) passing(client)
    val stats = client.stats()
    println("tracked ${stats.tracked}, acked ${stats.acked}, refused ${stats.refusedFull}")
    println("start returned after ${(returned - began) / 1_000} us, events went to the core after ${(ready - began) / 1_000_000} ms")
    client.close()
    folder.toFile().deleteRecursively()
}

private fun encode(encoder: Encoder, n: Int) {
    encoder.event(Delivery.NORMAL, "checkout_started", null, null)
    val entries = arrayOf<Pair<String, Any?>>(
        "amount" to money("12.50", "EUR"),
        "items" to n,
        "plan" to "pro",
        "ratio" to 0.25,
        "first" to true,
    )
    encoder.entries(11, entries)
}

/** Nanoseconds of each call. */
private inline fun burst(call: () -> Unit): LongArray {
    val took = LongArray(CALLS)
    for (at in took.indices) {
        val start = System.nanoTime()
        call()
        took[at] = System.nanoTime() - start
    }
    return took
}

private fun show(what: String, after: () -> Unit = {}, run: () -> LongArray) {
    repeat(WARM_UP) {
        run()
        after()
    }
    val bursts = List(BURSTS) { run().also { after() }.apply { sort() } }
    fun median(at: (LongArray) -> Long): Double = bursts.map(at).sorted()[BURSTS / 2] / 1_000.0
    val figures = listOf(
        median { it[it.size / 2] },
        median { it[it.size * 99 / 100] },
        median { it[it.size * 999 / 1000] },
        median { it.last() },
    )
    println(String.format(Locale.ROOT, "%-42s %8.2f %8.2f %8.2f %9.2f", what, *figures.toTypedArray()))
}

/** Ways to hand bytes through JNA: an unknown handle makes the native side return at once. */
private fun passing(client: Footpath) {
    check(client.stats().started)
    Native.register(Ways::class.java, System.getProperty("uniffi.component.footpath.libraryOverride") ?: "footpath")
    val encoder = Encoder()
    encode(encoder, 7)
    val bytes = encoder.copy()
    val size = bytes.size.toLong()
    val direct = ByteBuffer.allocateDirect(1024)
    val pointer = Native.getDirectBufferPointer(direct)
    val address = Pointer.nativeValue(pointer)
    fun each(what: String, call: () -> Unit) {
        val per = { (1..200).forEach { _ -> call() } }
        repeat(500) { per() }
        val took = LongArray(500) { System.nanoTime().let { start -> per(); System.nanoTime() - start } }.sorted()
        println(String.format(Locale.ROOT, "  %-40s %6d ns a call", what, took[250] / 200))
    }
    println("handing ${bytes.size} bytes through JNA, without the core's work:")
    each("copy into direct memory, pass its address") {
        direct.clear()
        direct.put(bytes)
        Ways.footpath_track(0L, address, size)
    }
    each("write through Pointer, pass the Pointer") {
        pointer.write(0, bytes, 0, bytes.size)
        Ways.footpath_track(0L, pointer, size)
    }
    each("copy into direct memory, pass the buffer") {
        direct.clear()
        direct.put(bytes)
        direct.clear()
        Ways.footpath_track(0L, direct, size)
    }
    each("pass the byte array") { Ways.footpath_track(0L, bytes, size) }
    each("byte by byte into direct memory, address") {
        direct.clear()
        for (byte in bytes) direct.put(byte)
        Ways.footpath_track(0L, address, size)
    }
}

private object Ways {
    @JvmStatic
    external fun footpath_track(handle: Long, ptr: Long, len: Long): Long

    @JvmStatic
    external fun footpath_track(handle: Long, ptr: Pointer, len: Long): Long

    @JvmStatic
    external fun footpath_track(handle: Long, ptr: ByteBuffer, len: Long): Long

    @JvmStatic
    external fun footpath_track(handle: Long, ptr: ByteArray, len: Long): Long
}
