import Footpath
import SwiftUI

struct ShopScreen: View {
    let footpath: Footpath
    @State private var payment = "Not paid"

    var body: some View {
        VStack(spacing: 16) {
            Text(payment)
            Button("Put into the basket") { footpath.track("basket_filled", ["items": 1]) }
            Button("Pay") { Task { await pay() } }
            Button("Log in") { footpath.identify("u-17", ["plan": "pro"]) }
            Button("Log out") { footpath.reset() }
            Button("Withdraw consent") { footpath.consent(.denied) }
            Button("Give consent") { footpath.consent(.granted) }
        }
        .task {
            footpath.screen("shop")
            for await problem in footpath.problems { print("footpath: \(problem)") }
        }
    }

    /// The payment goes on once its event is on this device's disk; the server may hear of it later.
    private func pay() async {
        let receipt = footpath.trackCritical("order_paid", ["amount": .money("12.50", "EUR")])
        payment = "Paid, saved: \(text(await receipt.queued(within: .seconds(2))))"
        payment = "Paid, delivered: \(text(await receipt.delivered(within: .seconds(30))))"
    }

    private func text(_ state: ReceiptState?) -> String {
        switch state {
        case .queued: "on this device"
        case .delivered: "at the server"
        case .rejected(let why): "refused: \(why)"
        case nil: "not known yet"
        }
    }
}
