package io.footpath

import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.assertThrows
import java.io.ByteArrayOutputStream
import java.math.BigDecimal
import java.math.BigInteger
import java.time.Instant

class EncoderTest {
    private enum class Plan { PRO }

    /** What a value is encoded as, in hexadecimal digits. */
    private fun value(value: Any): String = Encoder().run {
        begin()
        value(value)
        hex(copy())
    }

    private fun hex(bytes: ByteArray): String = bytes.joinToString("") { "%02x".format(it) }

    @Test
    fun `every kind of value is what protobuf says`() {
        assertEquals("0a0474657874", value("text"))
        assertEquals("0a00", value(""))
        assertEquals("1003", value(3))
        assertEquals("10ac02", value(300))
        assertEquals("10ffffffffffffffffff01", value(-1))
        assertEquals("10ffffffffffffffff7f", value(Long.MAX_VALUE))
        assertEquals("1080808080808080808001", value(Long.MIN_VALUE))
        assertEquals("1007", value(7.toShort()))
        assertEquals("19000000000000f83f", value(1.5))
        assertEquals("199a9999999999b93f", value(0.1f), "a float is the decimal that people wrote")
        assertEquals("190000000000001040", value(4f))
        assertEquals("3001", value(true))
        assertEquals("3000", value(false))
        assertEquals("220631322e333430", value(BigDecimal("12.340")))
        assertEquals("220431303030", value(BigDecimal("1E3")))
        assertEquals("22023432", value(BigInteger("42")))
        assertEquals("0a0350524f", value(Plan.PRO))
        assertEquals("3a06080110a09c01", value(Instant.ofEpochSecond(1, 20_999)), "to the microsecond")
        assertEquals("3a1108ffffffffffffffffff0110988cebdc03", value(Instant.ofEpochSecond(-1, 999_999_000)))
        assertEquals("42080a0210010a020a00", value(listOf(1, "")))
        assertEquals("42080a0210010a020a00", value(arrayOf<Any>(1, "")))
        assertEquals("4a090a070a016112021001", value(mapOf("a" to 1, "gone" to null)))
    }

    @Test
    fun `money is exact`() {
        assertEquals("2a0d0a03455552100c1880cab5ee01", value(money("12.50", "EUR")))
        assertEquals("2a090a0345555210001800", value(money("0", "EUR")))
        assertEquals("2a1b0a0343484610fdffffffffffffffff0118809be588ffffffffff01", value(money("-3.25", "CHF")))
        assertEquals("2a1b0a0343484610fdffffffffffffffff0118809be588ffffffffff01", value(money(BigDecimal("-3.2500000000000"), "CHF")))
        assertEquals("2a150a0345555210ffffffffffffffff7f18ff93ebdc03", value(money("+9223372036854775807.999999999", "EUR")))
        assertEquals("2a120a0345555210808080808080808080011800", value(money("-9223372036854775808", "EUR")))
        val wrong = listOf("", "-", ".5", "1.", "1.0000000000", "9223372036854775808", "1e3", "1,5", "--1", "٣", "1.x", "1E+99")
        for (amount in wrong) assertThrows<NotEncodable>(amount) { value(money(amount, "EUR")) }
        assertThrows<NotEncodable> { value(money(BigDecimal("1E+999999999"), "EUR")) }
    }

    @Test
    fun `what is no value is refused`() {
        val itself = mutableListOf<Any>()
        itself.add(itself)
        for (wrong in listOf(Any(), listOf(null), mapOf(1 to 2), itself, BigDecimal("1E999999999"), Thread.currentThread())) {
            assertThrows<NotEncodable> { value(wrong) }
        }
        value(listOf(listOf(listOf(listOf(listOf(1))))))
        assertThrows<NotEncodable> { value(listOf(listOf(listOf(listOf(listOf(listOf(1))))))) }
        assertThrows<NotEncodable> { value("x".repeat(2 shl 20)) }
    }

    @Test
    fun `text is the UTF-8 that Java makes of it`() {
        val texts = listOf("Grüße", "漢字", "👩‍🚀 go", "a\uD800b", "\uDC00", "x\uD83D", "é".repeat(70), "ab".repeat(9_000) + "ß")
        for (text in texts) {
            val utf8 = text.toByteArray()
            val expected = ByteArrayOutputStream().apply {
                write(0x0a)
                var size = utf8.size
                while (size >= 0x80) {
                    write(size and 0x7f or 0x80)
                    size = size ushr 7
                }
                write(size)
                write(utf8)
            }
            val encoder = Encoder().apply { value(text) }
            assertArrayEquals(expected.toByteArray(), encoder.copy(), text.take(20))
        }
    }

    @Test
    fun `an event is its class and its fields`() {
        val encoder = Encoder()
        encoder.event(Delivery.CRITICAL, "paid", Person("u", "a"), Instant.ofEpochSecond(1, 500_000_000))
        val pairs = arrayOf<Pair<String, Any?>>("n" to 1, "gone" to null, "n" to 2)
        encoder.entries(11, pairs)
        val expected = "01" + "1a0470616964" + "220808011080cab5ee01" + "2a0161" + "320175" + "5a070a016e12021002"
        assertEquals(expected, hex(encoder.copy()))
        encoder.event(Delivery.LOSSY, "x", null, null)
        assertEquals("031a0178", hex(encoder.copy()), "nothing is left of the event before")
    }

    @Test
    fun `a message of any length gets its length`() {
        for (size in listOf(0, 1, 127, 128, 16_383, 16_384, 70_000)) {
            val encoder = Encoder()
            val mark = encoder.open(3)
            encoder.load(encoder.copy() + ByteArray(size) { 7 })
            encoder.close(mark)
            val bytes = encoder.copy()
            var (at, length, shift) = Triple(1, 0, 0)
            do {
                length = length or (bytes[at].toInt() and 0x7f shl shift)
                shift += 7
            } while (bytes[at++] < 0)
            assertEquals(size, length)
            assertEquals(List(size) { 7.toByte() }, bytes.drop(at))
        }
    }
}
