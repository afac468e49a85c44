import io.footpath.Carrier
import io.footpath.Footpath
import io.footpath.FootpathConfig
import io.footpath.money
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlin.system.exitProcess
import kotlin.time.Duration.Companion.seconds

/*
 * A shop on the command line: some visits, one purchase that must not be lost. Stop the server while it runs, kill it, start
 * it again: what was tracked arrives.
 *
 *   java -jar target/footpath-kotlin-sample-0.1.0.jar http://127.0.0.1:7400 KEY [--http] [VISITS]
 */
fun main(args: Array<String>) {
    val (options, words) = args.partition { it.startsWith("--") }
    if (words.size < 2) {
        System.err.println("needs the server's address and a project key, for example http://127.0.0.1:7400 fp_dev_...")
        exitProcess(2)
    }
    val config = FootpathConfig(
        endpoint = words[0],
        key = words[1],
        project = "default",
        queueFolder = "shop-queue",
        carrier = if ("--http" in options) Carrier.HTTP else Carrier.GRPC,
        app = "shop",
        appVersion = "1.0",
    )
    val visits = words.getOrNull(2)?.toInt() ?: 100
    Footpath.start(config).use { footpath ->
        runBlocking {
            val problems = launch { footpath.problems.collect { println("problem: $it") } }
            for (visit in 1..visits) {
                footpath.screen("Shop", "visit" to visit)
                footpath.track("checkout_started", "amount" to money("12.50", "EUR"), "items" to visit % 5 + 1)
            }
            footpath.identify("customer-1", "plan" to "pro")
            val receipt = footpath.trackCritical("order_paid", "amount" to money("12.50", "EUR"))
            println("on this disk: ${receipt.awaitQueued(5.seconds)}")
            println("on the server's disk: ${receipt.await(10.seconds)}")
            val flushed = footpath.flush(10.seconds)
            println(if (flushed.complete) "everything has arrived" else "${flushed.pending} wait for the next run")
            println(footpath.stats())
            problems.cancel()
        }
    }
}
