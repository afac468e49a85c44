package io.footpath.android

import android.Manifest
import android.app.job.JobInfo
import android.app.job.JobParameters
import android.app.job.JobScheduler
import io.footpath.Consent
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.shadow.api.Shadow
import java.nio.file.Files
import kotlin.time.Duration.Companion.milliseconds

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [26, 34])
@Suppress("DEPRECATION") // `networkType`
class JobTest : Apps() {
    private val scheduler = app.getSystemService(JobScheduler::class.java)

    private fun ordered(id: Int = AndroidOptions().jobId): JobInfo? = scheduler.getPendingJob(id)

    private fun openAndLeave() {
        Robolectric.buildActivity(ShopActivity::class.java).setup().pause().stop()
    }

    private val service by lazy { Robolectric.buildService(DeliveryJob::class.java).create().get() }

    private fun run() = service.onStartJob(Shadow.newInstanceOf(JobParameters::class.java))

    @Test
    fun `a job is ordered in the background while something waits`() {
        offline()
        started()
        assertNull(ordered())
        openAndLeave()
        until("ordered") { ordered() != null }
        val order = ordered()!!
        assertEquals(JobInfo.NETWORK_TYPE_ANY, order.networkType)
        assertEquals(DeliveryJob::class.java.name, order.service.className)
        assertEquals(listOf(30_000L, JobInfo.BACKOFF_POLICY_EXPONENTIAL), listOf(order.initialBackoffMillis, order.backoffPolicy))
        assertFalse("not without the permission", order.isPersisted)
    }

    @Test
    fun `the job's id and network are the app's choice, and it outlives a restart of the phone where it may`() {
        offline()
        shadowOf(app).grantPermissions(Manifest.permission.RECEIVE_BOOT_COMPLETED)
        started(options = AndroidOptions(jobId = 7, jobUnmetered = true))
        openAndLeave()
        until("ordered") { ordered(7) != null }
        assertEquals(JobInfo.NETWORK_TYPE_UNMETERED, ordered(7)!!.networkType)
        assertTrue(ordered(7)!!.isPersisted)
        assertEquals(1, scheduler.allPendingJobs.size)
    }

    @Test
    fun `what is sent at once needs no job`() {
        online()
        val client = started()
        openAndLeave()
        until("sent") { client.stats().run { tracked == 3L && pending == 0L } }
        until("withdrawn") { ordered() == null }
    }

    @Test
    fun `without the option no job is ordered`() {
        offline()
        started(options = AndroidOptions(job = false))
        openAndLeave()
        Thread.sleep(500)
        assertEquals(0, scheduler.allPendingJobs.size)
    }

    @Test
    fun `the job delivers what a killed process left`() {
        online()
        val folder = Files.createTempDirectory("footpath-killed").toString()
        val child = KilledApp.start(server.endpoint, server.key, folder, tag)
        offline()
        child.inputReader().useLines { lines -> assertTrue("the child tracks", lines.any { it.endsWith("tracked") }) }
        child.destroyForcibly().waitFor()
        assertEquals(137, child.exitValue())
        // The process of the job: the application starts its client, then comes the job.
        val client = start(config().copy(queueFolder = folder))
        assertTrue("it goes on behind the call", run())
        online()
        until("done", seconds = 120) { shadowOf(service).isJobFinished }
        assertFalse("nothing is left", shadowOf(service).isRescheduleNeeded)
        assertEquals(100, server.events().count { it.name == tag })
        assertEquals(100, client.stats().acked)
    }

    @Test
    fun `a job that could not deliver asks for another`() {
        offline()
        val client = started(options = AndroidOptions(jobTime = 300.milliseconds))
        client.track("waits")
        assertTrue(run())
        until("done") { shadowOf(service).isJobFinished }
        assertTrue(shadowOf(service).isRescheduleNeeded)
    }

    @Test
    fun `what is paused is not tried again and again`() {
        online()
        val client = started(config().copy(firstConsent = Consent.PENDING))
        client.track("waits")
        assertTrue(run())
        until("done") { shadowOf(service).isJobFinished }
        assertFalse(shadowOf(service).isRescheduleNeeded)
    }

    @Test
    fun `a job that the system stops ends without a word`() {
        offline()
        val client = started()
        client.track("waits")
        assertTrue(run())
        assertTrue("later again", service.onStopJob(Shadow.newInstanceOf(JobParameters::class.java)))
        until("its thread is gone") { Thread.getAllStackTraces().keys.none { it.name == "footpath-job" } }
        assertFalse(shadowOf(service).isJobFinished)
    }

    @Test
    fun `a client that could not start orders nothing`() {
        val client = start(config().copy(project = ""))
        until("disabled") { client.isDisabled }
        openAndLeave()
        Thread.sleep(300)
        assertNull(ordered())
        assertTrue(run())
        until("done") { shadowOf(service).isJobFinished }
        assertFalse(shadowOf(service).isRescheduleNeeded)
        assertTrue("$logged", logged.any { "could not start" in it })
    }

    @Test
    fun `without a client there is nothing to do`() = assertFalse(run())
}
