/// A service that answers requests over HTTP with JSON.
package struct JSONService: Sendable {
    /// The longest answer that is read, in bytes.
    static let mostBytes = 16 << 20

    private let address: String
    private let timeout: Double
    private let certificates: (file: String?, folder: String?)

    /// What came back.
    package struct Reply: Sendable {
        /// The HTTP status.
        package let status: Int
        /// The body's bytes.
        package let body: [UInt8]
    }

    /// A service at an address.
    ///
    /// - Parameters:
    ///   - address: http or https, host and port.
    ///   - environment: SSL_CERT_FILE and SSL_CERT_DIR name certificates to trust instead of the system's.
    ///   - timeout: seconds until a request ends.
    /// - Throws: `HubError` `bad_hub_setting` for an address that is none; `library_missing`.
    package init(_ address: String, environment: [String: String], timeout: Double) throws {
        try HTTPClient.load()
        guard address.hasPrefix("https://") || address.hasPrefix("http://"), HTTPClient.origin(address) != nil else {
            throw HubError(.badSetting, "\(address) is not an address; use one that begins with https:// or http://")
        }
        self.address = address.last == "/" ? String(address.dropLast()) : address
        self.timeout = timeout
        certificates = (environment["SSL_CERT_FILE"], environment["SSL_CERT_DIR"])
    }

    /// Sends a request and waits for its answer; redirects are not followed.
    ///
    /// - Parameters:
    ///   - path: begins with a slash.
    ///   - posting: the body of a POST; nil: a GET.
    ///   - check: called about once per second; an error it throws ends the request.
    /// - Throws: `HubError` `network` if there was no answer, or what `check` threw.
    package func call(_ path: String, posting: String? = nil, check: @escaping () throws -> Void) throws -> Reply {
        let wait = Int(saturating: max(1, timeout.rounded(.up)))
        let client = try HTTPClient(
            HTTPClient.Limits(connectTimeout: wait, idleTimeout: wait, certificates: certificates))
        var body: [UInt8] = []
        do {
            let head = try client.exchange(
                address + path, headers: ["Content-Type: application/json"], posting: posting, timeout: timeout,
                check: check
            ) { _, bytes in
                guard body.count + bytes.count <= Self.mostBytes else {
                    throw TransferError(kind: .other, message: "the answer is too long")
                }
                body += bytes
            }
            return Reply(status: head.status, body: body)
        } catch let error as TransferError {
            throw HubError(.network, "\(address): \(error.message)")
        }
    }
}
