package io.footpath.android

import android.app.Activity
import kotlin.time.Duration
import kotlin.time.Duration.Companion.minutes

/** What the client does on its own on Android. */
data class AndroidOptions(
    /** The queue's folder in the app's `noBackupFilesDir`; null: in memory, gone with the process. A client for another project
     * needs another one. [io.footpath.FootpathConfig.queueFolder], where it is set, stands. */
    val queue: String? = "footpath",
    /** Tracks `app_opened` and `app_backgrounded`. */
    val lifecycle: Boolean = true,
    /** Tracks `screen_viewed` when an activity becomes visible. */
    val screens: Boolean = true,
    /** What an activity's screen is called; null: it is none. On the main thread. */
    val screenName: (Activity) -> String? = { it.javaClass.simpleName },
    /** Spends little while the network is metered, as by [io.footpath.Footpath.saveData]. */
    val saveWhenMetered: Boolean = true,
    /** Spends little while the battery saver is on. */
    val saveInBatterySaver: Boolean = true,
    /** Lets the system's JobScheduler deliver what is left when the app has gone to the background. */
    val job: Boolean = true,
    /** The job's id. It must not be the id of another job of the app. */
    val jobId: Int = 0x466f6f74,
    /** The job waits for a network that is not metered. */
    val jobUnmetered: Boolean = false,
    /** How long a job tries. The system ends one after ten minutes. */
    val jobTime: Duration = 3.minutes,
)
