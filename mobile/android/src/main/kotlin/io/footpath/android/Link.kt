package io.footpath.android

import android.content.Context
import android.net.ConnectivityManager
import android.net.Network
import android.net.NetworkCapabilities

/**
 * Follows the app's network. `onUsable`: once for every change to a network that the system found to lead to the internet,
 * and not with every bar of its signal.
 */
internal class Link(
    app: Context,
    private val onUsable: () -> Unit,
    private val onMetered: (Boolean) -> Unit,
) : ConnectivityManager.NetworkCallback() {
    private val manager = app.getSystemService(ConnectivityManager::class.java)
    private var usable: Network? = null

    fun begin() = manager.registerDefaultNetworkCallback(this)

    fun end() = manager.unregisterNetworkCallback(this)

    override fun onCapabilitiesChanged(network: Network, capabilities: NetworkCapabilities) {
        onMetered(!capabilities.hasCapability(NetworkCapabilities.NET_CAPABILITY_NOT_METERED))
        val before = usable
        usable = network.takeIf { capabilities.hasCapability(NetworkCapabilities.NET_CAPABILITY_VALIDATED) }
        if (usable != null && usable != before) onUsable()
    }

    override fun onLost(network: Network) {
        if (network == usable) usable = null
    }
}
