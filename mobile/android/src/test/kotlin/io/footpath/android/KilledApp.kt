package io.footpath.android

import io.footpath.FootpathConfig
import org.junit.Test
import org.junit.runner.JUnitCore
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.annotation.Config
import java.io.File

/** An app in a process of its own, which tracks and waits for its end. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [26, 34])
class KilledApp {
    @Test
    fun track() {
        fun given(name: String) = System.getProperty("killed.$name")
        // Nothing leaves it: it is offline.
        val config = FootpathConfig("http://127.0.0.1:1", given("key"), "default", queueFolder = given("folder"))
        val client = FootpathAndroid.start(RuntimeEnvironment.getApplication(), config)
        while (!client.stats().started) Thread.sleep(1)
        repeat(100) { client.track(given("tag"), "n" to it) }
        check(client.stats().tracked == 100L)
        println("tracked")
        Thread.sleep(60_000)
    }

    companion object {
        fun start(endpoint: String, key: String, folder: String, tag: String): Process {
            val java = File(System.getProperty("java.home"), "bin/java").path
            val path = System.getProperty("surefire.test.class.path") ?: System.getProperty("java.class.path")
            val passed = System.getProperties().stringPropertyNames().filter { it.startsWith("robolectric.") || it.startsWith("jna.") }
            val given = mapOf("endpoint" to endpoint, "key" to key, "folder" to folder, "tag" to tag)
            val properties = passed.map { "-D$it=${System.getProperty(it)}" } + given.map { (name, value) -> "-Dkilled.$name=$value" }
            val command = listOf(java) + properties + listOf("-cp", path, JUnitCore::class.java.name, KilledApp::class.java.name)
            return ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
        }
    }
}
