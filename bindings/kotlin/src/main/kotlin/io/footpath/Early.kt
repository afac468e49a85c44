package io.footpath

import java.util.concurrent.atomic.LongAdder

/** Calls that wait for the native library, in order. */
internal class Early(private val mostCalls: Int) {
    enum class Kept { WAITS, DROPPED, TOO_LATE }

    private class Call(val weight: Int, val run: (NativeCore?) -> Unit)

    private val lock = Any()
    private val calls = ArrayDeque<Call>()
    private var bytes = 0
    private var over = false

    /** Calls that found no place. */
    val dropped = LongAdder()

    /** Keeps a call. [Kept.TOO_LATE]: nothing waits any more, it goes straight to the core. */
    fun put(size: Int, run: (NativeCore?) -> Unit): Kept {
        val weight = size + OVERHEAD
        synchronized(lock) {
            if (over) return Kept.TOO_LATE
            if (calls.size < mostCalls && bytes + weight <= MOST_BYTES) {
                calls.addLast(Call(weight, run))
                bytes += weight
                return Kept.WAITS
            }
        }
        dropped.increment()
        return Kept.DROPPED
    }

    fun waiting(): Int = synchronized(lock) { calls.size }

    /** Runs what waits, and then opens the way, without a gap in which a later call could overtake. */
    fun handOver(core: NativeCore, open: () -> Unit) {
        while (true) {
            val call = synchronized(lock) {
                val next = calls.removeFirstOrNull()
                if (next == null) {
                    open()
                    over = true
                    return
                }
                bytes -= next.weight
                next
            }
            call.run(core)
        }
    }

    /** There will be no core: what waits is dropped, and counted. The answer tells those who wait for it. */
    fun giveUp(): () -> Unit {
        val lost = synchronized(lock) {
            over = true
            calls.toList().also { calls.clear() }
        }
        dropped.add(lost.size.toLong())
        return { lost.forEach { it.run(null) } }
    }

    private companion object {
        /** As the core counts what waits for its storage. */
        const val OVERHEAD = 64
        const val MOST_BYTES = 1 shl 20
    }
}
