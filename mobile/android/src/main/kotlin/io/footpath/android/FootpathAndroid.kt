package io.footpath.android

import android.content.Context
import io.footpath.Footpath
import io.footpath.FootpathConfig

/** Footpath in an Android app. */
object FootpathAndroid {
    /**
     * Starts a client; to be called in `Application.onCreate`, so that a job finds it. Returns at once, as [Footpath.start]
     * does, and touches neither disk nor library: on a phone that was not unlocked since its start, both wait for that.
     *
     * Fills in what [config] leaves out: the queue's folder, the app and its version, locale and time zone.
     */
    @JvmStatic
    @JvmOverloads
    fun start(context: Context, config: FootpathConfig, options: AndroidOptions = AndroidOptions()): Footpath {
        // Null in a content provider and in `attachBaseContext`.
        val app = context.applicationContext ?: context
        val host = AndroidHost(app, options, config.log)
        val client = Footpath.start(config, host)
        host.attach(client)
        return client
    }
}
