package io.footpath

import java.io.File

/** A process of its own that tracks, and ends without a word ("exit"), or says so and waits for its end ("wait"). */
object Child {
    fun start(endpoint: String, key: String, folder: String, name: String, events: Int, end: String): Process {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val path = System.getProperty("surefire.test.class.path") ?: System.getProperty("java.class.path")
        val command = listOf(java, "-cp", path, Child::class.java.name, endpoint, key, folder, name, "$events", end)
        return ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    }

    @JvmStatic
    fun main(args: Array<String>) {
        val (endpoint, key, folder, name, events) = args
        val client = Footpath.start(FootpathConfig(endpoint, key, "default", queueFolder = folder))
        // Until the queue is open, what is tracked is in this process's memory only, and would die with it.
        while (args[5] == "wait" && !client.stats().started) Thread.sleep(1)
        repeat(events.toInt()) { client.track(name, "n" to it) }
        if (args[5] == "exit") return
        val stats = client.stats()
        check(stats.tracked == events.toLong()) { "$stats" }
        println("tracked")
        Thread.sleep(60_000)
    }
}
