package io.footpath.android

import android.os.UserManager
import android.security.keystore.KeyGenParameterSpec
import io.footpath.FootpathConfig
import io.footpath.Carrier
import io.footpath.Receipt
import kotlinx.coroutines.runBlocking
import org.junit.After
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import java.io.File
import java.io.InputStream
import java.io.OutputStream
import java.security.Key
import java.security.KeyStoreSpi
import java.security.Provider
import java.security.SecureRandom
import java.security.Security
import java.security.UnrecoverableKeyException
import java.security.cert.Certificate
import java.security.spec.AlgorithmParameterSpec
import java.util.Collections
import java.util.Date
import java.util.Enumeration
import javax.crypto.KeyGeneratorSpi
import javax.crypto.SecretKey
import javax.crypto.spec.SecretKeySpec
import kotlin.concurrent.thread
import kotlin.time.Duration.Companion.seconds

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [26, 34])
class KeysTest {
    private val app = RuntimeEnvironment.getApplication()
    private val keys = KeystoreKeys(app)
    private val folder = File(app.noBackupFilesDir, "footpath-keys")

    @Before
    fun keystore() {
        StandIn.kept.clear()
        StandIn.isBusy = false
        Security.addProvider(StandIn)
    }

    @After
    fun leave() = Security.removeProvider(StandIn.name)

    @Test
    fun `a key is made once, found again and destroyed`() {
        assertNull(keys.find("a-1"))
        val key = keys.make("a-1")
        assertEquals(32, key.size)
        assertArrayEquals(key, keys.make("a-1"))
        assertArrayEquals("in a later process", key, KeystoreKeys(app).find("a-1"))
        assertFalse(key.contentEquals(keys.make("b")))
        keys.destroy("a-1")
        keys.destroy("a-1")
        assertNull(keys.find("a-1"))
        assertEquals(1, StandIn.kept.size)
        assertEquals(setOf("lock", "b.key"), folder.list()!!.toSet())
    }

    @Test
    fun `no key lies in its file`() {
        val key = keys.make("a")
        val file = File(folder, "a.key").readBytes()
        assertEquals("iv, key and tag", 12 + 32 + 16, file.size)
        assertFalse((0..file.size - 32).any { file.copyOfRange(it, it + 32).contentEquals(key) })
    }

    @Test
    fun `what fails for now is no missing key`() {
        val key = keys.make("a")
        StandIn.isBusy = true
        assertThrows(UnrecoverableKeyException::class.java) { keys.find("a") }
        assertThrows(UnrecoverableKeyException::class.java) { keys.make("b") }
        StandIn.isBusy = false
        assertArrayEquals(key, keys.find("a"))
        val user = shadowOf(app.getSystemService(UserManager::class.java))
        user.setUserUnlocked(false)
        assertThrows(IllegalStateException::class.java) { keys.find("a") }
        assertThrows(IllegalStateException::class.java) { keys.find("never made") }
        user.setUserUnlocked(true)
        assertArrayEquals(key, keys.find("a"))
    }

    @Test
    fun `a key whose wrapping is gone is missing, and another can be made`() {
        val key = keys.make("a")
        StandIn.kept.clear()
        assertNull(keys.find("a"))
        keys.make("b") // With another wrapping key.
        assertNull(keys.find("a"))
        assertFalse(key.contentEquals(keys.make("a")))
        File(folder, "a.key").writeBytes(ByteArray(3))
        assertNull(keys.find("a"))
    }

    @Test
    fun `many threads make one key`() {
        val made = Collections.synchronizedList(mutableListOf<ByteArray>())
        List(8) { thread { made += KeystoreKeys(app).make("a") } }.forEach { it.join() }
        assertEquals(8, made.size)
        assertTrue(made.all { it.contentEquals(made[0]) })
        assertEquals(1, StandIn.kept.size)
    }

    @Test
    fun `the queue is sealed with them`() {
        val config = FootpathConfig("http://127.0.0.1:1", "key", "default", carrier = Carrier.MEMORY, keys = keys, log = {})
        FootpathAndroid.start(app, config).use { client ->
            client.hold()
            runBlocking { assertEquals(Receipt.Queued, client.trackCritical("sealed").awaitQueued(20.seconds)) }
        }
        assertTrue(folder.list()!!.any { it.endsWith(".key") })
        FootpathAndroid.start(app, config).use { client ->
            runBlocking { assertTrue(client.flush(20.seconds).complete) }
            assertEquals(1, client.stats().acked)
        }
    }
}

/** Stands for Android's Keystore, which the tests' Android does not have: one store of keys, made as Android makes them. */
private object StandIn : Provider("AndroidKeyStore", "1", "for tests") {
    val kept = java.util.concurrent.ConcurrentHashMap<String, SecretKey>()

    @Volatile
    var isBusy = false

    init {
        put("KeyStore.AndroidKeyStore", Store::class.java.name)
        put("KeyGenerator.AES", Generator::class.java.name)
    }

    class Generator : KeyGeneratorSpi() {
        private lateinit var spec: KeyGenParameterSpec

        override fun engineInit(random: SecureRandom?) = error("not so")

        override fun engineInit(size: Int, random: SecureRandom?) = error("not so")

        override fun engineInit(parameters: AlgorithmParameterSpec, random: SecureRandom?) {
            spec = parameters as KeyGenParameterSpec
            check(spec.blockModes.toList() == listOf("GCM") && spec.encryptionPaddings.toList() == listOf("NoPadding"))
        }

        override fun engineGenerateKey(): SecretKey {
            val bytes = ByteArray(spec.keySize / 8).also { SecureRandom().nextBytes(it) }
            return SecretKeySpec(bytes, "AES").also { kept[spec.keystoreAlias] = it }
        }
    }

    class Store : KeyStoreSpi() {
        override fun engineLoad(stream: InputStream?, password: CharArray?) = Unit

        override fun engineGetKey(alias: String, password: CharArray?): Key? {
            if (isBusy) throw UnrecoverableKeyException("the keystore is busy")
            return kept[alias]
        }

        override fun engineContainsAlias(alias: String) = kept.containsKey(alias)
        override fun engineAliases(): Enumeration<String> = kept.keys()
        override fun engineSize() = kept.size
        override fun engineIsKeyEntry(alias: String) = kept.containsKey(alias)
        override fun engineIsCertificateEntry(alias: String) = false
        override fun engineGetCertificate(alias: String): Certificate? = null
        override fun engineGetCertificateAlias(certificate: Certificate?): String? = null
        override fun engineGetCertificateChain(alias: String): Array<Certificate>? = null
        override fun engineGetCreationDate(alias: String): Date? = null
        override fun engineDeleteEntry(alias: String) { kept.remove(alias) }
        override fun engineSetKeyEntry(alias: String, key: Key, password: CharArray?, chain: Array<Certificate>?) = error("not so")
        override fun engineSetKeyEntry(alias: String, key: ByteArray, chain: Array<Certificate>?) = error("not so")
        override fun engineSetCertificateEntry(alias: String, certificate: Certificate?) = error("not so")
        override fun engineStore(stream: OutputStream?, password: CharArray?) = error("not so")
    }
}
