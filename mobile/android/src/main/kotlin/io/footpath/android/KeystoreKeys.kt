package io.footpath.android

import android.content.Context
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyPermanentlyInvalidatedException
import android.security.keystore.KeyProperties
import io.footpath.KeyStore
import java.io.File
import java.io.FileOutputStream
import java.io.RandomAccessFile
import java.nio.file.Files
import java.nio.file.NoSuchFileException
import java.nio.file.StandardCopyOption
import java.security.SecureRandom
import javax.crypto.AEADBadTagException
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/**
 * Keeps the keys that seal the queue: each in a file in `noBackupFilesDir`, wrapped by a key that never leaves Android's
 * Keystore. Two clients with queues of their own need two names.
 */
class KeystoreKeys @JvmOverloads constructor(context: Context, private val name: String = "footpath") : KeyStore {
    private val app = context.applicationContext ?: context
    private val wrapper = Wrapper("io.footpath.$name")
    private val folder by lazy { File(app.noBackupFilesDir, "$name-keys").apply { mkdirs() } }

    override fun find(id: String): ByteArray? = alone { read(id) }

    override fun make(id: String): ByteArray = alone {
        read(id) ?: ByteArray(KEY_BYTES).also {
            SecureRandom().nextBytes(it)
            write(id, wrapper.wrap(it))
        }
    }

    override fun destroy(id: String): Unit = alone { Files.deleteIfExists(file(id).toPath()) }

    /** Null where the key is proven to be gone; whatever else fails is thrown, and asked again later. */
    private fun read(id: String): ByteArray? {
        val wrapped = try {
            Files.readAllBytes(file(id).toPath())
        } catch (_: NoSuchFileException) {
            return null
        }
        return wrapper.unwrap(wrapped)
    }

    /** Whole or not at all. */
    private fun write(id: String, wrapped: ByteArray) {
        val file = file(id)
        val fresh = File(folder, "${file.name}.new")
        FileOutputStream(fresh).use {
            it.write(wrapped)
            it.fd.sync()
        }
        Files.move(fresh.toPath(), file.toPath(), StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING)
    }

    private fun file(id: String): File {
        require(id.isNotEmpty() && id.all { it.isLetterOrDigit() || it in "-_" }) { "no name of a key: $id" }
        return File(folder, "$id.key")
    }

    /** One thread of one process: two must not make the same key. */
    private fun <T> alone(work: () -> T): T = synchronized(LOCK) {
        // Until then every file seems to be missing.
        check(isUnlocked(app)) { "the phone was not unlocked yet" }
        RandomAccessFile(File(folder, "lock"), "rw").use { file -> file.channel.lock().use { work() } }
    }

    private companion object {
        const val KEY_BYTES = 32
        val LOCK = Any()
    }
}

/** Wraps keys by one in Android's Keystore, which is made when it is first needed. */
internal class Wrapper(private val alias: String) {
    fun wrap(key: ByteArray): ByteArray {
        val cipher = Cipher.getInstance(CIPHER)
        cipher.init(Cipher.ENCRYPT_MODE, found() ?: made())
        return cipher.iv + cipher.doFinal(key)
    }

    /** Null where the wrapping key is gone, or is another one by now. */
    fun unwrap(wrapped: ByteArray): ByteArray? {
        if (wrapped.size <= IV_BYTES) return null
        val key = found() ?: return null
        return try {
            val cipher = Cipher.getInstance(CIPHER)
            cipher.init(Cipher.DECRYPT_MODE, key, GCMParameterSpec(TAG_BITS, wrapped, 0, IV_BYTES))
            cipher.doFinal(wrapped, IV_BYTES, wrapped.size - IV_BYTES)
        } catch (_: KeyPermanentlyInvalidatedException) {
            null
        } catch (_: AEADBadTagException) {
            null
        }
    }

    private fun found(): SecretKey? {
        val store = java.security.KeyStore.getInstance(PROVIDER).apply { load(null) }
        return store.getKey(alias, null) as SecretKey?
    }

    private fun made(): SecretKey {
        val purposes = KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT
        val spec = KeyGenParameterSpec.Builder(alias, purposes)
            .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
            .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
            .setKeySize(KEY_BITS)
            .build()
        val generator = KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, PROVIDER)
        generator.init(spec)
        return generator.generateKey()
    }

    private companion object {
        const val PROVIDER = "AndroidKeyStore"
        const val CIPHER = "AES/GCM/NoPadding"
        const val KEY_BITS = 256
        const val TAG_BITS = 128
        const val IV_BYTES = 12
    }
}
