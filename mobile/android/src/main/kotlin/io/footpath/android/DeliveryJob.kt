package io.footpath.android

import android.Manifest
import android.app.job.JobInfo
import android.app.job.JobParameters
import android.app.job.JobScheduler
import android.app.job.JobService
import android.content.ComponentName
import android.content.Context
import android.content.pm.PackageManager
import io.footpath.Platform
import kotlinx.coroutines.runBlocking

/** Delivers what was left when the app went to the background, also after its process was killed. */
class DeliveryJob : JobService() {
    @Volatile
    private var run: Run? = null

    /** `Application.onCreate` was before. */
    override fun onStartJob(parameters: JobParameters): Boolean {
        val clients = AndroidHost.running.toList()
        if (clients.isEmpty()) {
            Platform.log("nothing to deliver with: start Footpath in Application.onCreate")
            return false
        }
        run = Run(parameters, clients).also { it.start() }
        return true
    }

    /** The network is gone or the time is up; the system asks again later. */
    override fun onStopJob(parameters: JobParameters): Boolean {
        run?.interrupt()
        return true
    }

    private inner class Run(
        private val parameters: JobParameters,
        private val clients: List<AndroidHost.Known>,
    ) : Thread("footpath-job") {
        override fun run() {
            val again = try {
                runBlocking { clients.map { it.deliver() }.any { it } }
            } catch (_: InterruptedException) {
                return // The system has stopped the job itself.
            } catch (failure: Throwable) {
                Platform.log("the job has failed: $failure")
                true
            }
            jobFinished(parameters, again)
        }
    }

    /** Orders the job from the system. */
    internal class Order(private val app: Context, private val options: AndroidOptions) {
        private val scheduler by lazy { app.getSystemService(JobScheduler::class.java) }

        fun place() {
            val network = if (options.jobUnmetered) JobInfo.NETWORK_TYPE_UNMETERED else JobInfo.NETWORK_TYPE_ANY
            // To order it again would stop one that runs. (What is newer than `networkType` is not in API 26.)
            @Suppress("DEPRECATION")
            if (scheduler.getPendingJob(options.jobId)?.networkType == network) return
            val order = JobInfo.Builder(options.jobId, ComponentName(app, DeliveryJob::class.java))
                .setRequiredNetworkType(network)
                // By then what can be sent at once is sent, and the order withdrawn.
                .setMinimumLatency(WAIT_MILLIS)
                .setBackoffCriteria(BACKOFF_MILLIS, JobInfo.BACKOFF_POLICY_EXPONENTIAL)
                .setPersisted(outlivesRestart())
            scheduler.schedule(order.build())
        }

        fun cancel() = scheduler.cancel(options.jobId)

        private fun outlivesRestart(): Boolean =
            app.checkSelfPermission(Manifest.permission.RECEIVE_BOOT_COMPLETED) == PackageManager.PERMISSION_GRANTED
    }

    private companion object {
        const val WAIT_MILLIS = 15_000L
        const val BACKOFF_MILLIS = 30_000L
    }
}
