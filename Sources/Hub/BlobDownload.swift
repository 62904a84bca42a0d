internal import Glibc
internal import SystemCalls

/// Downloads one file into `blobs`, continuing what an earlier run left.
///
/// The bytes go to `<hash>.incomplete`, which gets its name only when they have the right size and hash. A run that
/// ends early leaves that file; the next one hashes it and asks for the rest.
struct BlobDownload {
    let client: HubClient
    let cache: HubCache
    let name: HubName
    let commit: String
    let file: HubFile
    let check: () throws -> Void
    /// Gets the change in the number of bytes that are there; negative if bytes are dropped.
    let progress: (Int64) -> Void

    /// The number of bytes of an earlier run; 0 if there are none, or too many.
    static func kept(of file: HubFile, in cache: HubCache) -> Int64 {
        let size = HubCache.size(cache.incomplete(file.blob)) ?? 0
        return size <= file.size ? size : 0
    }

    /// Downloads the file; returns when the blob is in place.
    ///
    /// The blob's lock must be held.
    func run() throws {
        do {
            try attempt()
        } catch let first as Damage {
            // A connection or a server's cache may have damaged it once.
            do {
                try attempt()
            } catch is Damage {
                throw HubError(
                    .damagedDownload,
                    "\(name): \(file.path): \(first.what), twice; the download was removed; try again later, or ask "
                        + "who runs \(client.settings.endpoint)")
            }
        }
    }

    /// Bytes that are not those of the file.
    private struct Damage: Error { let what: String }

    private func attempt() throws {
        let path = cache.incomplete(file.blob)
        let descriptor: Int32
        do {
            descriptor = try SystemCall.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o666)
        } catch {
            throw HubError.write(path, error)
        }
        defer { close(descriptor) }
        let partial = Partial(descriptor: descriptor, path: path, file: file, progress: progress)
        do {
            try partial.start(check: check)
            try receive(partial)
            guard partial.digits() == file.blob else { throw Damage(what: "what was received has another hash") }
        } catch let damage as Damage {
            try partial.clear()
            unlink(path)
            throw damage
        }
        do {
            try SystemCall.sync(descriptor)
            guard rename(path, cache.blob(file.blob)) == 0 else { throw SystemError.last }
        } catch let error as SystemError {
            throw HubError.write(path, error)
        }
        try HubCache.sync(folder: HubCache.parent(path))
    }

    /// Receives what is missing, in as many requests as that takes.
    private func receive(_ partial: Partial) throws {
        var retries = Retries()
        while partial.count < file.size {
            let before = partial.count
            do {
                let response = Response()
                let head = try client.fetch(file, of: name, commit: commit, from: before) { head, bytes in
                    if !response.hasBegun {
                        response.hasBegun = true
                        try begin(head, partial, from: before)
                    }
                    guard partial.count + Int64(bytes.count) <= file.size else {
                        throw Damage(what: "the server sends more than the \(file.size) bytes of the file")
                    }
                    try partial.append(bytes)
                }
                if head.status == 416 {
                    // The server has fewer bytes than there are here: not the same file.
                    try partial.clear()
                    throw Retries.Failure(message: "\(file.path): the server refuses to continue at byte \(before)")
                }
                if partial.count < file.size {
                    throw Retries.Failure(message: "\(file.path): the connection ended at byte \(partial.count)")
                }
            } catch let failure as Retries.Failure {
                if partial.count > before { retries.reset() }
                try client.retry(&retries, failure)
            }
        }
    }

    private final class Response { var hasBegun = false }

    /// Checks a response's range and size before its first byte is taken.
    private func begin(_ head: HTTPHead, _ partial: Partial, from offset: Int64) throws {
        if head.status == 206 {
            // "bytes 5-9/10"
            let range = head.headers["content-range"] ?? ""
            let parts = range.split { " -/".contains($0) }.map(String.init)
            guard parts.count == 4, parts[0].lowercased() == "bytes", Int64(parts[1]) == offset else {
                throw Damage(what: "the server answers with another range (\(range))")
            }
            guard parts[3] == "*" || Int64(parts[3]) == file.size else {
                throw Damage(what: "the server has \(parts[3]) bytes, the hub lists \(file.size)")
            }
        } else {
            // The server does not know ranges.
            try partial.clear()
            if let size = head.size("content-length"), size != file.size {
                throw Damage(what: "the server has \(size) bytes, the hub lists \(file.size)")
            }
        }
    }

    /// The file that grows, with the hash of its bytes.
    private final class Partial {
        private let descriptor: Int32
        private let path: String
        private let file: HubFile
        private let progress: (Int64) -> Void
        private var hash: BlobHash
        private(set) var count: Int64 = 0

        init(descriptor: Int32, path: String, file: HubFile, progress: @escaping (Int64) -> Void) {
            self.descriptor = descriptor
            self.path = path
            self.file = file
            self.progress = progress
            hash = BlobHash(like: file.blob, size: file.size)
        }

        /// Hashes what an earlier run left.
        func start(check: () throws -> Void) throws {
            do {
                let size = Int64(try SystemCall.status(descriptor).st_size)
                guard size <= file.size else { return try clear() }
                try hash.update(file: descriptor, count: size) {
                    count += $0
                    progress($0)
                    try check()
                }
                guard lseek(descriptor, off_t(count), SEEK_SET) >= 0 else { throw SystemError.last }
            } catch let error as SystemError {
                throw HubError.read(path, error)
            }
        }

        func append(_ bytes: UnsafeRawBufferPointer) throws {
            do {
                try SystemCall.writeAll(descriptor, bytes)
            } catch {
                throw HubError.write(path, error)
            }
            hash.update(bytes)
            count += Int64(bytes.count)
            progress(Int64(bytes.count))
        }

        /// Drops all bytes.
        func clear() throws {
            guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
                throw HubError.write(path, .last)
            }
            progress(-count)
            count = 0
            hash = BlobHash(like: file.blob, size: file.size)
        }

        func digits() -> String { hash.digits() }
    }
}
