import Glibc

/// The system calls the store makes; they handle EINTR and short transfers.
enum Posix {
    /// Opens `path` close-on-exec; throws `StoreError` on failure.
    static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o600) throws -> Int32 {
        var patience = 3
        while true {
            var number = failure(.open, path)
            if number == 0 {
                let isNew = FaultPlan.isRecording && flags & O_CREAT != 0 && linkStatus(path) == nil
                let descriptor = Glibc.open(path, flags | O_CLOEXEC, mode)
                if descriptor >= 0 {
                    if isNew { FaultPlan.note(.create(path)) }
                    return descriptor
                }
                number = errno
            }
            if number == EINTR { continue }
            // Other threads may be about to close descriptors.
            if [EMFILE, ENFILE].contains(number), patience > 0 {
                patience -= 1
                usleep(5000)
                continue
            }
            throw StoreError.system(number, "open", path)
        }
    }

    /// Returns the errno a test wants this call to fail with, else 0.
    private static func failure(_ operation: FaultPlan.Operation, _ path: String) -> Int32 {
        if case .error(let number) = FaultPlan.effect(operation, path) { number } else { 0 }
    }

    /// Writes all of `bytes`; throws `.noSpace` with the number of bytes that did not fit.
    static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, path: String) throws {
        guard let base = bytes.baseAddress else { return }
        var done = 0
        while done < bytes.count {
            var wanted = bytes.count - done
            switch FaultPlan.effect(.write, path) {
            case .error(EINTR): continue
            case .error(let number): throw StoreError.system(number, "write", path, bytes: wanted)
            case .short: wanted = (wanted + 1) / 2
            case nil: break
            }
            let written = Glibc.write(descriptor, base + done, wanted)
            if written > 0 {
                FaultPlan.note(.write(path, Array(UnsafeRawBufferPointer(start: base + done, count: written))))
                done += written
            } else if written == 0 {
                throw StoreError.system(EIO, "write", path)
            } else if errno != EINTR {
                throw StoreError.system(errno, "write", path, bytes: bytes.count - done)
            }
        }
    }

    /// Fills `buffer` starting at `offset`; returns how many bytes were read before the end of the file.
    static func pread(
        _ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer, offset: Int, path: String
    ) throws -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        var done = 0
        while done < buffer.count {
            let got = Glibc.pread(descriptor, base + done, buffer.count - done, off_t(offset + done))
            if got == 0 { break }
            if got > 0 {
                done += got
            } else if errno != EINTR {
                throw StoreError.system(errno, "read", path)
            }
        }
        return done
    }

    /// Flushes a file; a failure is final, since the kernel may have dropped the pages.
    static func sync(_ descriptor: Int32, path: String) throws {
        let number = failure(.sync, path)
        if number != 0 { throw StoreError.notSynced(path, number) }
        if fsync(descriptor) != 0 { throw StoreError.notSynced(path, errno) }
        FaultPlan.note(.sync(path))
    }

    /// Renames a file or folder, replacing what is there.
    static func rename(_ old: String, to new: String, _ action: String = "rename") throws {
        let number = failure(.rename, old)
        if number != 0 { throw StoreError.system(number, action, old) }
        var done = Glibc.rename(old, new) == 0
        if !done, errno == EISDIR {
            // A folder is in the place of a file.
            try removeTree(new)
            done = Glibc.rename(old, new) == 0
        }
        if !done { throw StoreError.system(errno, action, old) }
        FaultPlan.note(.rename(old, new))
    }

    /// Creates a hard link; returns false if `new` exists, nil if the file system does not support links.
    static func link(_ old: String, to new: String) throws -> Bool? {
        var number = failure(.link, new)
        if number == 0 {
            if Glibc.link(old, new) == 0 {
                FaultPlan.note(.link(old, new))
                return true
            }
            number = errno
        }
        switch number {
        case EEXIST: return false
        case EPERM, EOPNOTSUPP, ENOSYS, EMLINK: return nil
        default: throw StoreError.system(number, "link", new)
        }
    }

    /// Takes a lock on an open file, trying for `seconds`; returns false if it stays held by others.
    ///
    /// Throws `.interrupted` if the wait ended because this process was asked to exit.
    static func lock(_ descriptor: Int32, _ kind: Int32, for seconds: Double = 0, path: String) throws -> Bool {
        let wait = Patience.Wait(seconds: seconds)
        while flock(descriptor, kind | LOCK_NB) != 0 {
            let number = errno
            if number == EINTR { continue }
            guard number == EWOULDBLOCK else { throw StoreError.system(number, "lock", path) }
            guard seconds > 0, wait.goesOn() else {
                if seconds > 0, Patience.isOver { throw StoreError.interrupted(path) }
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
        var status = stat()
        if fstat(descriptor, &status) != 0 { throw StoreError.system(errno, "stat", path) }
        return status
    }

    /// Returns the status of `path` itself (links are not followed); nil if it does not exist.
    static func linkStatus(_ path: String) -> stat? {
        var status = stat()
        return lstat(path, &status) == 0 ? status : nil
    }

    static func isDirectory(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFDIR }
    static func isRegular(_ status: stat) -> Bool { status.st_mode & S_IFMT == S_IFREG }

    /// Creates one directory for this user only; returns true if it did not exist before.
    @discardableResult
    static func makeDirectory(_ path: String) throws -> Bool {
        var number = failure(.mkdir, path)
        if number == 0 {
            if mkdir(path, 0o700) == 0 {
                FaultPlan.note(.mkdir(path))
                return true
            }
            number = errno
        }
        var status = stat()
        if number == EEXIST {
            if stat(path, &status) == 0, isDirectory(status) { return false }
            throw StoreError.notADirectory(path)
        }
        throw StoreError.system(number, "create", path)
    }

    /// Removes a file, or a folder in its place; a missing file is not an error.
    static func remove(_ path: String) throws {
        let number = failure(.unlink, path)
        if number != 0 { throw StoreError.system(number, "remove", path) }
        if unlink(path) == 0 { return FaultPlan.note(.unlink(path)) }
        let reason = errno
        if reason == EISDIR { return try removeTree(path) }
        if reason != ENOENT { throw StoreError.system(reason, "remove", path) }
    }

    /// Removes a temporary file after a failure, ignoring errors.
    static func discard(_ path: String) {
        if unlink(path) == 0 { FaultPlan.note(.unlink(path)) }
    }

    /// Removes an empty directory; a missing directory is not an error.
    static func removeDirectory(_ path: String) throws {
        if rmdir(path) == 0 { return FaultPlan.note(.unlink(path)) }
        if errno != ENOENT { throw StoreError.system(errno, "remove", path) }
    }

    /// Throws for a directory that other users could change: owned by another user (except root), or group- or
    /// world-writable.
    static func requirePrivate(_ path: String) throws {
        var status = stat()
        if stat(path, &status) != 0 { throw StoreError.system(errno, "stat", path) }
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
        guard let directory = opendir(path) else { throw StoreError.system(errno, "list", path) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
            }
            if let name, name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Returns the number of bytes an unprivileged user can still write on the file system of `path`.
    static func freeBytes(at path: String) throws -> Int64 {
        var status = statvfs()
        if statvfs(path, &status) != 0 { throw StoreError.system(errno, "measure", path) }
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? Int64.max : Int64(clamping: bytes)
    }

    /// Returns true if the file system of `path` has free bytes but no inode for another file.
    static func lacksInodes(at path: String) -> Bool {
        var status = statvfs()
        return statvfs(path, &status) == 0 && status.f_files > 0 && status.f_favail == 0 && status.f_bavail > 0
    }

    /// Returns the size in bytes of the file system of `path`.
    static func totalBytes(at path: String) throws -> Int64 {
        var status = statvfs()
        if statvfs(path, &status) != 0 { throw StoreError.system(errno, "measure", path) }
        let (bytes, overflow) = UInt64(status.f_blocks).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? Int64.max : Int64(clamping: bytes)
    }

    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
