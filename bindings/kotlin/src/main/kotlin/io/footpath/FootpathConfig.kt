package io.footpath

import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds

/** Who carries the batches. */
enum class Carrier {
    /** The native library, by gRPC. Not in the build for phones. */
    GRPC,

    /** The host, or [FootpathConfig.http]: `POST {endpoint}/v1/ingest`. For phones, for networks that let through nothing else, and
     * for a private authority. */
    HTTP,

    /** Nobody: batches stay in memory and are acknowledged at once. For tests. */
    MEMORY,
}

/** Settings. What is left out has the core's default. */
data class FootpathConfig(
    /** For example `https://events.example.com`. */
    val endpoint: String,
    /** The project key. */
    val key: String,
    /** The project's id; must be the key's project. */
    val project: String,
    /** Where the queue lies, made if needed; null: in memory, gone with the process. */
    val queueFolder: String? = null,
    /** Who carries the batches; by default [Carrier.GRPC] on the JVM and [Carrier.HTTP] on Android. */
    val carrier: Carrier = Platform.carrier,
    /** A backend: no person, session and device of its own; every event names its person. */
    val backend: Boolean = false,
    /** What holds on a new install until [Footpath.consent]; granted by default. */
    val firstConsent: Consent? = null,
    /** The app's name. */
    val app: String = "",
    /** The app's version. */
    val appVersion: String = "",
    /** BCP 47, for example "de-CH". */
    val locale: String = "",
    /** IANA name, for example "Europe/Zurich". */
    val timeZone: String = "",
    /** Looks at every event before it is taken, on the caller's thread: changes it, or leaves it out by answering null.
     * An event whose hook throws is left out. */
    val beforeSend: ((Event) -> Event?)? = null,
    /** Takes events of a name from a share of all persons only, 0 to 1. Critical ones are always taken. */
    val samples: Map<String, Double> = emptyMap(),
    /** Marks this process's events with the property `debug_view`. */
    val debugView: String? = null,
    /** Keeps the keys that seal the queue; null: it is not encrypted. */
    val keys: KeyStore? = null,
    /** Calls that may wait until the native library is loaded; what is more is dropped and counted. Their bytes are
     * bounded too, by 1 MiB. */
    val callsBeforeStart: Int = 10_000,
    /** [Footpath.close] waits so long for the disk. */
    val closeTimeout: Duration = 5.seconds,
    /** An event waits at most so long for company; 1 s by default. */
    val batchInterval: Duration? = null,
    /** Events of a batch, at most; 500 by default. */
    val batchEvents: Int? = null,
    /** Bytes of events of a batch, at most; 512 KiB by default. */
    val batchBytes: Long? = null,
    /** For [Carrier.GRPC]: an attempt without an answer ends after this; 30 s by default. */
    val requestTimeout: Duration? = null,
    /** For [Carrier.GRPC]: trusts servers whose certificate this authority (PEM) signed, instead of the well-known ones. */
    val caCertificate: ByteArray? = null,
    /** Bytes between `track` and the database; 8 MiB by default, 256 KiB for a queue in memory. */
    val ringBytes: Long? = null,
    /** Bytes of events that may wait for the server. */
    val maxBytes: Long? = null,
    /** Events that may wait for the server. */
    val maxEvents: Long? = null,
    /** Days after which an event that was not delivered is let go. */
    val maxAgeDays: Int? = null,
    /** Bytes an hour, before compression, while [Footpath.saveData] is on; 256 KiB by default. Critical events go all the same. */
    val savingBytesPerHour: Long? = null,
    /** For [Carrier.HTTP]: what to send with, for example with a proxy or an authority of its own; by default the platform's own
     * client. */
    val http: Http? = null,
    /** For tests: what is wrong with an event is thrown as a [FootpathException] instead of logged. */
    val strict: Boolean = false,
    /** Where warnings go; by default to the logger `io.footpath` of `java.util.logging`, and on Android to its log. */
    val log: (String) -> Unit = Platform::log,
) {
    /** Says nothing of the key. */
    override fun toString(): String = "FootpathConfig($endpoint, $project)"
}
