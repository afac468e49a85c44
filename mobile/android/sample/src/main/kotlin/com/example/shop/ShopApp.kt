package com.example.shop

import android.app.Application
import io.footpath.Footpath
import io.footpath.FootpathConfig
import io.footpath.android.AndroidOptions
import io.footpath.android.FootpathAndroid
import io.footpath.android.KeystoreKeys

/** A shop that tracks. The client is made here, so that the system's job finds it, too. */
class ShopApp : Application() {
    lateinit var footpath: Footpath
        private set

    override fun onCreate() {
        super.onCreate()
        footpath = FootpathAndroid.start(
            this,
            FootpathConfig(
                endpoint = setting("endpoint", "https://events.example.com"),
                key = setting("key", "fp_dev_..."),
                project = "default",
                keys = KeystoreKeys(this),
            ),
            AndroidOptions(screenName = { it.title.toString() }),
        )
    }

    /** A real app has these from its build; the tests name a server of theirs. */
    private fun setting(name: String, default: String): String = System.getProperty("shop.$name", default)!!
}
