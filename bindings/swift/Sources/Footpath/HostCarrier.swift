import Foundation
internal import FootpathCore

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Carries batches by `URLSession`, on a thread of its own: it sleeps inside the library until there is something to send.
final class HostCarrier: Sendable {
    private let session: URLSession
    private let url: URL?
    private let timeout: TimeInterval
    /// Where batches go instead while the app is in the background.
    let background: BackgroundUploads?

    init(_ client: CoreClient, _ configuration: Configuration) {
        let settings = URLSessionConfiguration.ephemeral
        settings.httpCookieStorage = nil
        settings.urlCache = nil
        settings.requestCachePolicy = .reloadIgnoringLocalCacheData
        timeout = Double(configuration.requestTimeout.milliseconds) / 1_000
        settings.timeoutIntervalForRequest = timeout
        settings.timeoutIntervalForResource = timeout * 4
        session = URLSession(configuration: settings, delegate: NoRedirects(), delegateQueue: nil)
        let endpoint = configuration.endpoint.hasSuffix("/")
            ? String(configuration.endpoint.dropLast()) : configuration.endpoint
        url = URL(string: endpoint + "/v1/ingest")
        background = configuration.followsApp ? BackgroundUploads.make(client, configuration) : nil
        let thread = Thread { [self] in carry(client) }
        thread.name = "footpath-carrier"
        thread.stackSize = 512 * 1024
        thread.start()
    }

    /// Until the client ends.
    private func carry(_ client: CoreClient) {
        while let batch = client.nextBatch() {
            guard let url else {
                client.reportFailure(batchId: batch.id, message: "the endpoint is no URL")
                continue
            }
            let request = request(batch, url)
            if background?.takes(batch.id, batch.body, request) == true { continue }
            send(batch, request, client)
        }
        session.finishTasksAndInvalidate()
        background?.end()
    }

    private func request(_ batch: Batch, _ url: URL) -> URLRequest {
        var request = URLRequest(url: url, timeoutInterval: timeout)
        request.httpMethod = "POST"
        request.setValue("application/x-protobuf", forHTTPHeaderField: "content-type")
        request.setValue(batch.authorization, forHTTPHeaderField: "authorization")
        if let encoding = batch.contentEncoding { request.setValue(encoding, forHTTPHeaderField: "content-encoding") }
        return request
    }

    private func send(_ batch: Batch, _ request: URLRequest, _ client: CoreClient) {
        let done = DispatchSemaphore(value: 0)
        let task = session.uploadTask(with: request, from: batch.body) { body, response, error in
            report(batch.id, body, response, error, to: client)
            done.signal()
        }
        task.resume()
        done.wait()
    }
}

/// Tells the library what came back.
func report(_ id: String, _ body: Data?, _ response: URLResponse?, _ error: (any Error)?, to client: CoreClient) {
    guard error == nil, let answer = response as? HTTPURLResponse else {
        return client.reportFailure(batchId: id, message: error.map { $0.localizedDescription } ?? "no answer")
    }
    client.report(
        batchId: id,
        status: UInt16(clamping: answer.statusCode),
        contentType: answer.value(forHTTPHeaderField: "content-type"),
        retryAfter: answer.value(forHTTPHeaderField: "retry-after"),
        body: body ?? Data()
    )
}

/// A captive portal redirects; what is there is another server's answer.
private final class NoRedirects: NSObject, URLSessionTaskDelegate {
    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping @Sendable (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }
}

#if !(canImport(UIKit) && os(iOS))
    /// Only iOS sends on while the app is in the background.
    final class BackgroundUploads: Sendable {
        static func make(_ client: CoreClient, _ configuration: Configuration) -> BackgroundUploads? { nil }
        func takes(_ id: String, _ body: Data, _ request: URLRequest) -> Bool { false }
        func end() {}
    }
#endif
