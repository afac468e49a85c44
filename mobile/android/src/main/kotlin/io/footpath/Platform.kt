package io.footpath

import android.os.Build
import android.util.Log

/** What is different on Android and on the JVM. */
internal object Platform {
    const val LIBRARY = "footpath-android 0.1.0"

    /** The app's own stack knows the system's proxy and authorities, and what its network security configuration pins. */
    val carrier = Carrier.HTTP

    const val OS = "android"

    val osVersion: String
        get() = Build.VERSION.RELEASE.orEmpty()

    val deviceModel: String
        get() = "${Build.MANUFACTURER} ${Build.MODEL}"

    fun http(): Http = UrlHttp()

    fun log(message: String) {
        Log.w("Footpath", message)
    }
}
