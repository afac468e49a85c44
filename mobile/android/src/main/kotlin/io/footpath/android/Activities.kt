package io.footpath.android

import android.app.Activity
import android.app.Application
import android.os.Bundle
import io.footpath.Footpath
import java.util.Collections
import java.util.IdentityHashMap

/** Tracks activities. Everything happens on the main thread. */
internal class Activities(
    private val client: Footpath,
    private val options: AndroidOptions,
    private val onBackground: () -> Unit,
) : Application.ActivityLifecycleCallbacks {
    private val visible: MutableSet<Activity> = Collections.newSetFromMap(IdentityHashMap())

    /** Activities that have gone because the phone was turned or the like, and come again at once. */
    private var turning = 0

    override fun onActivityStarted(activity: Activity) = shown(activity)

    /** For a client that was made between an activity's start and here. */
    override fun onActivityResumed(activity: Activity) = shown(activity)

    override fun onActivityStopped(activity: Activity) {
        if (!visible.remove(activity)) return
        if (activity.isChangingConfigurations) {
            turning++
        } else if (visible.isEmpty()) {
            if (options.lifecycle) client.track("app_backgrounded")
            onBackground()
        }
    }

    private fun shown(activity: Activity) {
        val isFirst = visible.isEmpty()
        if (!visible.add(activity)) return
        if (turning > 0) {
            turning--
            return
        }
        if (isFirst && options.lifecycle) client.track("app_opened")
        if (options.screens) nameOf(activity)?.let { client.screen(it) }
    }

    private fun nameOf(activity: Activity): String? = try {
        options.screenName(activity)
    } catch (_: Exception) {
        activity.javaClass.simpleName
    }

    override fun onActivityCreated(activity: Activity, state: Bundle?) = Unit

    override fun onActivityPaused(activity: Activity) = Unit

    override fun onActivitySaveInstanceState(activity: Activity, state: Bundle) = Unit

    override fun onActivityDestroyed(activity: Activity) = Unit
}
