internal import Checkpoints
internal import Glibc

/// A file of a model on a hub.
struct HubFile: Equatable {
    /// The path in the model.
    let path: String
    /// Size in bytes.
    let size: Int64
    /// SHA-256 of a large file, SHA-1 as a Git blob of a small one; names it in the cache.
    let blob: String
}

/// Asks a hub for the files of a model, and for their bytes.
///
/// The access token goes to the hub's own host, scheme and port only, never to the host of a redirect; over http only
/// to this machine.
final class HubClient {
    let settings: HubSettings
    private let http: HTTPClient
    private let origin: String
    private let check: () throws -> Void
    private let note: (String) -> Void

    /// - Parameters:
    ///   - check: throws to end the work; called about once per second.
    ///   - note: gets remarks for people: a retry, a wait.
    init(_ settings: HubSettings, check: @escaping () throws -> Void, note: @escaping (String) -> Void) throws {
        self.settings = settings
        self.check = check
        self.note = note
        http = try HTTPClient(settings)
        guard let origin = HTTPClient.origin(settings.endpoint) else {
            throw HubError(.badSetting, "HF_ENDPOINT=\(settings.endpoint) is not a valid address")
        }
        self.origin = origin
        if settings.token != nil, !sendsToken(to: settings.endpoint) {
            note("the access token is not sent to \(settings.endpoint), which is not encrypted")
        }
    }

    private func sendsToken(to url: String) -> Bool {
        guard let target = HTTPClient.origin(url), target == origin else { return false }
        return target.hasPrefix("https:") || HTTPClient.isLoopback(url)
    }

    // MARK: Listing

    /// The commit that a revision names.
    func commit(of name: HubName) throws -> String {
        let url =
            "\(settings.endpoint)/api/models/\(name.repository)/revision/\(Self.escaped(name.revision, slash: true))"
        let answer = try json(url, name).0
        guard let commit = answer["sha"]?.stringValue, HubName.isHash(commit, digits: 40) else {
            throw notAHub("the answer names no commit")
        }
        return commit
    }

    /// All files of a commit.
    func files(of name: HubName, commit: String) throws -> [HubFile] {
        var url: String? = "\(settings.endpoint)/api/models/\(name.repository)/tree/\(commit)?recursive=true"
        var files: [HubFile] = []
        var pages = 0
        while let page = url {
            // A hub's pages have 1,000 entries.
            pages += 1
            guard pages <= 1000 else { throw notAHub("the list of files does not end") }
            let (answer, head) = try json(page, name)
            guard let entries = answer.arrayValue else { throw notAHub("the list of files is not an array") }
            for entry in entries where entry["type"]?.stringValue == "file" {
                guard let file = Self.file(entry) else { throw notAHub("an entry of the list of files is invalid") }
                files.append(file)
            }
            guard files.count <= 100_000 else {
                throw HubError(.notAModel, "\(name): more than 100,000 files, which is not a model")
            }
            url = Self.next(head.headers["link"])
        }
        return files
    }

    private static func file(_ entry: JSONValue) -> HubFile? {
        guard let path = entry["path"]?.stringValue, FolderPath.refusal(of: path) == nil else { return nil }
        let large = entry["lfs"]
        let blob = (large ?? entry)["oid"]?.stringValue ?? ""
        guard let size = (large?["size"] ?? entry["size"])?.intValue, size >= 0,
            HubName.isHash(blob, digits: large == nil ? 40 : 64)
        else { return nil }
        return HubFile(path: path, size: Int64(size), blob: blob)
    }

    /// The address of the next page: `<https://…>; rel="next"`.
    private static func next(_ link: String?) -> String? {
        guard let link, link.contains("rel=\"next\""), let start = link.firstIndex(of: "<"),
            let end = link.firstIndex(of: ">"), start < end
        else { return nil }
        return String(link[link.index(after: start)..<end])
    }

    private func json(_ url: String, _ name: HubName) throws -> (JSONValue, HTTPHead) {
        var retries = Retries()
        while true {
            do {
                let bytes = Collected(limit: 32 << 20)
                let head = try request(url, headers: ["Accept: application/json"]) { head, piece in
                    if head.status == 200 { try bytes.append(piece) }
                }
                try refuse(head, name)
                guard head.status == 200 else { throw notAHub("status \(head.status)") }
                let limits = JSONReader.Limits(bytes: 32 << 20, values: 2_000_000, depth: 64)
                guard let value = try? JSONValue(parsing: bytes.bytes, limits: limits) else {
                    throw notAHub("the answer is not JSON")
                }
                return (value, head)
            } catch let failure as Retries.Failure {
                try retry(&retries, failure)
            }
        }
    }

    // MARK: Files

    /// Requests a file's bytes from `offset` on, following redirects.
    ///
    /// - Parameter body: gets the head and each piece of the body of a response with status 200 or 206.
    /// - Returns: the head of the last response: 200, 206 or 416.
    /// - Throws: `Retries.Failure` for what another attempt may mend, else `HubError` or what `body` threw.
    func fetch(
        _ file: HubFile, of name: HubName, commit: String, from offset: Int64,
        body: @escaping (HTTPHead, UnsafeRawBufferPointer) throws -> Void
    ) throws -> HTTPHead {
        let url = "\(settings.endpoint)/\(name.repository)/resolve/\(commit)/\(Self.escaped(file.path, slash: false))"
        let head = try request(url, headers: offset > 0 ? ["Range: bytes=\(offset)-"] : []) { head, piece in
            if head.status == 200 || head.status == 206 { try body(head, piece) }
        }
        if head.status == 416 { return head }
        try refuse(head, name, file: file.path)
        guard head.status == 200 || head.status == 206 else {
            throw notAHub("status \(head.status) for \(file.path)")
        }
        return head
    }

    /// Sends a request and follows up to 8 redirects.
    private func request(
        _ url: String, headers: [String], body: @escaping (HTTPHead, UnsafeRawBufferPointer) throws -> Void
    ) throws -> HTTPHead {
        var url = url
        for _ in 0...8 {
            var lines = headers + ["Accept-Encoding: identity"]
            if let token = settings.token, sendsToken(to: url) { lines.append("Authorization: Bearer \(token)") }
            let head: HTTPHead
            do {
                head = try http.get(url, headers: lines, check: check, body: body)
            } catch let error as TransferError {
                throw failure(error, url)
            }
            guard let target = head.redirect else { return head }
            // From https to http anyone on the way could see which files are fetched.
            guard !url.hasPrefix("https:") || target.hasPrefix("https:") else {
                throw HubError(
                    .network, "\(host(url)) redirects to \(host(target)) without encryption, which is refused")
            }
            url = target
        }
        throw HubError(.network, "\(host(url)): more than 8 redirects")
    }

    private func failure(_ error: TransferError, _ url: String) -> any Error {
        let message = "\(host(url)): \(error.message)"
        switch error.kind {
        case .unreachable: return Retries.Failure(message: message, isConnection: true)
        case .cut: return Retries.Failure(message: message)
        case .certificate:
            return HubError(
                .network,
                "\(message); certificates other than the system's are read from SSL_CERT_FILE and SSL_CERT_DIR")
        case .other: return HubError(.network, message)
        }
    }

    /// Throws the error of a status that ends the download; `Retries.Failure` if another attempt may help.
    private func refuse(_ head: HTTPHead, _ name: HubName, file: String? = nil) throws {
        let reason = head.headers["x-error-code"]
        let hub = host(settings.endpoint)
        let page = "\(settings.endpoint)/\(name.repository)"
        switch head.status {
        case 429, 500, 502, 503, 504, 408:
            throw Retries.Failure(
                message: head.status == 429
                    ? "\(hub) asks for fewer requests (status 429)" : "\(hub) answers with status \(head.status)",
                pause: head.headers["retry-after"].flatMap(Double.init))
        case 401, 403:
            if reason == "GatedRepo" {
                throw HubError(
                    .accessDenied,
                    settings.token == nil
                        ? "\(name): the model is gated: accept its license on \(page), and set HF_TOKEN to an access "
                            + "token"
                        : "\(name): the model is gated, and the access token (HF_TOKEN) has no access: accept its "
                            + "license on \(page)")
            }
            if settings.token != nil, reason != "RepoNotFound" {
                throw HubError(
                    .accessDenied,
                    "\(name): \(hub) refuses the access token (HF_TOKEN, or the token file), status \(head.status)")
            }
            throw HubError(
                .notFound, "\(name): no such model on \(hub), or it is private; for a private one set HF_TOKEN")
        case 404:
            if let file, reason != "RepoNotFound", reason != "RevisionNotFound" {
                throw HubError(.notFound, "\(name): \(hub) lists \(file) but does not have it")
            }
            if reason == "RevisionNotFound" {
                throw HubError(.notFound, "\(name.repository): \(hub) has no revision \(name.revision) of this model")
            }
            throw HubError(.notFound, "\(name): no such model on \(hub)")
        default: break
        }
    }

    /// Waits before another attempt, or throws the error of the last one.
    func retry(_ retries: inout Retries, _ failure: Retries.Failure) throws {
        guard let seconds = retries.next(failure) else {
            let wait = failure.pause.map { "; it asks to wait \(Int(saturating: $0)) s" } ?? ""
            throw HubError(
                .network,
                "\(failure.message)\(wait); \(counted(retries.count, "attempt")) failed; what is downloaded so far is "
                    + "kept"
            )
        }
        note("\(failure.message); next attempt in \(Self.text(seconds)) s")
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            try check()
            usleep(50_000)
        }
    }

    private static func text(_ seconds: Double) -> String {
        seconds < 1 ? "0.\(Int(saturating: (10 * seconds).rounded()))" : "\(Int(saturating: seconds.rounded(.up)))"
    }

    private func notAHub(_ what: String) -> HubError {
        HubError(
            .network,
            "\(settings.endpoint) does not answer like a hub: \(what); a proxy or login page may be in between, or "
                + "HF_ENDPOINT is wrong"
        )
    }

    /// The host of an address, for messages: addresses of files may have signatures.
    private func host(_ url: String) -> String {
        guard let origin = HTTPClient.origin(url) else { return "an invalid address" }
        return origin.hasSuffix(":443") ? String(origin.dropFirst("https://".count).dropLast(4)) : origin
    }

    /// Percent-encodes a part of an address; `slash` encodes slashes too.
    private static func escaped(_ text: String, slash: Bool) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e: bytes.append(byte)
            case 0x2f where !slash: bytes.append(byte)
            default: bytes += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A response's body, up to a limit.
    private final class Collected {
        private(set) var bytes: [UInt8] = []
        private let limit: Int
        init(limit: Int) { self.limit = limit }

        func append(_ piece: UnsafeRawBufferPointer) throws {
            guard piece.count <= limit - bytes.count else {
                throw HubError(.network, "the hub's answer is longer than \(limit) bytes")
            }
            bytes += piece
        }
    }
}

/// The attempts of one request.
struct Retries {
    /// A failure that another attempt may mend.
    struct Failure: Error {
        let message: String
        /// True if no connection was made.
        var isConnection = false
        /// Seconds that the server asks to wait.
        var pause: Double?
    }

    /// Attempts that failed since the last progress.
    private(set) var count = 0
    private static let limit = 5
    /// The longest wait that a server may ask for; a hub counts requests per five minutes.
    private static let longestPause = 300.0

    /// Forgets earlier failures: data arrived.
    mutating func reset() { count = 0 }

    /// Seconds until the next attempt; nil if there is none: 0.1, 0.4, 1.6 and 6.4 s, or as long as the server asks.
    mutating func next(_ failure: Failure) -> Double? {
        count += 1
        // Without a network every attempt fails: three tell a moment's fault from that.
        guard count < (failure.isConnection ? 3 : Self.limit) else { return nil }
        if let pause = failure.pause, pause >= 0 {
            return pause <= Self.longestPause ? pause : nil
        }
        return 0.1 * Double(1 << (2 * count - 2))
    }
}
