package com.example.shop

import android.app.Application
import android.content.pm.PackageManager
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
        val settings = packageManager.getApplicationInfo(packageName, PackageManager.GET_META_DATA).metaData
        footpath = FootpathAndroid.start(
            this,
            FootpathConfig(
                endpoint = settings.getString("com.example.shop.ENDPOINT")!!,
                key = settings.getString("com.example.shop.KEY")!!,
                project = "default",
                keys = KeystoreKeys(this),
            ),
            AndroidOptions(screenName = { it.title.toString() }),
        )
    }
}
