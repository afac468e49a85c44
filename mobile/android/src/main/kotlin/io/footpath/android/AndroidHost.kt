package io.footpath.android

import android.app.Application
import android.content.Context
import io.footpath.Footpath
import io.footpath.FootpathConfig
import io.footpath.Host
import kotlinx.coroutines.runBlocking
import java.io.File
import java.util.Locale
import java.util.TimeZone
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds

/** A client's place in an Android app: waits for the unlock, and follows activities, network and battery. */
internal class AndroidHost(
    private val app: Context,
    private val options: AndroidOptions,
    private val log: (String) -> Unit,
) : Host {
    private val unlock = Unlock(app)
    private val job = DeliveryJob.Order(app, options)

    /** One thread, which is there when there is something to do. What calls the system goes there, and not on the caller's. */
    private val worker = ThreadPoolExecutor(1, 1, 5, TimeUnit.SECONDS, LinkedBlockingQueue()) { work ->
        Thread(work, "footpath-android").apply { isDaemon = true }
    }.apply {
        allowCoreThreadTimeOut(true)
        // What comes after the end is nobody's.
        rejectedExecutionHandler = ThreadPoolExecutor.DiscardPolicy()
    }

    /** What ends with the client. */
    private val ending = ConcurrentLinkedQueue<() -> Unit>()

    @Volatile
    private var isOver = false

    /** On the caller's thread, and at once: the first activity or the job may be next. Only adds to lists. */
    fun attach(client: Footpath) {
        val known = Known(client)
        running += known
        ending += { running -= known }
        val application = app as? Application ?: return
        val activities = Activities(client, options) { later { inBackground(client) } }
        application.registerActivityLifecycleCallbacks(activities)
        ending += { application.unregisterActivityLifecycleCallbacks(activities) }
    }

    override fun prepare(client: Footpath, config: FootpathConfig): FootpathConfig {
        // Without a folder there is nothing that is sealed until then.
        if (config.queueFolder != null || options.queue != null) unlock.await()
        watch(client)
        if (isOver) end()
        return filled(config)
    }

    override fun closing() {
        isOver = true
        unlock.giveUp()
        end()
        worker.shutdown()
    }

    private fun end() = generateSequence(ending::poll).forEach(::quietly)

    private fun filled(config: FootpathConfig) = config.copy(
        queueFolder = config.queueFolder ?: options.queue?.let { File(app.noBackupFilesDir, it).path },
        app = config.app.ifEmpty { app.packageName },
        appVersion = config.appVersion.ifEmpty { version() },
        locale = config.locale.ifEmpty { Locale.getDefault().toLanguageTag() },
        timeZone = config.timeZone.ifEmpty { TimeZone.getDefault().id },
    )

    private fun version(): String = try {
        app.packageManager.getPackageInfo(app.packageName, 0).versionName.orEmpty()
    } catch (_: Exception) {
        ""
    }

    private fun watch(client: Footpath) {
        val saving = Saving { later { client.saveData(it) } }
        quietly {
            val link = Link(app, { later { client.tryNow() } }) { saving.metered = it && options.saveWhenMetered }
            link.begin()
            ending += link::end
        }
        if (options.saveInBatterySaver) quietly {
            val battery = Battery(app) { saving.battery = it }
            battery.begin()
            ending += battery::end
        }
    }

    /** The process may be frozen or killed at any moment from now on. */
    private fun inBackground(client: Footpath) {
        if (client.isDisabled) return
        if (options.job) quietly(job::place)
        Thread({ quietly { sendLast(client) } }, "footpath-background").apply { isDaemon = true }.start()
    }

    private fun sendLast(client: Footpath) {
        val flushed = runBlocking { client.flush(LAST) }
        if (!options.job) return
        // The order of a visit that came meanwhile may just have been withdrawn by the one before.
        if (flushed.complete) job.cancel() else job.place()
    }

    private fun later(work: () -> Unit) = worker.execute { quietly(work) }

    private fun quietly(work: () -> Unit) {
        try {
            work()
        } catch (failure: Throwable) {
            tell("something of Android does not work: $failure")
        }
    }

    private fun tell(message: String) {
        try {
            log(message)
        } catch (_: Throwable) {
            // A logger that fails must not fail the application.
        }
    }

    /** A client that a job finds. */
    inner class Known(private val client: Footpath) {
        /** Delivers what waits; whether it is worth trying again later. */
        suspend fun deliver(): Boolean {
            client.tryNow()
            val flushed = client.flush(options.jobTime)
            // What is paused needs somebody to act.
            return !flushed.complete && flushed.paused == null && !client.isDisabled
        }
    }

    companion object {
        private val LAST: Duration = 5.seconds

        /** The clients of this process. */
        val running = CopyOnWriteArrayList<Known>()
    }
}
