package io.footpath.android

import android.content.BroadcastReceiver
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.PowerManager

/** Whether to spend little, for any reason. Only changes are told, so that what the app says itself stands until the next. */
internal class Saving(private val onChange: (Boolean) -> Unit) {
    private var told = false

    var metered = false
        @Synchronized set(value) {
            field = value
            tell()
        }

    var battery = false
        @Synchronized set(value) {
            field = value
            tell()
        }

    private fun tell() {
        val saving = metered || battery
        if (saving != told) onChange(saving)
        told = saving
    }
}

/** Follows the battery saver. */
internal class Battery(private val app: Context, private val onSaver: (Boolean) -> Unit) : BroadcastReceiver() {
    private val power = app.getSystemService(PowerManager::class.java)

    fun begin() {
        app.registerReceiver(this, IntentFilter(PowerManager.ACTION_POWER_SAVE_MODE_CHANGED))
        onSaver(power.isPowerSaveMode)
    }

    fun end() = app.unregisterReceiver(this)

    override fun onReceive(context: Context, intent: Intent) = onSaver(power.isPowerSaveMode)
}
