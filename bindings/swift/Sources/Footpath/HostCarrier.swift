import Foundation
internal import FootpathCore

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Carries batches by `URLSession`, on a thread of its own: it sleeps inside the library until there is something to send.
final class HostCarrier: Sendable {
    private let post: Post
    /// Where batches go instead while the app is in the background.
    let background: BackgroundUploads?

    init(_ client: CoreClient, _ configuration: Configuration) {
        post = Post(configuration)
        background = BackgroundUploads.make(client, configuration)
        startThread("footpath-carrier") { [self] in carry(client) }
    }

    /// Until the client ends.
    private func carry(_ client: CoreClient) {
        while let batch = client.nextBatch() {
            guard let request = post.request(batch.authorization, encoding: batch.contentEncoding) else {
                client.reportFailure(batchId: batch.id, message: "the endpoint is no URL")
                continue
            }
            if background?.takes(batch, request) == true { continue }
            client.report(batch.id, post.send(batch.body, request))
        }
        post.end()
        background?.end()
    }
}

func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) {
    let thread = Thread(block: body)
    thread.name = name
    thread.stackSize = 512 * 1024
    thread.start()
}

extension FootpathCore.FootpathClient {
    /// Tells the library what came back.
    func report(_ id: String, _ sent: Sent) {
        switch sent {
        case .failed(let message): reportFailure(batchId: id, message: message)
        case .answered(let answer):
            report(
                batchId: id, status: answer.status, contentType: answer.contentType, retryAfter: answer.retryAfter,
                body: answer.body)
        }
    }
}
