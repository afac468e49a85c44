package io.footpath.android

import android.content.BroadcastReceiver
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.UserManager
import java.util.concurrent.CountDownLatch

/**
 * Waits until the user has unlocked the phone once since its start. Until then the app's folders cannot be read: what is
 * not found there is not gone, and a new install id would be a second one.
 */
internal class Unlock(private val app: Context) {
    private val over = CountDownLatch(1)

    @Volatile
    private var givenUp = false

    fun await() {
        if (isUnlocked(app)) return
        val receiver = object : BroadcastReceiver() {
            override fun onReceive(context: Context, intent: Intent) = over.countDown()
        }
        app.registerReceiver(receiver, IntentFilter(Intent.ACTION_USER_UNLOCKED))
        try {
            // It may have been unlocked meanwhile.
            if (!isUnlocked(app)) over.await()
        } finally {
            app.unregisterReceiver(receiver)
        }
        check(!givenUp) { "closed before the phone was unlocked" }
    }

    fun giveUp() {
        givenUp = true
        over.countDown()
    }
}

internal fun isUnlocked(app: Context): Boolean = app.getSystemService(UserManager::class.java).isUserUnlocked
