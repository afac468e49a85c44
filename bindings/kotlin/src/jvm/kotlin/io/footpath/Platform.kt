package io.footpath

import java.util.logging.Level
import java.util.logging.Logger

/** What is different on the JVM and on Android. */
internal object Platform {
    const val LIBRARY = "footpath-kotlin 0.1.0"

    val carrier = Carrier.GRPC

    /** The core knows it. */
    const val OS = ""

    val deviceModel = ""

    val osVersion: String
        get() = System.getProperty("os.version").orEmpty()

    fun http(): Http = JavaHttp()

    fun log(message: String) = LOGGER.logp(Level.WARNING, "io.footpath.Footpath", null, message)

    private val LOGGER: Logger = Logger.getLogger("io.footpath")
}
