internal import CCurl
internal import Glibc

/// The status and headers of a response, before its body.
struct HTTPHead {
    var status = 0
    /// By name in lower case; of repeated headers the last.
    var headers: [String: String] = [:]
    /// The absolute address that a redirect names; known once the response has ended.
    var redirect: String?

    /// The header's value as a number of bytes.
    func size(_ name: String) -> Int64? { headers[name].flatMap(Int64.init).flatMap { $0 >= 0 ? $0 : nil } }
}

/// A request that got no complete response.
struct TransferError: Error {
    enum Kind {
        /// No connection: no network, no such host, nothing listens, a proxy that is not there.
        case unreachable
        /// The connection ended early, or nothing arrived for too long.
        case cut
        /// The host's certificate is not trusted, or trusted certificates cannot be read.
        case certificate
        /// Anything else.
        case other
    }
    let kind: Kind
    let message: String
}

/// HTTP GET by libcurl: one request at a time, TLS verified, redirects not followed.
///
/// Proxies are those that libcurl takes from the environment (https_proxy, no_proxy …).
final class HTTPClient {
    private let handle: OpaquePointerBox
    private let limits: Limits

    /// How long to wait in seconds, and which certificates to trust instead of the system's.
    struct Limits {
        var connectTimeout: Int
        var idleTimeout: Int
        var certificates: (file: String?, folder: String?)
    }

    /// `CURL *` is a pointer to an incomplete type, imported as a raw pointer.
    private struct OpaquePointerBox { let pointer: UnsafeMutableRawPointer }

    /// - Throws: `HubError` `library_missing`.
    convenience init(_ settings: HubSettings) throws {
        try self.init(
            Limits(
                connectTimeout: settings.connectTimeout, idleTimeout: settings.idleTimeout,
                certificates: settings.certificates))
    }

    /// - Throws: `HubError` `library_missing`.
    init(_ limits: Limits) throws {
        try Self.load()
        guard let pointer = lt_curl_new() else { throw HubError(.libraryMissing, "libcurl: out of memory") }
        handle = OpaquePointerBox(pointer: pointer)
        self.limits = limits
    }

    /// Loads the library; needed before addresses are examined.
    ///
    /// - Throws: `HubError` `library_missing`.
    static func load() throws {
        if let problem = lt_curl_load() {
            throw HubError(
                .libraryMissing,
                "downloading needs libcurl, which cannot be loaded: \(String(cString: problem)); install Debian's "
                    + "libcurl4"
            )
        }
    }

    deinit { lt_curl_free(handle.pointer) }

    /// Sends a request and waits until the response has ended.
    ///
    /// - Parameters:
    ///   - headers: whole lines, "Range: bytes=5-".
    ///   - check: called about once per second; an error it throws ends the request.
    ///   - body: called with each piece of the body; an error it throws ends the request.
    /// - Throws: `TransferError`, or what `check` or `body` threw.
    func get(
        _ url: String, headers: [String], check: @escaping () throws -> Void,
        body: @escaping (HTTPHead, UnsafeRawBufferPointer) throws -> Void
    ) throws -> HTTPHead {
        try send(url, headers: headers, check: check, body: body)
    }

    /// Posts a body; what comes back but the status is ignored.
    ///
    /// - Parameter timeout: seconds until the request ends.
    /// - Throws: `TransferError`.
    func post(_ url: String, headers: [String], body: String, timeout: Double) throws -> HTTPHead {
        try send(url, headers: headers, posting: body, timeout: timeout, check: {}, body: { _, _ in })
    }

    /// Sends a request, a POST if there is a body to post, and waits until the response has ended.
    ///
    /// - Parameter timeout: seconds until the request ends.
    /// - Throws: `TransferError`, or what `check` or `body` threw.
    func exchange(
        _ url: String, headers: [String], posting: String?, timeout: Double, check: @escaping () throws -> Void,
        body: @escaping (HTTPHead, UnsafeRawBufferPointer) throws -> Void
    ) throws -> HTTPHead {
        try send(url, headers: headers, posting: posting, timeout: timeout, check: check, body: body)
    }

    private func send(
        _ url: String, headers: [String], posting: String? = nil, timeout: Double? = nil,
        check: @escaping () throws -> Void, body: @escaping (HTTPHead, UnsafeRawBufferPointer) throws -> Void
    ) throws -> HTTPHead {
        let curl = handle.pointer
        lt_curl_reset(curl)
        var list: UnsafeMutablePointer<curl_slist>?
        for line in headers { list = lt_curl_append(list, line) ?? list }
        defer { lt_curl_free_list(list) }
        let message = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        defer { message.deallocate() }
        let exchange = Exchange(check: check, body: body)

        _ = lt_curl_set_error_buffer(curl, message)
        _ = lt_curl_set_text(curl, CURLOPT_URL, url)
        _ = lt_curl_set_headers(curl, list)
        _ = lt_curl_set_text(curl, CURLOPT_USERAGENT, "longtake")
        _ = lt_curl_set_number(curl, CURLOPT_FOLLOWLOCATION, 0)
        // With signals libcurl would use SIGALRM.
        _ = lt_curl_set_number(curl, CURLOPT_NOSIGNAL, 1)
        _ = lt_curl_set_number(curl, CURLOPT_BUFFERSIZE, 512 << 10)
        _ = lt_curl_set_number(curl, CURLOPT_CONNECTTIMEOUT, limits.connectTimeout)
        _ = lt_curl_set_number(curl, CURLOPT_LOW_SPEED_LIMIT, 1)
        _ = lt_curl_set_number(curl, CURLOPT_LOW_SPEED_TIME, limits.idleTimeout)
        if let posting {
            _ = lt_curl_set_number(curl, CURLOPT_POSTFIELDSIZE, posting.utf8.count)
            _ = lt_curl_set_text(curl, CURLOPT_COPYPOSTFIELDS, posting)
        }
        if let timeout {
            _ = lt_curl_set_number(curl, CURLOPT_TIMEOUT_MS, Int(saturating: max(1, timeout * 1000)))
        }
        // Debian's libcurl does not read these variables itself; its program does.
        if let file = limits.certificates.file { _ = lt_curl_set_text(curl, CURLOPT_CAINFO, file) }
        if let folder = limits.certificates.folder { _ = lt_curl_set_text(curl, CURLOPT_CAPATH, folder) }
        guard lt_curl_set_text(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK else {
            throw TransferError(kind: .other, message: "this libcurl is older than 7.85")
        }
        // What goes to this machine goes to no proxy, which would read the token of an http request.
        if Self.isLoopback(url) { _ = lt_curl_set_text(curl, CURLOPT_NOPROXY, "*") }
        _ = lt_curl_set_callbacks(
            curl, Unmanaged.passUnretained(exchange).toOpaque(), Self.readHeader, Self.readBody, Self.poll)

        let code = withExtendedLifetime(exchange) { lt_curl_perform(curl) }
        if let error = exchange.error { throw error }
        guard code == CURLE_OK else {
            let text = message.pointee == 0 ? String(cString: lt_curl_message(code)) : String(cString: message)
            throw TransferError(kind: Self.kind(of: code), message: text)
        }
        exchange.head.status = lt_curl_status(curl)
        if (300..<400).contains(exchange.head.status), let url = lt_curl_redirect(curl) {
            exchange.head.redirect = String(cString: url)
        }
        return exchange.head
    }

    private static func kind(of code: CURLcode) -> TransferError.Kind {
        switch code {
        case CURLE_COULDNT_RESOLVE_PROXY, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT: .unreachable
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR: .certificate
        case CURLE_PARTIAL_FILE, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_GOT_NOTHING, CURLE_OPERATION_TIMEDOUT,
            CURLE_HTTP2, CURLE_HTTP2_STREAM, CURLE_SSL_CONNECT_ERROR, CURLE_WEIRD_SERVER_REPLY:
            .cut
        default: .other
        }
    }

    /// Scheme, host and port of an address; nil if it is invalid.
    static func origin(_ url: String) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { buffer in
            guard let start = buffer.baseAddress, lt_curl_origin(url, start, buffer.count) == 1 else { return nil }
            return String(cString: start)
        }
    }

    /// True for an address of this machine.
    static func isLoopback(_ url: String) -> Bool {
        guard let origin = origin(url) else { return false }
        return ["127.0.0.1", "localhost", "[::1]"].contains { host in
            origin.hasPrefix("http://\(host):") || origin.hasPrefix("https://\(host):")
        }
    }

    /// The state of one request, for the callbacks.
    private final class Exchange {
        var head = HTTPHead()
        var error: (any Error)?
        let check: () throws -> Void
        let body: (HTTPHead, UnsafeRawBufferPointer) throws -> Void

        init(
            check: @escaping () throws -> Void, body: @escaping (HTTPHead, UnsafeRawBufferPointer) throws -> Void
        ) {
            self.check = check
            self.body = body
        }

        /// Reads a status line or a header. A status line begins the next response, after "100 Continue".
        func read(header line: String) {
            if line.hasPrefix("HTTP/") {
                let words = line.split(separator: " ", maxSplits: 2)
                head = HTTPHead(status: words.count > 1 ? Int(words[1]) ?? 0 : 0)
            } else if let colon = line.firstIndex(of: ":") {
                let value = line[line.index(after: colon)...]
                head.headers[line[..<colon].lowercased()] = value.split(whereSeparator: \.isWhitespace)
                    .joined(separator: " ")
            }
        }
    }

    private static func exchange(_ context: UnsafeMutableRawPointer?) -> Exchange? {
        context.map { Unmanaged<Exchange>.fromOpaque($0).takeUnretainedValue() }
    }

    private static let readHeader:
        @convention(c) (UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?) -> Int = {
            bytes, size, count, context in
            guard let bytes, let exchange = HTTPClient.exchange(context) else { return 0 }
            let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
            exchange.read(header: String(decoding: line, as: UTF8.self))
            return size * count
        }

    private static let readBody:
        @convention(c) (UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?) -> Int = {
            bytes, size, count, context in
            guard let bytes, let exchange = HTTPClient.exchange(context) else { return 0 }
            do {
                try exchange.body(exchange.head, UnsafeRawBufferPointer(start: bytes, count: size * count))
                return size * count
            } catch {
                exchange.error = error
                // Any number but that of the bytes ends the request.
                return size * count == 0 ? 1 : 0
            }
        }

    private static let poll: @convention(c) (UnsafeMutableRawPointer?, Int, Int, Int, Int) -> Int32 = {
        context, _, _, _, _ in
        guard let exchange = HTTPClient.exchange(context) else { return 1 }
        do {
            try exchange.check()
            return 0
        } catch {
            exchange.error = error
            return 1
        }
    }
}
