import Foundation

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// `POST /v1/ingest` by `URLSession`.
final class Post: Sendable {
    /// An attempt is over by then, whatever happens.
    let longest: Duration
    private let session: URLSession
    private let url: URL?
    private let timeout: TimeInterval

    init(_ configuration: Configuration) {
        let settings = URLSessionConfiguration.ephemeral
        settings.httpCookieStorage = nil
        settings.urlCache = nil
        settings.requestCachePolicy = .reloadIgnoringLocalCacheData
        timeout = Double(configuration.requestTimeout.milliseconds) / 1_000
        longest = configuration.requestTimeout * 4
        settings.timeoutIntervalForRequest = timeout
        settings.timeoutIntervalForResource = timeout * 4
        session = URLSession(configuration: settings, delegate: NoRedirects(), delegateQueue: nil)
        let endpoint = configuration.endpoint.hasSuffix("/")
            ? String(configuration.endpoint.dropLast()) : configuration.endpoint
        url = URL(string: endpoint + "/v1/ingest")
    }

    /// `nil`: the endpoint is no URL.
    func request(_ authorization: String, encoding: String?) -> URLRequest? {
        guard let url else { return nil }
        var request = URLRequest(url: url, timeoutInterval: timeout)
        request.httpMethod = "POST"
        request.setValue("application/x-protobuf", forHTTPHeaderField: "content-type")
        request.setValue(authorization, forHTTPHeaderField: "authorization")
        if let encoding { request.setValue(encoding, forHTTPHeaderField: "content-encoding") }
        return request
    }

    /// Waits for what comes back.
    func send(_ body: Data, _ request: URLRequest) -> Sent {
        let (give, done) = (Given(), DispatchSemaphore(value: 0))
        let task = session.uploadTask(with: request, from: body) { body, response, error in
            give.sent = Sent(body, response, error)
            done.signal()
        }
        task.resume()
        done.wait()
        return give.sent
    }

    func end() { session.finishTasksAndInvalidate() }

    /// Written before the semaphore is signalled, read after.
    private final class Given: @unchecked Sendable {
        var sent = Sent.failed("no answer")
    }
}

/// How a request ended.
enum Sent: Sendable {
    case answered(Answer)
    /// No connection, a timeout, a broken stream.
    case failed(String)

    init(_ body: Data?, _ response: URLResponse?, _ error: (any Error)?) {
        guard error == nil, let answer = response as? HTTPURLResponse else {
            self = .failed(error.map { $0.localizedDescription } ?? "no answer")
            return
        }
        self = .answered(
            Answer(
                status: UInt16(clamping: answer.statusCode),
                contentType: answer.value(forHTTPHeaderField: "content-type"),
                retryAfter: answer.value(forHTTPHeaderField: "retry-after"),
                body: body ?? Data()
            ))
    }
}

/// What the server, or whatever is between, answered.
struct Answer: Sendable, Equatable {
    var status: UInt16
    var contentType: String?
    var retryAfter: String?
    var body: Data
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
