internal import Checkpoints
internal import Glibc
internal import SystemCalls

/// Where models come from and where they are stored, as the environment variables of `huggingface_hub` say.
package struct HubSettings: Sendable {
    /// The hub's address without a slash at the end: HF_ENDPOINT.
    package let endpoint: String
    /// The access token: HF_TOKEN, or the token file; nil if there is none.
    let token: String?
    /// The cache folder, see `TowerFolder.hubCache`.
    package let cache: String
    /// True if the network must not be used: HF_HUB_OFFLINE.
    package let isOffline: Bool
    /// False if a snapshot's files must not be symbolic links: HF_HUB_DISABLE_SYMLINKS.
    let linksSymbolically: Bool
    /// Seconds until an answer of the hub must begin: HF_HUB_ETAG_TIMEOUT.
    let connectTimeout: Int
    /// Seconds without any data after which a connection counts as cut: HF_HUB_DOWNLOAD_TIMEOUT.
    let idleTimeout: Int
    /// Certificates to trust instead of the system's: SSL_CERT_FILE and SSL_CERT_DIR.
    let certificates: (file: String?, folder: String?)

    /// Reads the settings.
    ///
    /// - Throws: `HubError` `bad_hub_setting` that names the variable.
    package init(environment: [String: String]) throws {
        func set(_ names: String...) -> String? {
            names.lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
        }
        func isOn(_ names: String...) -> Bool {
            names.contains { ["1", "ON", "YES", "TRUE"].contains(environment[$0]?.uppercased()) }
        }
        func seconds(_ name: String) throws -> Int {
            guard let text = set(name) else { return 10 }
            guard let value = Int(text), (1...3600).contains(value) else {
                throw HubError(.badSetting, "\(name)=\(text) must be 1 to 3600 seconds")
            }
            return value
        }
        var endpoint = set("HF_ENDPOINT") ?? "https://huggingface.co"
        while endpoint.hasSuffix("/") { endpoint.removeLast() }
        guard endpoint.hasPrefix("https://") || endpoint.hasPrefix("http://"), !endpoint.contains(" ") else {
            throw HubError(.badSetting, "HF_ENDPOINT=\(endpoint) must be an address that begins with https://")
        }
        self.endpoint = endpoint
        guard let cache = TowerFolder.hubCache(environment) else {
            throw HubError(.badSetting, "no folder for downloaded models: set HF_HOME, or HOME")
        }
        self.cache = cache
        isOffline = isOn("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
        linksSymbolically = !isOn("HF_HUB_DISABLE_SYMLINKS")
        connectTimeout = try seconds("HF_HUB_ETAG_TIMEOUT")
        idleTimeout = try seconds("HF_HUB_DOWNLOAD_TIMEOUT")
        certificates = (set("SSL_CERT_FILE"), set("SSL_CERT_DIR"))
        token =
            try isOn("HF_HUB_DISABLE_IMPLICIT_TOKEN")
            ? nil : Self.token(set("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"), file: Self.tokenFile(set))
    }

    /// HF_TOKEN_PATH, else `token` in HF_HOME.
    private static func tokenFile(_ set: (String...) -> String?) -> String? {
        if let file = set("HF_TOKEN_PATH") { return file }
        if let home = set("HF_HOME") { return home + "/token" }
        if let cache = set("XDG_CACHE_HOME"), cache.hasPrefix("/") { return cache + "/huggingface/token" }
        return set("HOME").map { $0 + "/.cache/huggingface/token" }
    }

    private static func token(_ value: String?, file: String?) throws -> String? {
        var text = value
        if text == nil, let file, let descriptor = try? SystemCall.open(file, O_RDONLY | O_NONBLOCK) {
            defer { close(descriptor) }
            text = (try? SystemCall.contents(descriptor, limit: 4096)).flatMap { $0 }
                .map { String(decoding: $0, as: UTF8.self) }
        }
        guard let token = text?.split(whereSeparator: \.isWhitespace), let first = token.first else { return nil }
        // It is a part of a header line. The message must not contain it.
        guard token.count == 1, first.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw HubError(.badSetting, "the access token (HF_TOKEN, or the token file) is not one printable word")
        }
        return String(first)
    }
}
