package com.example.shop

import android.app.Activity
import android.os.Bundle
import android.widget.Button
import android.widget.LinearLayout
import android.widget.TextView
import io.footpath.Footpath
import io.footpath.Receipt
import io.footpath.money
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import kotlin.time.Duration.Companion.seconds

/** One screen: put something into the cart, and pay. */
class ShopActivity : Activity() {
    private val scope = CoroutineScope(SupervisorJob() + Dispatchers.Default)
    private val footpath: Footpath
        get() = (application as ShopApp).footpath

    lateinit var cart: Button
    lateinit var pay: Button
    lateinit var told: TextView
    private var items = 0

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        title = "Shop"
        told = TextView(this)
        cart = button("Into the cart") { footpath.track("item_added", "items" to ++items) }
        pay = button("Pay") { pay() }
        setContentView(LinearLayout(this).apply { listOf(cart, pay, told).forEach(::addView) })
    }

    private fun button(text: String, onClick: () -> Unit) = Button(this).apply {
        this.text = text
        setOnClickListener { onClick() }
    }

    private fun pay() {
        footpath.identify("customer-1", "plan" to "pro")
        val receipt = footpath.trackCritical("order_paid", "amount" to money("12.50", "EUR"), "items" to items)
        scope.launch {
            val reached = receipt.await(10.seconds)
            runOnUiThread { told.text = if (reached == Receipt.Acked) "Paid, and the server knows" else "Paid: $reached" }
        }
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }
}
