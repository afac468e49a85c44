package io.footpath

import io.footpath.ffi.Batch
import kotlin.concurrent.thread

/** Sends bytes for [Carrier.HTTP]. One request is out at a time. */
fun interface Http {
    /**
     * Posts `body` and waits for the answer, at most half a minute. Throws where none came. Must not follow a redirect: a
     * portal redirects, and its answer would be another server's.
     */
    fun post(url: String, headers: Map<String, String>, body: ByteArray): HttpAnswer
}

/** What the server, or whatever is between, answered. */
class HttpAnswer(
    /** For example 200. */
    val status: Int,
    /** The header `content-type`. */
    val contentType: String?,
    /** The header `retry-after`. */
    val retryAfter: String?,
    /** The body. An answer of the server has less than [MOST_BYTES]; a portal's page need not be read to its end. */
    val body: ByteArray,
) {
    companion object {
        /** What of a body is worth reading. */
        const val MOST_BYTES: Int = 4 shl 20
    }
}

/** Carries batches by [Http], on a thread of its own, until the client ends. One batch is out at a time. */
internal class HttpCarrier(config: FootpathConfig, private val core: NativeCore) {
    private val target = config.endpoint.trimEnd('/') + "/v1/ingest"
    private val http = config.http ?: Platform.http()

    fun start() {
        thread(name = "footpath-http", isDaemon = true) {
            try {
                while (true) carry(core.nextBatch() ?: break)
            } catch (_: IllegalStateException) {
                // The client was let go of between two batches.
            }
        }
    }

    private fun carry(batch: Batch) {
        val answer = try {
            http.post(target, headers(batch), batch.body)
        } catch (failure: Throwable) {
            core.reportFailure(batch.id, (failure.cause ?: failure).toString())
            return
        }
        core.report(batch.id, answer.status, answer.contentType, answer.retryAfter, answer.body)
    }

    private fun headers(batch: Batch): Map<String, String> = buildMap {
        put("content-type", "application/x-protobuf")
        put("authorization", batch.authorization)
        batch.contentEncoding?.let { put("content-encoding", it) }
    }
}
