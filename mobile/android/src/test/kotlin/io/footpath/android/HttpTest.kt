package io.footpath.android

import io.footpath.HttpAnswer
import io.footpath.Pause
import io.footpath.UrlHttp
import kotlinx.coroutines.runBlocking
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config
import java.io.IOException
import java.net.ServerSocket
import java.net.Socket
import kotlin.concurrent.thread
import kotlin.time.Duration.Companion.seconds

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [26, 34])
class HttpTest : Apps() {
    /** A server that answers every connection in the same way; what it was asked is what it reads. */
    private fun answering(answer: (Socket) -> Unit): String {
        val listener = ServerSocket(0)
        thread(isDaemon = true) {
            while (true) {
                val socket = listener.accept()
                thread(isDaemon = true) { runCatching { socket.use(answer) } }
            }
        }
        return "http://127.0.0.1:${listener.localPort}/v1/ingest"
    }

    private fun Socket.asked(): String {
        val bytes = ByteArray(10_000)
        var text = ""
        while (!text.endsWith("body")) text += String(bytes, 0, inputStream.read(bytes).coerceAtLeast(0))
        return text
    }

    private fun post(url: String, http: UrlHttp = UrlHttp(2_000)) =
        http.post(url, mapOf("content-type" to "text/x", "authorization" to "Bearer k"), "body".toByteArray())

    @Test
    fun `a request and its answer`() {
        var asked = ""
        val url = answering {
            asked = it.asked()
            it.outputStream.write("HTTP/1.1 429 Slow\r\nretry-after: 7\r\ncontent-type: a/b\r\ncontent-length: 2\r\n\r\nno".toByteArray())
        }
        val answer = post(url)
        assertEquals(listOf(429, "a/b", "7", "no"), listOf(answer.status, answer.contentType, answer.retryAfter, String(answer.body)))
        assertTrue(asked, asked.startsWith("POST /v1/ingest") && "bearer k" in asked.lowercase() && "text/x" in asked)
    }

    @Test
    fun `a portal's redirect is not followed`() {
        val elsewhere = answering { error("followed") }
        val url = answering {
            it.asked()
            it.outputStream.write("HTTP/1.1 302 Found\r\nlocation: $elsewhere\r\ncontent-length: 0\r\n\r\n".toByteArray())
        }
        assertEquals(302, post(url).status)
    }

    @Test
    fun `a portal's endless page is not read to its end`() {
        val url = answering {
            it.asked()
            it.outputStream.write("HTTP/1.1 200 OK\r\n\r\n".toByteArray())
            while (true) it.outputStream.write(ByteArray(65_536))
        }
        assertTrue(post(url, UrlHttp(20_000)).body.size in HttpAnswer.MOST_BYTES..HttpAnswer.MOST_BYTES + 8_192)
    }

    @Test
    fun `an answer that trickles for ever is given up`() {
        val url = answering {
            it.asked()
            it.outputStream.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".toByteArray())
            while (true) {
                it.outputStream.write(1)
                Thread.sleep(100)
            }
        }
        val begin = System.nanoTime()
        assertThrows(IOException::class.java) { post(url, UrlHttp(1_000)) }
        // Its thousand bytes would take a hundred seconds.
        assertTrue(System.nanoTime() - begin in 900_000_000..50_000_000_000)
    }

    @Test
    fun `the real server's refusal of a key is understood`() {
        online()
        val client = started(config().copy(key = "fp_dev_wrong"))
        client.track(tag)
        runBlocking { assertTrue(client.flush(10.seconds).paused is Pause.Unauthenticated) }
        client.setKey(server.key)
        runBlocking { assertTrue(client.flush(10.seconds).complete) }
        assertEquals(1, arrived(client).size)
    }
}
