internal import CCrypto
internal import CCurl
internal import Glibc

/// Posts JSON to an address.
package struct Webhook: Sendable {
    /// The address; http or https.
    package let url: String
    /// Key of the header `X-Longtake-Signature`, "sha256=" and the HMAC of the body; nil: no such header.
    package let secret: String?
    /// Seconds until a request ends.
    package let timeout: Double

    /// - Throws: `HubError` `bad_hub_setting` for an address that is none; `library_missing`.
    package init(url: String, secret: String?, timeout: Double) throws {
        try HTTPClient.load()
        guard url.hasPrefix("https://") || url.hasPrefix("http://"), HTTPClient.origin(url) != nil else {
            throw HubError(.badSetting, "\(url) is not an address; use one that begins with https:// or http://")
        }
        self.url = url
        self.secret = secret
        self.timeout = timeout
    }

    /// Posts a body and returns the response's status; redirects are not followed.
    ///
    /// - Parameters:
    ///   - headers: further headers as whole lines.
    ///   - environment: SSL_CERT_FILE and SSL_CERT_DIR name certificates to trust instead of the system's.
    /// - Throws: `HubError` that says why there was no response.
    package func post(_ body: String, headers: [String] = [], environment: [String: String]) throws -> Int {
        let wait = Int(saturating: max(1, timeout.rounded(.up)))
        let client = try HTTPClient(
            HTTPClient.Limits(
                connectTimeout: wait, idleTimeout: wait,
                certificates: (environment["SSL_CERT_FILE"], environment["SSL_CERT_DIR"])))
        var lines = ["Content-Type: application/json"] + headers
        if let secret { lines.append("X-Longtake-Signature: sha256=\(Self.hmac(body, key: secret))") }
        do {
            return try client.post(url, headers: lines, body: body, timeout: timeout).status
        } catch let error as TransferError {
            throw HubError(.network, "\(url): \(error.message)")
        }
    }

    /// HMAC-SHA256 in lowercase hexadecimal digits (RFC 2104).
    static func hmac(_ text: String, key: String) -> String {
        let (key, data) = (Array(key.utf8), Array(text.utf8))
        var digest = [UInt8](repeating: 0, count: 64)
        var count: UInt32 = 0
        _ = HMAC(EVP_sha256(), key, Int32(clamping: key.count), data, data.count, &digest, &count)
        return digest.prefix(Int(count)).map { byte in
            let text = String(byte, radix: 16)
            return text.utf8.count == 1 ? "0" + text : text
        }.joined()
    }
}
