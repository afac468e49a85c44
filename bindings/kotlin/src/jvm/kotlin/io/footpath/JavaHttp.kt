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

/** Sends by `java.net.http`. A `client` of the application's own must not follow redirects. */
class JavaHttp(private val client: HttpClient? = null) : Http {
    /** Made when the first batch goes out, in the way its server speaks. */
    private var made: HttpClient? = null

    override fun post(url: String, headers: Map<String, String>, body: ByteArray): HttpAnswer {
        val target = URI.create(url)
        val request = HttpRequest.newBuilder(target).POST(HttpRequest.BodyPublishers.ofByteArray(body))
        headers.forEach(request::header)
        // A request's own timeout ends with the headers; a body may stall as well.
        val coming = client(target).sendAsync(request.build()) { Limited() }
        try {
            val answer = coming.get(TIMEOUT_SECONDS, TimeUnit.SECONDS)
            fun header(name: String) = answer.headers().firstValue(name).orElse(null)
            return HttpAnswer(answer.statusCode(), header("content-type"), header("retry-after"), answer.body())
        } finally {
            coming.cancel(true)
        }
    }

    private fun client(target: URI): HttpClient = client ?: made ?: HttpClient.newBuilder()
        // An upgrade on a plain connection is what middleboxes stumble over.
        .version(if (target.scheme == "https") HttpClient.Version.HTTP_2 else HttpClient.Version.HTTP_1_1)
        // A portal redirects; its answer would be another server's.
        .followRedirects(HttpClient.Redirect.NEVER)
        .connectTimeout(Duration.ofSeconds(10))
        .build()
        .also { made = it }

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
            if (read.size() > HttpAnswer.MOST_BYTES) {
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
        const val TIMEOUT_SECONDS = 30L
    }
}
