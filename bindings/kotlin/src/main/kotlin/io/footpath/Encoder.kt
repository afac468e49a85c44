package io.footpath

import com.sun.jna.Native
import com.sun.jna.Pointer
import java.math.BigDecimal
import java.math.BigInteger
import java.nio.Buffer
import java.nio.ByteBuffer
import java.time.Instant
import java.util.concurrent.atomic.AtomicReferenceArray

/** The value cannot be encoded. Without a stack trace: it is caught nearby, and may be thrown often. */
internal class NotEncodable(val why: String) : RuntimeException(why, null, false, false)

/**
 * Writes an event's frame: the fields of a `footpath.v1.Event` that are the application's, after a byte for its class.
 *
 * Bytes go into an array, which the JIT writes to best, and from there at once into memory that native code reads: that is
 * cheaper than handing an array through JNA.
 */
internal class Encoder {
    var bytes = ByteArray(1024)
        private set
    var length = 0
        private set

    private var direct: ByteBuffer? = null
    private var directAddress = 0L

    /** The address of native memory with what was encoded. It is good until the next event. */
    fun address(): Long {
        var buffer = direct
        if (buffer == null || buffer.capacity() < length) {
            buffer = ByteBuffer.allocateDirect(bytes.size)!!
            direct = buffer
            directAddress = Pointer.nativeValue(Native.getDirectBufferPointer(buffer))
        }
        // Android's older buffers have no `clear` of their own.
        (buffer as Buffer).clear()
        buffer.put(bytes, 0, length)
        return directAddress
    }

    fun copy(from: Int = 0): ByteArray = bytes.copyOfRange(from, length)

    /** Begins anew with raw content. */
    fun load(content: ByteArray) {
        length = 0
        room(content.size)
        content.copyInto(bytes)
        length = content.size
    }

    fun begin() {
        length = 0
    }

    /** Begins an event: class, name, time and person. Properties, changes and groups follow. */
    fun event(delivery: Delivery, name: String, person: Person?, time: Instant?) {
        length = 0
        byte(delivery.code)
        text(3, name)
        if (time != null) time(4, time)
        if (person != null) {
            person.anonymousId?.let { text(5, it) }
            person.userId?.let { text(6, it) }
        }
    }

    /** Entries of a `map<string, Value>`. The last value of a key stands, null is left out. */
    fun entries(field: Int, entries: Array<out Pair<String, Any?>>) {
        for (at in entries.indices) {
            val entry = entries[at]
            val value = entry.second ?: continue
            if (!comesAgain(entries, at)) entry(field, entry.first, value, 0)
        }
    }

    fun entries(field: Int, entries: Map<String, Any?>) {
        for ((key, value) in entries) {
            if (value != null) entry(field, key, value, 0)
        }
    }

    private fun comesAgain(entries: Array<out Pair<String, Any?>>, at: Int): Boolean {
        val key = entries[at].first
        for (later in at + 1 until entries.size) {
            if (entries[later].first == key) return true
        }
        return false
    }

    /** An entry of a `map<string, double>`. */
    fun number(field: Int, key: String, value: Double) {
        val entry = open(field)
        text(1, key)
        double(2, value)
        close(entry)
    }

    private fun entry(field: Int, key: String, value: Any, depth: Int) {
        val entry = open(field)
        text(1, key)
        val content = open(2)
        value(value, depth)
        close(content)
        close(entry)
    }

    /** The fields of a `footpath.v1.Value`. */
    fun value(value: Any, depth: Int = 0) {
        when (value) {
            is String -> text(1, value)
            is Int -> integer(2, value.toLong())
            is Long -> integer(2, value)
            is Double -> double(3, value)
            is Boolean -> integer(6, if (value) 1 else 0)
            is Float -> double(3, decimalOf(value))
            is Money -> money(value)
            is BigDecimal -> text(4, plain(value))
            is BigInteger -> text(4, plain(BigDecimal(value)))
            is Instant -> time(7, value)
            is Map<*, *> -> map(value, depth)
            is Iterable<*> -> list(value.iterator(), depth)
            is Array<*> -> list(value.iterator(), depth)
            is Short -> integer(2, value.toLong())
            is Byte -> integer(2, value.toLong())
            is Enum<*> -> text(1, value.name)
            is CharSequence -> text(1, value.toString())
            is Char -> text(1, value.toString())
            else -> throw NotEncodable("a ${value.javaClass.name} is no property's value")
        }
    }

    /** What people wrote: 0.1f is 0.1, not 0.10000000149011612. */
    private fun decimalOf(value: Float): Double =
        if (value == value.toInt().toFloat()) value.toDouble() else value.toString().toDouble()

    private fun plain(value: BigDecimal): String {
        if (value.precision() > 1_000 || value.scale() !in -1_000..1_000) {
            throw NotEncodable("a decimal has at most 1,000 digits")
        }
        return value.toPlainString()
    }

    private fun list(values: Iterator<Any?>, depth: Int) {
        deeper(depth)
        val list = open(8)
        for (value in values) {
            if (value == null) throw NotEncodable("a list holds no nulls")
            val item = open(1)
            value(value, depth + 1)
            close(item)
        }
        close(list)
    }

    private fun map(values: Map<*, *>, depth: Int) {
        deeper(depth)
        val map = open(9)
        for ((key, value) in values) {
            if (key !is String) throw NotEncodable("a map's keys are texts")
            if (value != null) entry(1, key, value, depth + 1)
        }
        close(map)
    }

    private fun deeper(depth: Int) {
        if (depth >= 5) throw NotEncodable("lists and maps are nested at most 5 deep")
    }

    private fun money(money: Money) {
        val text = money.amount
        val negative = text.startsWith('-')
        var at = if (negative || text.startsWith('+')) 1 else 0
        val first = at
        var units = 0L // Counted downwards: there is one more number below zero than above.
        while (at < text.length && text[at] in '0'..'9') {
            val digit = text[at++] - '0'
            if (units < (Long.MIN_VALUE + digit) / 10) throw wrong(money)
            units = units * 10 - digit
        }
        if (at == first || (!negative && units == Long.MIN_VALUE)) throw wrong(money)
        var nanos = 0
        if (at < text.length) {
            if (text[at++] != '.' || at == text.length || text.length - at > 9) throw wrong(money)
            var place = 100_000_000
            while (at < text.length) {
                if (text[at] !in '0'..'9') throw wrong(money)
                nanos -= (text[at++] - '0') * place
                place /= 10
            }
        }
        val message = open(5)
        text(1, money.currency)
        integer(2, if (negative) units else -units)
        integer(3, (if (negative) nanos else -nanos).toLong())
        close(message)
    }

    private fun wrong(money: Money) = NotEncodable(
        "\"${money.amount.take(40)}\" is not an amount: write digits with an optional sign and at most nine places",
    )

    /** A `google.protobuf.Timestamp`, to the microsecond as everywhere in Footpath. */
    private fun time(field: Int, time: Instant) {
        val message = open(field)
        integer(1, time.epochSecond)
        integer(2, (time.nano / 1_000 * 1_000).toLong())
        close(message)
    }

    fun integer(field: Int, value: Long) {
        room(20)
        varint((field shl 3).toLong())
        varint(value)
    }

    private fun double(field: Int, value: Double) {
        room(19)
        varint((field shl 3 or 1).toLong())
        var bits = value.toRawBits()
        repeat(8) {
            bytes[length++] = bits.toByte()
            bits = bits ushr 8
        }
    }

    /** Begins a message or a text of unknown length: one byte is kept for it, and the content moves if it needs more. */
    fun open(field: Int): Int {
        room(11)
        varint((field shl 3 or 2).toLong())
        return length++
    }

    fun close(mark: Int) {
        val size = length - mark - 1
        if (size < 0x80) {
            bytes[mark] = size.toByte()
            return
        }
        val more = if (size < 0x4000) 1 else if (size < 0x200000) 2 else 3
        room(more)
        System.arraycopy(bytes, mark + 1, bytes, mark + 1 + more, size)
        val end = length + more
        length = mark
        varint(size.toLong())
        length = end
    }

    fun text(field: Int, text: String) {
        val mark = open(field)
        val size = text.length
        room(size)
        val bytes = bytes
        val start = length
        var at = 0
        while (at < size) {
            val c = text[at].code
            if (c >= 0x80) break
            bytes[start + at++] = c.toByte()
        }
        length = start + at
        if (at < size) beyondAscii(text, at)
        close(mark)
    }

    /** What is no pair of surrogates becomes "?", as everywhere in Java. */
    private fun beyondAscii(text: String, from: Int) {
        room((text.length - from) * 3)
        var at = from
        while (at < text.length) {
            val c = text[at++]
            val code = when {
                !c.isSurrogate() -> c.code
                c.isHighSurrogate() && at < text.length && text[at].isLowSurrogate() ->
                    Character.toCodePoint(c, text[at++])
                else -> '?'.code
            }
            when {
                code < 0x80 -> byte(code.toByte())
                code < 0x800 -> {
                    byte((0xc0 or (code shr 6)).toByte())
                    tail(code)
                }
                code < 0x10000 -> {
                    byte((0xe0 or (code shr 12)).toByte())
                    tail(code shr 6)
                    tail(code)
                }
                else -> {
                    byte((0xf0 or (code shr 18)).toByte())
                    tail(code shr 12)
                    tail(code shr 6)
                    tail(code)
                }
            }
        }
    }

    private fun tail(code: Int) = byte((0x80 or (code and 0x3f)).toByte())

    private fun byte(value: Byte) {
        if (length == bytes.size) room(1)
        bytes[length++] = value
    }

    /** The caller has made room. */
    private fun varint(value: Long) {
        var rest = value
        while (rest and 0x7fL.inv() != 0L) {
            bytes[length++] = (rest.toInt() or 0x80).toByte()
            rest = rest ushr 7
        }
        bytes[length++] = rest.toByte()
    }

    private fun room(more: Int) {
        if (bytes.size - length < more) grow(more)
    }

    private fun grow(more: Int) {
        if (length.toLong() + more > MOST) throw TooLarge
        bytes = bytes.copyOf(maxOf(bytes.size * 2, length + more))
    }

    internal companion object {
        /** The core takes 32 KiB; a text's bytes are counted threefold before they are known. */
        private const val MOST = 1L shl 20

        /** Thrown where an event is larger than any that is taken. */
        val TooLarge = NotEncodable("an event has at most 32 KiB")
    }
}

/**
 * Encoders that are used again. A thread nearly always gets the one it had before; unlike a thread-local, it costs nothing
 * for each of a million virtual threads, and a hook or an iterator that tracks an event itself gets another one.
 */
internal class Encoders {
    private val kept = AtomicReferenceArray<Encoder?>(PLACES * SPREAD)

    fun take(): Encoder = kept.getAndSet(place(), null) ?: Encoder()

    fun give(encoder: Encoder) {
        if (encoder.bytes.size <= LARGEST_KEPT) kept.lazySet(place(), encoder)
    }

    private fun place(): Int = (Thread.currentThread().id.toInt() and (PLACES - 1)) * SPREAD

    private companion object {
        const val PLACES = 64

        /** References of one cache line each. */
        const val SPREAD = 16
        const val LARGEST_KEPT = 64 * 1024
    }
}
