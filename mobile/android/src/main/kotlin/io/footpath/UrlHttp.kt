package io.footpath

import android.net.TrafficStats
import java.io.ByteArrayOutputStream
import java.io.InputStream
import java.net.HttpURLConnection
import java.net.SocketTimeoutException
import java.net.URL
import java.util.concurrent.ScheduledThreadPoolExecutor
import java.util.concurrent.TimeUnit

/** Sends by Android's own `HttpURLConnection`. */
internal class UrlHttp(private val limitMillis: Long = 30_000) : Http {
    override fun post(url: String, headers: Map<String, String>, body: ByteArray): HttpAnswer {
        // StrictMode tells of sockets without a tag.
        TrafficStats.setThreadStatsTag(TAG)
        val end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(limitMillis)
        val connection = URL(url).openConnection() as HttpURLConnection
        // A connection's own time-outs begin anew with every byte that is read, and there is none for writing. What
        // closes it may wait for the lock of who reads it, so reading looks at the time itself, too.
        val limit = LIMITS.schedule({ connection.disconnect() }, limitMillis, TimeUnit.MILLISECONDS)
        var done = false
        try {
            val answer = exchange(connection, headers, body, end)
            done = answer.body.size < HttpAnswer.MOST_BYTES
            return answer
        } finally {
            limit.cancel(false)
            // What was read to its end is used again.
            if (!done) connection.disconnect()
        }
    }

    private fun exchange(
        connection: HttpURLConnection,
        headers: Map<String, String>,
        body: ByteArray,
        end: Long,
    ): HttpAnswer {
        connection.requestMethod = "POST"
        connection.doOutput = true
        connection.useCaches = false
        connection.instanceFollowRedirects = false
        connection.connectTimeout = CONNECT_MILLIS
        connection.readTimeout = limitMillis.toInt()
        headers.forEach(connection::setRequestProperty)
        connection.outputStream.use { it.write(body) }
        val status = connection.responseCode
        val stream = if (status >= 400) connection.errorStream else connection.inputStream
        return HttpAnswer(
            status,
            connection.getHeaderField("content-type"),
            connection.getHeaderField("retry-after"),
            stream?.use { read(it, end) } ?: ByteArray(0),
        )
    }

    private fun read(stream: InputStream, end: Long): ByteArray {
        val read = ByteArrayOutputStream()
        val part = ByteArray(8 shl 10)
        while (read.size() < HttpAnswer.MOST_BYTES) {
            val count = stream.read(part)
            if (count < 0) break
            if (System.nanoTime() - end > 0) throw SocketTimeoutException("no whole answer in $limitMillis ms")
            read.write(part, 0, count)
        }
        return read.toByteArray()
    }

    private companion object {
        const val TAG = 0x466f6f74 // "Foot"
        const val CONNECT_MILLIS = 10_000

        val LIMITS = ScheduledThreadPoolExecutor(1) { work ->
            Thread(work, "footpath-http-limit").apply { isDaemon = true }
        }.apply {
            removeOnCancelPolicy = true
            setKeepAliveTime(5, TimeUnit.SECONDS)
            allowCoreThreadTimeOut(true)
        }
    }
}
