package com.example.shop

import io.footpath.Server
import org.junit.AfterClass
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.JUnitCore
import java.io.File
import java.util.zip.ZipFile

/** The sample as an app's build leaves it, in a process of its own, against the real server. */
class SampleTest {
    @get:Rule
    val folder = TemporaryFolder()

    private var before = 0
    private var said = ""
    private val built = System.getProperty("built")
    private val path = System.getProperty("surefire.test.class.path").split(File.pathSeparator)

    @Before
    fun online() {
        server.stop()
        server.start()
        before = server.events().size
    }

    @Test
    fun `it runs as it was written`() {
        val code = drive(path)
        assertEquals(said, 0, code)
        assertEquals(VISIT, seen())
    }

    @Test
    fun `it runs when it was shrunk with the rules of the AAR`() {
        val code = drive(shrunk("shrunk.jar"))
        assertEquals(said, 0, code)
        assertEquals(VISIT, seen())
    }

    @Test
    fun `it does not without them`() {
        assertNotEquals(0, drive(shrunk("shrunk-without-rules.jar")))
        assertTrue(said, "but was:<Paid[: Rejected(why=the client could not start: " in said)
        assertEquals(emptyList<String>(), seen())
    }

    @Test
    fun `the AAR has what an app's build looks for`() {
        val entries = ZipFile(File(built, "aar/footpath-android.aar")).use { zip ->
            zip.entries().asSequence().associate { it.name to zip.getInputStream(it).readBytes() }
        }
        val manifest = String(entries.getValue("AndroidManifest.xml"))
        for (part in listOf("minSdkVersion=\"26\"", "permission.INTERNET", "permission.ACCESS_NETWORK_STATE", "permission.BIND_JOB_SERVICE")) {
            assertTrue(part, part in manifest)
        }
        val service = Regex("<service\\s+android:name=\"([^\"]+)").find(manifest)!!.groupValues[1]
        val classes = ZipFile(File(built, "aar/footpath-android/classes.jar")).use { zip -> zip.entries().asSequence().map { it.name }.toSet() }
        assertTrue(service, service.replace('.', '/') + ".class" in classes)
        assertTrue("R.txt" in entries && "proguard.txt" in entries)
        assertTrue("$classes", classes.none { it.startsWith("kotlin") || it.startsWith("com/sun") })
    }

    /** Nothing that was shrunk stands there a second time. (Robolectric has a use of its own for Kotlin's library; what was shrunk
     * of it has other names.) */
    private fun shrunk(jar: String): List<String> {
        val inIt = listOf("footpath-android-classes", "jna-", "kotlinx-coroutines", "sample${File.separator}target${File.separator}classes")
        return listOf(File(built, jar).path) + path.filterNot { part -> inIt.any { it in part } }
    }

    private fun drive(classes: List<String>): Int {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val passed = listOf("robolectric.offline", "robolectric.dependency.dir", "jna.library.path")
        val properties = passed.map { "-D$it=${System.getProperty(it)}" } +
            listOf("-Dshop.endpoint=${server.endpoint}", "-Dshop.key=${server.key}")
        val all = listOf(configured().path) + classes + System.getProperty("monitor")
        val command = listOf(java) + properties + listOf("-cp", all.joinToString(File.pathSeparator), JUnitCore::class.java.name, Visit::class.java.name)
        val child = ProcessBuilder(command).redirectErrorStream(true).start()
        said = child.inputReader().readText()
        return child.waitFor()
    }

    /** Says to Robolectric where the app's manifest is. */
    private fun configured(): File {
        val config = File(folder.root, "com/android/tools/test_config.properties")
        config.parentFile.mkdirs()
        config.writeText("android_merged_manifest=${System.getProperty("manifest")}\nandroid_custom_package=com.example.shop\n")
        return folder.root
    }

    /** What came in by this test. */
    private fun seen(): List<String> = server.events().sortedBy { it.id }.drop(before).map { it.name }

    private companion object {
        val VISIT = listOf("app_opened", "screen_viewed", "item_added", "item_added", "\$identify", "order_paid", "app_backgrounded")
        val server = Server()

        @JvmStatic
        @AfterClass
        fun stop() = server.close()
    }
}
