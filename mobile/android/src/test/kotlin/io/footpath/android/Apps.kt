package io.footpath.android

import android.app.Application
import android.os.Looper
import io.footpath.Footpath
import io.footpath.FootpathConfig
import io.footpath.Server
import org.junit.After
import org.junit.AfterClass
import org.junit.Assert.assertTrue
import org.junit.Before
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import java.util.concurrent.CopyOnWriteArrayList
import kotlin.time.Duration.Companion.milliseconds

/** An app, the real library, and the real server. */
abstract class Apps {
    protected val app: Application = RuntimeEnvironment.getApplication()
    protected val logged = CopyOnWriteArrayList<String>()
    private val clients = mutableListOf<Footpath>()
    protected lateinit var tag: String

    @Before
    fun names() {
        tag = "t" + System.nanoTime()
    }

    @After
    fun close() = clients.forEach { it.close() }

    protected fun online() {
        server.stop()
        server.start()
    }

    protected fun offline() = server.stop()

    protected fun config() = FootpathConfig(
        server.endpoint, server.key, "default", batchInterval = 20.milliseconds, log = { logged += it },
    )

    protected fun start(config: FootpathConfig = config(), options: AndroidOptions = AndroidOptions()): Footpath =
        FootpathAndroid.start(app, config, options).also { clients += it }

    /** With the queue open and the system's callbacks in place. */
    protected fun started(config: FootpathConfig = config(), options: AndroidOptions = AndroidOptions()): Footpath =
        start(config, options).also { client -> until("it has started: $logged") { client.stats().started } }

    protected fun arrived(client: Footpath) = server.events().filter { it.anonymous == client.identity()?.anonymousId }

    /** What the system posts to the main thread happens meanwhile. */
    protected fun until(what: String, seconds: Int = 20, holds: () -> Boolean) {
        val end = System.nanoTime() + seconds * 1_000_000_000L
        while (true) {
            shadowOf(Looper.getMainLooper()).idle()
            if (holds()) return
            assertTrue("not after $seconds s: $what", System.nanoTime() < end)
            Thread.sleep(10)
        }
    }

    companion object {
        @JvmStatic
        protected val server: Server by lazy { Server() }

        @JvmStatic
        @AfterClass
        fun stop() = server.stop()
    }
}
