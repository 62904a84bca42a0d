internal import Tensors

/// The directory of a zip archive of uncompressed entries: their names and their bytes' ranges in the file.
///
/// Stricter than the format: no comment, no compressed or encrypted entry, no two entries of one name, no overlap, and
/// sizes that are given twice must agree. Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16 and 4.5.3.
struct ZipDirectory {
    struct Entry {
        let name: String
        /// Offset of the local header.
        let header: Int
        /// The data.
        let range: Range<Int>
        let crc: UInt32
    }

    /// Largest number of entries: a storage per tensor, and the pickle and versions.
    static let entryLimit = SafetensorsHeader.tensorLimit + 100
    /// Largest size of the directory in bytes.
    static let sizeLimit = 64 << 20

    /// The entries, sorted by offset.
    let entries: [Entry]
    /// Where the directory is; it ends before the records at the end of the file.
    let range: Range<Int>

    /// Reads and checks the directory of a mapped file; throws `archive_invalid` or `too_large`.
    init(_ file: MappedFile) throws {
        let end = try End(file)
        range = end.offset..<end.offset + end.size
        var records = LittleEndianReader(try file.copy(from: end.offset, count: end.size))
        var found: [CentralRecord] = []
        found.reserveCapacity(end.count)
        for _ in 0..<end.count {
            do throws(ZipFault) {
                found.append(try CentralRecord(&records))
            } catch {
                throw WeightsError.archiveInvalid(file.path, "its zip directory \(error.what)")
            }
        }
        guard records.left == 0 else {
            throw WeightsError.archiveInvalid(
                file.path,
                "its zip directory has \(records.left) bytes more than its \(counted(end.count, "entry", "entries"))")
        }
        found.sort { $0.header < $1.header }
        var names: Set<String> = []
        var entries: [Entry] = []
        entries.reserveCapacity(found.count)
        for (index, record) in found.enumerated() {
            func invalid(_ what: String) -> WeightsError {
                .archiveInvalid(file.path, "its zip entry \(WeightsError.quoted(record.name)) \(what)")
            }
            guard names.insert(record.name).inserted else { throw invalid("is there twice") }
            let next = index + 1 < found.count ? found[index + 1].header : end.offset
            guard record.header < next else { throw invalid("overlaps another one or the directory") }
            let data: Int
            do throws(ZipFault) {
                data = try record.dataOffset(in: file)
            } catch {
                throw invalid(error.what)
            }
            guard record.size <= next - data else { throw invalid("overlaps another one or the directory") }
            entries.append(
                Entry(name: record.name, header: record.header, range: data..<data + record.size, crc: record.crc))
        }
        self.entries = entries
    }

    /// The sizes and the offset of the directory, from the records at the end of the file.
    private struct End {
        let offset: Int
        let size: Int
        let count: Int

        private static let size = 22
        private static let locatorSize = 20
        private static let zip64Size = 56

        init(_ file: MappedFile) throws {
            let bytes = file.bytes.count
            func invalid(_ what: String) -> WeightsError { .archiveInvalid(file.path, what) }
            let incomplete = invalid(
                "has no zip directory at its end, after \(counted(bytes, "byte")); the download is incomplete: fetch it again"
            )
            guard bytes >= Self.size else { throw incomplete }
            var reader = LittleEndianReader(try file.copy(from: bytes - Self.size, count: Self.size))
            guard reader.u32() == 0x0605_4b50 else { throw incomplete }
            let disks = (reader.u16(), reader.u16())
            let counts = (reader.u16(), reader.u16())
            let (size, offset) = (reader.u32(), reader.u32())
            guard reader.u16() == 0 else { throw invalid("its zip directory has a comment, which is not supported") }
            var end = bytes - Self.size
            var wide = (count: UInt64(counts.1 ?? 0), size: UInt64(size ?? 0), offset: UInt64(offset ?? 0))
            let isWide = try Self.zip64(file, before: end)
            if let (record, start) = isWide {
                // What fits the narrow fields must be the same there.
                guard counts.1 == 0xffff || UInt64(counts.1 ?? 0) == record.count,
                    size == .max || UInt64(size ?? 0) == record.size,
                    offset == .max || UInt64(offset ?? 0) == record.offset
                else { throw invalid("its zip64 record contradicts the end of its directory") }
                wide = record
                end = start
            }
            guard [0, 0xffff].contains(disks.0), disks.0 == disks.1,
                counts.0 == counts.1, isWide != nil || (counts.1 != 0xffff && size != .max && offset != .max)
            else { throw invalid("its zip directory is on several disks or needs a zip64 record that is missing") }
            guard wide.count <= UInt64(entryLimit) else {
                throw WeightsError(
                    .tooManyTensors, "\(file.path): has \(wide.count) zip entries, the limit is \(entryLimit)")
            }
            guard wide.size <= UInt64(sizeLimit) else {
                throw WeightsError(
                    .tooLarge, "\(file.path): its zip directory is \(wide.size) bytes, the limit is \(sizeLimit)")
            }
            guard wide.offset <= UInt64(end), wide.size == UInt64(end) - wide.offset else {
                throw invalid(
                    "its zip directory says it is \(wide.size) bytes at \(wide.offset), it must end at \(end)")
            }
            self.offset = Int(wide.offset)
            self.size = Int(wide.size)
            count = Int(wide.count)
        }

        /// The zip64 record and its offset; nil if there is none before `end`.
        private static func zip64(
            _ file: MappedFile, before end: Int
        ) throws -> (record: (count: UInt64, size: UInt64, offset: UInt64), start: Int)? {
            guard end >= locatorSize else { return nil }
            var locator = LittleEndianReader(try file.copy(from: end - locatorSize, count: locatorSize))
            guard locator.u32() == 0x0706_4b50 else { return nil }
            let (disk, offset, disks) = (locator.u32(), locator.u64(), locator.u32())
            let place = end - locatorSize - zip64Size
            let invalid = WeightsError.archiveInvalid(file.path, "its zip64 record is damaged")
            // A record with an extension would begin earlier; nothing writes one.
            guard disk == 0, disks.map({ $0 <= 1 }) == true, place >= 0, offset == UInt64(place) else { throw invalid }
            var record = LittleEndianReader(try file.copy(from: place, count: zip64Size))
            guard record.u32() == 0x0606_4b50, record.u64() == UInt64(zip64Size - 12) else { throw invalid }
            record.skip(4)  // versions
            guard record.u32() == 0, record.u32() == 0 else { throw invalid }  // disks
            guard let counted = record.u64(), let count = record.u64(), let size = record.u64(),
                let offset = record.u64(), counted == count
            else { throw invalid }
            return ((count, size, offset), place)
        }
    }
}

/// What is wrong with a zip directory or an entry, as the end of a sentence.
private struct ZipFault: Error {
    let what: String
    init(_ what: String) { self.what = what }
}

/// A record of the central directory.
private struct CentralRecord {
    let name: String
    let nameBytes: [UInt8]
    let header: Int
    let size: Int
    let crc: UInt32
    let hasDescriptor: Bool

    init(_ reader: inout LittleEndianReader) throws(ZipFault) {
        guard reader.u32() == 0x0201_4b50 else { throw ZipFault("is damaged") }
        reader.skip(4)  // versions
        guard let flags = reader.u16(), let method = reader.u16() else { throw ZipFault("is cut") }
        reader.skip(4)  // time
        guard let crc = reader.u32(), let packed = reader.u32(), let size = reader.u32(),
            let nameCount = reader.u16(), let extraCount = reader.u16(), let commentCount = reader.u16(),
            let disk = reader.u16(), reader.skip(6),  // attributes
            let header = reader.u32(), let nameBytes = reader.bytes(Int(nameCount)),
            let extra = reader.bytes(Int(extraCount)), reader.skip(Int(commentCount))
        else { throw ZipFault("is cut") }
        guard nameBytes.count <= SafetensorsHeader.nameLimit else {
            throw ZipFault("has a name of \(nameBytes.count) bytes, the limit is \(SafetensorsHeader.nameLimit)")
        }
        guard let name = String(validating: nameBytes, as: UTF8.self), !name.utf8.contains(0) else {
            throw ZipFault("has a name that is not UTF-8")
        }
        func entry(_ what: String) -> ZipFault { ZipFault("has the entry \(WeightsError.quoted(name)), which \(what)") }
        guard method == 0 else {
            throw entry(
                "is compressed (method \(method)); weights are read only if they are stored, as torch.save does")
        }
        // Bit 3: the sizes are also in a descriptor after the data; bit 11: the name is UTF-8.
        guard flags & ~0x0808 == 0 else { throw entry("is encrypted or has unknown flags (\(flags))") }
        var values: [UInt64?] = [UInt64(size), UInt64(packed), UInt64(header), nil]
        let isSaturated = [size == .max, packed == .max, header == .max, disk == .max]
        if isSaturated.contains(true) {
            guard var wide = Self.zip64(extra) else { throw entry("has no valid zip64 sizes") }
            for index in 0..<3 where isSaturated[index] {
                guard let value = wide.u64() else { throw entry("has no valid zip64 sizes") }
                values[index] = value
            }
            if isSaturated[3] { wide.skip(4) }
            guard wide.left == 0 else { throw entry("has zip64 sizes that nothing asks for") }
        } else if disk != 0 {
            throw entry("is on another disk")
        }
        guard let wideSize = values[0], let wideHeader = values[2], wideSize == values[1],
            let exactSize = Int(exactly: wideSize), let exactHeader = Int(exactly: wideHeader)
        else { throw entry("says it is \(values[0] ?? 0) bytes, \(values[1] ?? 0) of them stored") }
        self.name = name
        self.nameBytes = nameBytes
        self.size = exactSize
        self.header = exactHeader
        self.crc = crc
        hasDescriptor = flags & 8 != 0
    }

    /// The only zip64 field (tag 1) of an extra field; nil if there is none, several, or the field is damaged.
    private static func zip64(_ extra: [UInt8]) -> LittleEndianReader? {
        var reader = LittleEndianReader(extra)
        var found: LittleEndianReader?
        while reader.left > 0 {
            guard let tag = reader.u16(), let count = reader.u16(), let content = reader.bytes(Int(count)) else {
                return nil
            }
            guard tag == 1 else { continue }
            guard found == nil else { return nil }
            found = LittleEndianReader(content)
        }
        return found
    }

    /// The offset of the data, from the local header, which must agree with this record.
    func dataOffset(in file: MappedFile) throws(ZipFault) -> Int {
        let fixed = 30
        let left = file.bytes.count - header
        guard left >= fixed + nameBytes.count,
            let bytes = try? file.copy(from: header, count: fixed + nameBytes.count)
        else { throw ZipFault("begins outside of the file, at byte \(header)") }
        var reader = LittleEndianReader(bytes)
        let mismatch = ZipFault("is another one in its own header, at byte \(header)")
        guard reader.u32() == 0x0403_4b50 else { throw ZipFault("has no header at byte \(header)") }
        reader.skip(2)  // version
        guard let flags = reader.u16(), let method = reader.u16() else { throw mismatch }
        reader.skip(8)  // time, checksum
        guard let packed = reader.u32(), let size = reader.u32(), let nameCount = reader.u16(),
            let extraCount = reader.u16(), Int(nameCount) == nameBytes.count,
            reader.bytes(nameBytes.count) == nameBytes, method == 0, flags & ~0x0808 == 0
        else { throw mismatch }
        let start = header + fixed + nameBytes.count + Int(extraCount)
        guard start <= file.bytes.count else { throw ZipFault("begins outside of the file, at byte \(header)") }
        if flags & 8 != 0, packed == 0, size == 0 { return start }
        guard size == packed else { throw mismatch }
        if size == .max {
            guard let extra = try? file.copy(from: start - Int(extraCount), count: Int(extraCount)),
                var wide = Self.zip64(extra), wide.u64() == UInt64(self.size), wide.u64() == UInt64(self.size)
            else { throw mismatch }
        } else if Int(size) != self.size {
            throw mismatch
        }
        return start
    }
}
