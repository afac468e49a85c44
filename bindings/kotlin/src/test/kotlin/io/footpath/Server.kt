package io.footpath

import java.io.BufferedReader
import java.net.ServerSocket
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.file.Files
import java.nio.file.Path
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread

/** The real server, in a folder and on a port of its own; it can be stopped and started again. */
class Server(tls: Boolean = false) : AutoCloseable {
    private val folder: Path = Files.createTempDirectory("footpath-server")
    private val port = ServerSocket(0).use { it.localPort }
    private var process: Process? = null
    private val certificate: Path? = if (tls) certify() else null
    val endpoint = "${if (tls) "https" else "http"}://127.0.0.1:$port"
    val authority: ByteArray? get() = certificate?.let(Files::readAllBytes)
    val key: String
    private val token: String

    init {
        key = start().first { it.startsWith("project key: ") }.removePrefix("project key: ")
        stop()
        val made = ProcessBuilder(PROGRAM, "token", "--data", "$folder", "--role", "analyst").start()
        token = made.inputReader().readText().trim()
        check(made.waitFor() == 0) { made.errorReader().readText() }
    }

    /** Starts it and waits until it listens; what it said until then. */
    fun start(): List<String> {
        val command = listOf(
            PROGRAM, "serve", "--data", "$folder", "--listen", "127.0.0.1:$port", "--admin-listen", "127.0.0.1:0",
            "--until-stdin-closes",
        ) + certificate?.let { listOf("--tls-cert", "$it", "--tls-key", "$folder/tls.key") }.orEmpty()
        val process = ProcessBuilder(command).redirectErrorStream(true).start()
        this.process = process
        val said = mutableListOf<String>()
        val output: BufferedReader = process.inputReader()
        while (true) {
            val line = output.readLine() ?: error("the server has ended: $said")
            said += line
            if (line.startsWith("open: ") || line.contains("listening")) break
        }
        thread(isDaemon = true) { runCatching { output.forEachLine { } } }
        return said
    }

    /** A certificate that is its own authority, as the operator's guide makes it. */
    private fun certify(): Path {
        val certificate = folder.resolve("tls.pem")
        val openssl = ProcessBuilder(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
            "-keyout", "$folder/tls.key", "-out", "$certificate",
        ).redirectErrorStream(true).start()
        val said = openssl.inputReader().readText()
        check(openssl.waitFor() == 0) { said }
        return certificate
    }

    fun stop() {
        val process = process ?: return
        this.process = null
        process.outputStream.close()
        check(process.waitFor(30, TimeUnit.SECONDS)) { "the server does not stop" }
    }

    override fun close() {
        stop()
        folder.toFile().deleteRecursively()
    }

    class Stored(
        val id: String,
        val name: String,
        val anonymous: String,
        val user: String,
        val session: String,
        val seconds: Long,
        val properties: Map<String, Any?>,
    )

    /** All events that it has, by gRPC-Web. */
    fun events(): List<Stored> {
        val events = mutableListOf<Stored>()
        var page = ""
        do {
            val request = Encoder().apply {
                begin()
                text(1, "default")
                integer(5, 1_000)
                text(6, page)
            }
            val answer = call("footpath.v1.QueryService/ListEvents", request.copy())
            fields(answer).filter { it.first == 1 }.mapTo(events) { stored(it.second as ByteArray) }
            page = fields(answer).find { it.first == 2 }?.let { String(it.second as ByteArray) }.orEmpty()
        } while (page.isNotEmpty())
        return events
    }

    private fun call(method: String, message: ByteArray): ByteArray {
        val framed = ByteBuffer.allocate(5 + message.size).put(0).putInt(message.size).put(message).array()
        val request = HttpRequest.newBuilder(URI("$endpoint/$method"))
            .header("content-type", "application/grpc-web+proto")
            .header("authorization", "Bearer $token")
            .POST(HttpRequest.BodyPublishers.ofByteArray(framed))
        val answer = HTTP.send(request.build(), HttpResponse.BodyHandlers.ofByteArray())
        val body = ByteBuffer.wrap(answer.body())
        check(answer.statusCode() == 200 && body.remaining() > 5 && body.get() == 0.toByte()) {
            "$method: ${answer.statusCode()} ${answer.headers().map()} ${String(answer.body())}"
        }
        return ByteArray(body.getInt()).also { body.get(it) }
    }

    private fun stored(bytes: ByteArray): Stored {
        val fields = fields(bytes)
        fun text(number: Int) = fields.find { it.first == number }?.let { String(it.second as ByteArray) }.orEmpty()
        val struct = fields.find { it.first == 10 }?.second as ByteArray? ?: ByteArray(0)
        val properties = fields(struct).associate { (_, entry) ->
            val pair = fields(entry as ByteArray).associate { it }
            String(pair[1] as ByteArray) to fields(pair[2] as ByteArray).firstOrNull()?.let { (kind, value) ->
                when (kind) {
                    2 -> Double.fromBits(value as Long)
                    3 -> String(value as ByteArray)
                    4 -> value == 1L
                    else -> value
                }
            }
        }
        val time = fields.find { it.first == 3 }?.second as ByteArray
        val seconds = fields(time).find { it.first == 1 }?.second as Long
        return Stored(text(1), text(2), text(7), text(8), text(9), seconds, properties)
    }

    private companion object {
        val PROGRAM: String = checkNotNull(System.getenv("FOOTPATH_BIN")) { "FOOTPATH_BIN names the server's program" }
        val HTTP: HttpClient = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build()

        /** A message's fields: bytes, or a number. */
        fun fields(message: ByteArray): List<Pair<Int, Any>> {
            val rest = ByteBuffer.wrap(message).order(ByteOrder.LITTLE_ENDIAN)
            fun varint(): Long {
                var (value, shift) = 0L to 0
                while (true) {
                    val byte = rest.get().toLong()
                    value = value or (byte and 0x7f shl shift)
                    shift += 7
                    if (byte >= 0) return value
                }
            }
            return buildList {
                while (rest.hasRemaining()) {
                    val tag = varint().toInt()
                    val value: Any = when (tag and 7) {
                        0 -> varint()
                        1 -> rest.getLong()
                        2 -> ByteArray(varint().toInt()).also { rest.get(it) }
                        else -> error("wire type ${tag and 7}")
                    }
                    add(tag ushr 3 to value)
                }
            }
        }
    }
}
