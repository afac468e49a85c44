package io.footpath

import java.io.ByteArrayOutputStream
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.nio.ByteBuffer
import java.time.Duration
import java.util.concurrent.CompletableFuture
import java.util.concurrent.CompletionStage
import java.util.concurrent.Flow
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread

/** Carries batches by `java.net.http`, on a thread of its own, until the client ends. One batch is out at a time. */
internal class HttpCarrier(config: FootpathConfig, private val core: NativeCore) {
    private val target = URI.create(config.endpoint.trimEnd('/') + "/v1/ingest")
    private val http = config.httpClient ?: HttpClient.newBuilder()
        // An upgrade on a plain connection is what middleboxes stumble over.
        .version(if (target.scheme == "https") HttpClient.Version.HTTP_2 else HttpClient.Version.HTTP_1_1)
        // A portal redirects; its answer would be another server's.
        .followRedirects(HttpClient.Redirect.NEVER)
        .connectTimeout(Duration.ofSeconds(10))
        .build()

    fun start() {
        thread(name = "footpath-http", isDaemon = true) {
            try {
                while (true) carry(core.nextBatch() ?: break)
            } catch (_: IllegalStateException) {
                // The client was let go of between two batches.
            }
        }
    }

    private fun carry(batch: io.footpath.ffi.Batch) {
        val response = try {
            send(batch)
        } catch (failure: Throwable) {
            core.reportFailure(batch.id, (failure.cause ?: failure).toString())
            return
        }
        fun header(name: String) = response.headers().firstValue(name).orElse(null)
        val (type, wait) = header("content-type") to header("retry-after")
        core.report(batch.id, response.statusCode(), type, wait, response.body())
    }

    private fun send(batch: io.footpath.ffi.Batch): HttpResponse<ByteArray> {
        val request = HttpRequest.newBuilder(target)
            .header("content-type", "application/x-protobuf")
            .header("authorization", batch.authorization)
            .POST(HttpRequest.BodyPublishers.ofByteArray(batch.body))
        batch.contentEncoding?.let { request.header("content-encoding", it) }
        // A request's own timeout ends with the headers; a body may stall as well.
        val answer = http.sendAsync(request.build()) { Limited() }
        try {
            return answer.get(TIMEOUT_SECONDS, TimeUnit.SECONDS)
        } finally {
            answer.cancel(true)
        }
    }

    /** An answer of the server is far smaller; a portal's page need not be read to its end. */
    private class Limited : HttpResponse.BodySubscriber<ByteArray> {
        private val body = CompletableFuture<ByteArray>()
        private val read = ByteArrayOutputStream()
        private lateinit var subscription: Flow.Subscription

        override fun getBody(): CompletionStage<ByteArray> = body

        override fun onSubscribe(subscription: Flow.Subscription) {
            this.subscription = subscription
            subscription.request(Long.MAX_VALUE)
        }

        override fun onNext(buffers: List<ByteBuffer>) {
            for (buffer in buffers) {
                val part = ByteArray(buffer.remaining())
                buffer.get(part)
                read.write(part)
            }
            if (read.size() > MOST) {
                subscription.cancel()
                onComplete()
            }
        }

        override fun onError(failure: Throwable) {
            body.completeExceptionally(failure)
        }

        override fun onComplete() {
            body.complete(read.toByteArray())
        }
    }

    private companion object {
        const val MOST = 4 shl 20
        const val TIMEOUT_SECONDS = 30L
    }
}
