package io.footpath.android

import android.Manifest
import android.app.Activity
import android.content.Intent
import android.content.pm.PackageInfo
import android.net.ConnectivityManager
import android.net.NetworkCapabilities
import android.os.Build
import android.os.PowerManager
import android.os.UserManager
import io.footpath.Footpath
import io.footpath.Http
import kotlinx.coroutines.runBlocking
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.shadows.ShadowNetwork
import org.robolectric.shadows.ShadowNetworkCapabilities
import java.io.File
import java.io.IOException
import java.util.TimeZone
import java.util.concurrent.atomic.AtomicInteger
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

class ShopActivity : Activity()

class CartActivity : Activity()

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [26, 34])
class AndroidTest : Apps() {
    private fun names(client: Footpath): List<String> {
        runBlocking { assertTrue("$logged", client.flush(20.seconds).complete) }
        val events = arrived(client).sortedBy { it.id }
        return events.map { event -> event.properties["screen"]?.let { "${event.name} $it" } ?: event.name }
    }

    @Test
    fun `the queue is where backups do not reach, and the phone's own HTTP carries it`() {
        online()
        val client = started()
        assertTrue(File(app.noBackupFilesDir, "footpath/default/main/queue.sqlite").exists())
        client.track("first", "n" to 1)
        assertEquals(listOf("first"), names(client))
        assertEquals(emptyList<String>(), logged)
    }

    @Test
    fun `events say what they come from`() {
        shadowOf(app.packageManager).installPackage(PackageInfo().apply { packageName = app.packageName; versionName = "1.2.3" })
        var sent = ""
        val client = started(config().copy(http = Http { _, _, body -> sent = String(body, Charsets.ISO_8859_1); throw IOException("enough") }))
        client.track("one")
        until("sent") { sent.isNotEmpty() }
        val context = listOf(app.packageName, "1.2.3", "android", Build.VERSION.RELEASE, Build.MODEL, "footpath-android", TimeZone.getDefault().id, "en")
        assertEquals(emptyList<String>(), context.filterNot { it in sent })
    }

    @Test
    fun `no trouble of the system reaches the app`() {
        shadowOf(app).denyPermissions(Manifest.permission.ACCESS_NETWORK_STATE)
        val client = started(options = AndroidOptions(screenName = { error("a bug in the app") }))
        Robolectric.buildActivity(ShopActivity::class.java).setup().pause().stop()
        assertEquals(3, client.stats().tracked)
        client.close()
        Robolectric.buildActivity(ShopActivity::class.java).setup()
    }

    @Test
    fun `screens and the app's way to the background and back`() {
        online()
        val client = started()
        val shop = Robolectric.buildActivity(ShopActivity::class.java).setup()
        val cart = Robolectric.buildActivity(CartActivity::class.java).setup()
        shop.pause().stop()
        cart.pause().stop()
        cart.restart().resume()
        cart.pause().stop().destroy()
        val expected = listOf(
            "app_opened", "screen_viewed ShopActivity", "screen_viewed CartActivity", "app_backgrounded",
            "app_opened", "screen_viewed CartActivity", "app_backgrounded",
        )
        assertEquals(expected, names(client))
    }

    @Test
    fun `turning the phone is no visit`() {
        online()
        val client = started()
        val shop = Robolectric.buildActivity(ShopActivity::class.java).setup()
        shop.recreate()
        shop.pause().stop()
        assertEquals(listOf("app_opened", "screen_viewed ShopActivity", "app_backgrounded"), names(client))
    }

    @Test
    fun `screens have the names that the app gives, and all can be switched off`() {
        online()
        val names = AndroidOptions(lifecycle = false, screenName = { if (it is ShopActivity) "Shop" else null })
        val client = started(options = names)
        Robolectric.buildActivity(ShopActivity::class.java).setup()
        Robolectric.buildActivity(CartActivity::class.java).setup()
        assertEquals(listOf("screen_viewed Shop"), names(client))
        val other = started(config().copy(queueFolder = "${app.cacheDir}/other"), AndroidOptions(lifecycle = false, screens = false))
        Robolectric.buildActivity(ShopActivity::class.java).setup()
        other.track("only")
        assertEquals(listOf("only"), names(other))
    }

    @Test
    fun `a client that is made in an activity sees that activity`() {
        online()
        val shop = Robolectric.buildActivity(ShopActivity::class.java).create().start()
        val client = started()
        shop.resume().pause().stop()
        assertEquals(listOf("app_opened", "screen_viewed ShopActivity", "app_backgrounded"), names(client))
    }

    @Test
    fun `before the first unlock nothing is opened and nothing is lost`() {
        online()
        shadowOf(app.getSystemService(UserManager::class.java)).setUserUnlocked(false)
        val client = start()
        client.track("early", "n" to 1)
        client.register("plan" to "free")
        val receipt = client.trackCritical("early_paid")
        Thread.sleep(700)
        assertFalse(client.stats().started)
        assertEquals(3, client.stats().waitingForStart)
        assertNull("no id", client.identity())
        assertNull(receipt.id)
        assertFalse("no folder", File(app.noBackupFilesDir, "footpath").exists())
        shadowOf(app.getSystemService(UserManager::class.java)).setUserUnlocked(true)
        app.sendBroadcast(Intent(Intent.ACTION_USER_UNLOCKED))
        until("it starts") { client.stats().started }
        assertNotNull(client.identity())
        assertEquals(listOf("early", "early_paid"), names(client))
        assertEquals(emptyList<String>(), logged)
    }

    @Test
    fun `a client that is closed before the first unlock ends and leaves nothing`() {
        shadowOf(app.getSystemService(UserManager::class.java)).setUserUnlocked(false)
        val client = start()
        client.track("early")
        val begin = System.nanoTime()
        client.close()
        assertTrue("close does not wait for the unlock", System.nanoTime() - begin < 3_000_000_000)
        assertEquals(1, client.stats().droppedBeforeStart)
        assertFalse(File(app.noBackupFilesDir, "footpath").exists())
        assertTrue("$logged", logged.none { "could not start" in it })
        assertEquals(0, shadowOf(app).registeredReceivers.count { it.intentFilter.hasAction(Intent.ACTION_USER_UNLOCKED) })
    }

    @Test
    fun `close lets go of the system`() {
        val client = started()
        assertEquals(1, callbacks().size)
        assertTrue(shadowOf(app).registeredReceivers.any { it.intentFilter.hasAction(PowerManager.ACTION_POWER_SAVE_MODE_CHANGED) })
        client.close()
        assertEquals(0, callbacks().size)
        assertFalse(shadowOf(app).registeredReceivers.any { it.intentFilter.hasAction(PowerManager.ACTION_POWER_SAVE_MODE_CHANGED) })
        assertEquals(0, AndroidHost.running.size)
        Robolectric.buildActivity(ShopActivity::class.java).setup()
        assertEquals(0, client.stats().afterClose)
    }

    // ---- Network and battery

    private fun callbacks(): Set<ConnectivityManager.NetworkCallback> =
        shadowOf(app.getSystemService(ConnectivityManager::class.java)).networkCallbacks

    private fun capabilities(vararg has: Int): NetworkCapabilities =
        ShadowNetworkCapabilities.newInstance().also { made -> has.forEach { shadowOf(made).addCapability(it) } }

    private fun network(id: Int, vararg has: Int) =
        callbacks().forEach { it.onCapabilitiesChanged(ShadowNetwork.newInstance(id), capabilities(*has)) }

    @Test
    fun `a network that becomes usable is tried once`() {
        var usable = 0
        val link = Link(app, { usable++ }) {}
        val (one, two) = listOf(1, 2).map(ShadowNetwork::newInstance)
        val (good, bad) = capabilities(VALIDATED, UNMETERED) to capabilities(UNMETERED)
        link.onCapabilitiesChanged(one, bad)
        assertEquals("behind a portal", 0, usable)
        repeat(3) { link.onCapabilitiesChanged(one, good) }
        assertEquals("bars of a signal", 1, usable)
        link.onCapabilitiesChanged(two, good)
        link.onLost(one)
        link.onCapabilitiesChanged(two, good)
        assertEquals("another network", 2, usable)
        link.onLost(two)
        link.onCapabilitiesChanged(two, good)
        assertEquals("back again", 3, usable)
    }

    @Test
    fun `what waits for the next attempt goes out when the network is back`() {
        val posts = AtomicInteger()
        val client = started(config().copy(http = Http { _, _, _ -> posts.incrementAndGet(); throw IOException("no network") }))
        client.track("waits")
        until("four attempts") { posts.get() >= 4 }
        val before = posts.get()
        network(1, VALIDATED, UNMETERED)
        until("an attempt at once", seconds = 2) { posts.get() > before }
        client.hold()
        until("held") { client.stats().paused != null }
        val held = posts.get()
        network(2, VALIDATED, UNMETERED)
        Thread.sleep(300)
        assertEquals("what the app holds stays held", held, posts.get())
    }

    @Test
    fun `a metered network and the battery saver spend little`() {
        online()
        // What may be spent at once is spent, and more does not come within the test.
        val client = started(config().copy(savingBytesPerHour = 1))
        val power = shadowOf(app.getSystemService(PowerManager::class.java))
        fun battery(saver: Boolean) {
            power.setIsPowerSaveMode(saver)
            app.sendBroadcast(Intent(PowerManager.ACTION_POWER_SAVE_MODE_CHANGED))
            until("told") { true }
            Thread.sleep(200)
        }
        fun isSent(within: Duration = 20.seconds): Boolean {
            client.track("spends")
            return runBlocking { client.flush(within).complete }
        }
        val soon = 700.milliseconds
        network(1, VALIDATED, UNMETERED)
        assertTrue("unmetered", isSent())
        network(2, VALIDATED)
        Thread.sleep(200)
        isSent()
        assertFalse("metered", isSent(soon))
        battery(true)
        network(1, VALIDATED, UNMETERED)
        assertFalse("unmetered, but the battery saver is on", isSent(soon))
        battery(false)
        assertTrue("neither", isSent())
    }

    private companion object {
        const val VALIDATED = NetworkCapabilities.NET_CAPABILITY_VALIDATED
        const val UNMETERED = NetworkCapabilities.NET_CAPABILITY_NOT_METERED
    }
}
