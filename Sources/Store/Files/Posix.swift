import Glibc
import SystemCalls

/// The store's system calls: those of `SystemCall`, with errors that name the path, and with faults for tests.
enum Posix {
    /// Opens `path` close-on-exec; throws `StoreError` on failure.
    static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws -> Int32 {
        var retries = 3
        while true {
            do {
                try fail(.open, path)
                let isNew = FaultPlan.isRecording && flags & O_CREAT != 0 && linkStatus(path) == nil
                let descriptor = try SystemCall.open(path, flags, mode: mode)
                if isNew { FaultPlan.note(.create(path)) }
                return descriptor
            } catch {
                if error.number == EINTR { continue }
                // Other threads may be about to close descriptors.
                guard [EMFILE, ENFILE].contains(error.number), retries > 0 else {
                    throw StoreError.system(error, "open", path)
                }
                retries -= 1
                usleep(5000)
            }
        }
    }

    /// Throws the error a test wants this call to fail with.
    private static func fail(_ operation: FaultPlan.Operation, _ path: String) throws(SystemError) {
        if case .error(let number) = FaultPlan.effect(operation, path) { throw SystemError(number) }
    }

    /// Converts a `SystemError` of `body` to a `StoreError` that names the action and the path.
    private static func naming<Value>(
        _ action: String, _ path: String, _ body: () throws(SystemError) -> Value
    ) throws -> Value {
        do {
            return try body()
        } catch {
            throw StoreError.system(error, action, path)
        }
    }

    /// Writes all of `bytes`; throws `.noSpace` with the number of bytes that did not fit.
    static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, path: String) throws {
        var rest = bytes
        while !rest.isEmpty {
            var wanted = rest.count
            switch FaultPlan.effect(.write, path) {
            case .error(EINTR): continue
            case .error(let number): throw StoreError.system(SystemError(number), "write", path, bytes: wanted)
            case .short: wanted = (wanted + 1) / 2
            case nil: break
            }
            do {
                let written = try SystemCall.write(descriptor, UnsafeRawBufferPointer(rebasing: rest[..<wanted]))
                FaultPlan.note(.write(path, Array(rest[..<written])))
                rest = UnsafeRawBufferPointer(rebasing: rest[written...])
            } catch {
                throw StoreError.system(error, "write", path, bytes: rest.count)
            }
        }
    }

    /// Fills `buffer` starting at `offset`; returns how many bytes were read before the end of the file.
    static func pread(
        _ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer, offset: Int, path: String
    ) throws -> Int {
        try naming("read", path) { () throws(SystemError) in try SystemCall.read(descriptor, buffer, at: offset) }
    }

    /// Flushes a file; a failure is final, since the kernel may have dropped the pages.
    static func sync(_ descriptor: Int32, path: String) throws {
        do {
            try fail(.sync, path)
            try SystemCall.sync(descriptor)
        } catch {
            throw StoreError.notSynced(path, error)
        }
        FaultPlan.note(.sync(path))
    }

    /// Renames a file or folder, replacing what is there.
    static func rename(_ old: String, to new: String, _ action: String = "rename") throws {
        try naming(action, old) { () throws(SystemError) in try fail(.rename, old) }
        var done = Glibc.rename(old, new) == 0
        if !done, errno == EISDIR {
            // There is a folder where the file belongs.
            try removeTree(new)
            done = Glibc.rename(old, new) == 0
        }
        if !done { throw StoreError.system(.last, action, old) }
        FaultPlan.note(.rename(old, new))
    }

    /// Creates a hard link; returns false if `new` exists, nil if the file system does not support links.
    static func link(_ old: String, to new: String) throws -> Bool? {
        do throws(SystemError) {
            try fail(.link, new)
            guard Glibc.link(old, new) == 0 else { throw SystemError.last }
            FaultPlan.note(.link(old, new))
            return true
        } catch {
            switch error.number {
            case EEXIST: return false
            case EPERM, EOPNOTSUPP, ENOSYS, EMLINK: return nil
            default: throw StoreError.system(error, "link", new)
            }
        }
    }

    /// Takes a lock on an open file, trying for `seconds`; returns false if it stays held by others.
    ///
    /// Throws `.interrupted` if the wait ended because this process was asked to exit.
    static func lock(_ descriptor: Int32, _ kind: Int32, for seconds: Double = 0, path: String) throws -> Bool {
        let wait = LockWaits.Wait(seconds: seconds)
        while flock(descriptor, kind | LOCK_NB) != 0 {
            let number = errno
            if number == EINTR { continue }
            guard number == EWOULDBLOCK else { throw StoreError.system(SystemError(number), "lock", path) }
            guard seconds > 0, wait.sleepIfTimeIsLeft() else {
                if seconds > 0, LockWaits.isEnding { throw StoreError.interrupted(path) }
                return false
            }
        }
        return true
    }

    /// Writes a small file atomically: temporary file, flush, rename, flush of the folder.
    static func replace(_ path: String, with bytes: [UInt8], mode: mode_t = 0o600) throws {
        let temporary = path + ".\(getpid()).tmp"
        try remove(temporary)
        let descriptor = try open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: mode)
        do {
            defer { close(descriptor) }
            try bytes.withUnsafeBytes { try write(descriptor, $0, path: temporary) }
            try sync(descriptor, path: temporary)
            CrashPoint.reach(.manifestWritten)
            try rename(temporary, to: path)
        } catch {
            discard(temporary)
            throw error
        }
        CrashPoint.reach(.manifestRenamed)
        try syncDirectory(parent(of: path))
    }

    /// Flushes the names in a directory.
    static func syncDirectory(_ path: String) throws {
        let descriptor = try open(path, O_RDONLY | O_DIRECTORY)
        defer { close(descriptor) }
        try sync(descriptor, path: path)
    }

    /// Flushes the name of a new directory.
    static func syncName(of path: String) throws {
        let parent = parent(of: path)
        // A folder that can be searched but not listed cannot be flushed.
        if access(parent, R_OK) != 0, errno == EACCES { return }
        try syncDirectory(parent)
    }

    static func status(_ descriptor: Int32, path: String) throws -> stat {
        try naming("stat", path) { () throws(SystemError) in try SystemCall.status(descriptor) }
    }

    /// Returns the status of the file at `path`, following links; throws `StoreError` if it cannot be read.
    static func status(of path: String) throws -> stat {
        try naming("stat", path) { () throws(SystemError) in try SystemCall.status(of: path) }
    }

    /// Returns the status of `path` itself (links are not followed); nil if it does not exist.
    static func linkStatus(_ path: String) -> stat? { try? SystemCall.linkStatus(of: path) }

    static func isDirectory(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFDIR }
    static func isRegular(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFREG }

    /// Creates one directory for this user only; returns true if it did not exist before.
    @discardableResult
    static func makeDirectory(_ path: String) throws -> Bool {
        do throws(SystemError) {
            try fail(.mkdir, path)
            guard mkdir(path, 0o700) == 0 else { throw SystemError.last }
            FaultPlan.note(.mkdir(path))
            return true
        } catch {
            guard error.number == EEXIST else { throw StoreError.system(error, "create", path) }
            guard let status = try? SystemCall.status(of: path), isDirectory(status) else {
                throw StoreError.notADirectory(path)
            }
            return false
        }
    }

    /// Removes a file, or the folder that is there instead; a missing file is not an error.
    static func remove(_ path: String) throws {
        try naming("remove", path) { () throws(SystemError) in try fail(.unlink, path) }
        if unlink(path) == 0 { return FaultPlan.note(.unlink(path)) }
        let error = SystemError.last
        if error.number == EISDIR { return try removeTree(path) }
        if error.number != ENOENT { throw StoreError.system(error, "remove", path) }
    }

    /// Removes a temporary file after a failure, ignoring errors.
    static func discard(_ path: String) {
        if unlink(path) == 0 { FaultPlan.note(.unlink(path)) }
    }

    /// Removes an empty directory; a missing directory is not an error.
    static func removeDirectory(_ path: String) throws {
        if rmdir(path) == 0 { return FaultPlan.note(.unlink(path)) }
        if errno != ENOENT { throw StoreError.system(.last, "remove", path) }
    }

    /// Throws for a directory that other users could change: owned by another user (except root), or group- or
    /// world-writable.
    static func requirePrivate(_ path: String) throws {
        let status = try status(of: path)
        guard isDirectory(status) else { throw StoreError.notADirectory(path) }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw StoreError.ownedByAnother(path, user: status.st_uid)
        }
        if status.st_mode & 0o022 != 0 {
            throw StoreError.writableByOthers(path, mode: UInt32(status.st_mode & 0o7777))
        }
    }

    /// Returns the names in a directory except `.` and `..`, sorted; names that are not UTF-8 are left out.
    static func names(in path: String) throws -> [String] {
        try naming("list", path) { () throws(SystemError) in try SystemCall.names(in: path) }
            .compactMap { String(validating: $0, as: UTF8.self) }.sorted()
    }

    /// Returns the number of bytes an unprivileged user can still write on the file system of `path`.
    static func freeBytes(at path: String) throws -> Int64 {
        let status = try fileSystem(at: path)
        return bytes(blocks: UInt64(status.f_bavail), of: status)
    }

    /// Returns true if the file system of `path` has free bytes but no inode for another file.
    static func lacksInodes(at path: String) -> Bool {
        guard let status = try? fileSystem(at: path) else { return false }
        return status.f_files > 0 && status.f_favail == 0 && status.f_bavail > 0
    }

    /// Returns the size in bytes of the file system of `path`.
    static func totalBytes(at path: String) throws -> Int64 {
        let status = try fileSystem(at: path)
        return bytes(blocks: UInt64(status.f_blocks), of: status)
    }

    private static func fileSystem(at path: String) throws -> statvfs {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { throw StoreError.system(.last, "measure", path) }
        return status
    }

    private static func bytes(blocks: UInt64, of status: statvfs) -> Int64 {
        let (bytes, overflow) = blocks.multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? Int64.max : Int64(clamping: bytes)
    }

    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
