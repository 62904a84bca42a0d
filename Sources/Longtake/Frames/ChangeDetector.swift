internal import Glibc
internal import Tensors

/// Decides which frames differ enough from the last encoded one to be encoded.
///
/// The difference of two frames is that of their most different block of 4×4 pixels: the mean absolute difference of its
/// 48 values. A mean over a block averages noise out; a maximum over blocks finds a small thing wherever it is. Blocks at
/// the right and lower edge overlap their neighbors if the side is not a multiple of 4. All state begins again at the first
/// frame of a segment, so that a run that continues there decides the same. Nothing is allocated per frame.
final class ChangeDetector {
    /// Version of the measure and of the automatic threshold, part of the index key.
    static let version = 2

    /// Values in a block: 4×4 pixels, 3 channels. Differences of blocks are sums over these.
    private static let values = 48
    private static let block = 4
    /// Differences of consecutive frames from which the noise is estimated.
    private static let window = 32
    /// Differences needed for an estimate; with fewer only identical frames are reused.
    private static let leastSamples = 8
    /// Upper limits of the automatic threshold in gray levels: of a recording with little noise, and of all.
    private static let (quietLimit, limit) = (12, 24)

    private let reuse: IndexOptions.Reuse
    private let images: Int
    private let side: Int
    private let kernels: Kernels
    private let encoded: Buffer<UInt8>
    private let previous: Buffer<UInt8>
    private let blocks: Buffer<UInt16>
    private var hasFrame = false
    /// The last differences of consecutive frames: the largest block and the median block, as sums.
    private let largest: Buffer<UInt16>
    private let medians: Buffer<UInt16>
    private var samples = 0

    /// - Parameters:
    ///   - images: images per frame.
    ///   - side: width and height of an image in pixels.
    init(_ reuse: IndexOptions.Reuse, images: Int, side: Int, compute: Compute) {
        self.reuse = reuse
        self.images = images
        self.side = side
        kernels = compute.kernels
        let bytes = reuse == .off ? 0 : images * side * side * 3
        encoded = Buffer(count: bytes)
        previous = Buffer(count: reuse == .automatic ? bytes : 0)
        let perRow = (side + Self.block - 1) / Self.block
        blocks = Buffer(count: reuse.makesReferences ? images * perRow * perRow : 0)
        largest = Buffer(count: Self.window)
        medians = Buffer(count: Self.window)
    }

    /// Forgets all frames: the next one is new.
    func reset() {
        hasFrame = false
        samples = 0
    }

    /// The pixels of the last encoded frame; nil if there is none.
    var lastEncoded: [UInt8]? {
        hasFrame && encoded.count > 0 ? Array(UnsafeBufferPointer(start: encoded.pointer, count: encoded.count)) : nil
    }

    /// Returns true if a frame is to be encoded; the next one is compared with it then.
    ///
    /// - Parameter isFirst: true for a frame to encode in any case, the first of a segment.
    func isNew(_ rgb: [UInt8], isFirst: Bool) -> Bool {
        if isFirst { reset() }
        let isNew = !hasFrame || differs(rgb)
        follow(rgb, isNew: isNew)
        return isNew
    }

    /// Takes in a frame whose decision is known.
    func follow(_ rgb: [UInt8], isNew: Bool) {
        guard reuse != .off else { return }
        if reuse == .automatic {
            if hasFrame { addSample(rgb) }
            copy(rgb, to: previous)
        }
        if isNew { copy(rgb, to: encoded) }
        hasFrame = true
    }

    private func differs(_ rgb: [UInt8]) -> Bool {
        guard reuse != .off, rgb.count == encoded.count else { return true }
        let last = encoded.pointer
        let isSame = rgb.withUnsafeBytes { bytes in
            bytes.baseAddress.map { memcmp($0, last, bytes.count) == 0 } ?? true
        }
        guard !isSame else { return false }
        switch reuse {
        case .off, .exact: return true
        case .threshold(let value): return Double(measure(rgb, encoded)) > value * Double(Self.values)
        case .automatic:
            let threshold = automaticThreshold
            return threshold == 0 || Int(measure(rgb, encoded)) > threshold
        }
    }

    private func copy(_ rgb: [UInt8], to buffer: borrowing Buffer<UInt8>) {
        precondition(rgb.count == buffer.count, "a frame of \(rgb.count) bytes")
        let target = buffer.pointer
        rgb.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { memcpy(target, base, bytes.count) }
        }
    }

    /// Fills `blocks` with the blocks' sums of absolute differences; returns the largest.
    private func measure(_ rgb: [UInt8], _ other: borrowing Buffer<UInt8>) -> UInt16 {
        let row = 3 * side
        // An image smaller than a block: any difference is the largest.
        guard side >= Self.block else { return UInt16(255 * Self.values) }
        let theirs = other.pointer
        let (whole, perRow) = (side / Self.block, (side + Self.block - 1) / Self.block)
        rgb.withUnsafeBufferPointer { pixels in
            guard let base = pixels.baseAddress else { return }
            for image in 0..<images {
                for band in 0..<perRow {
                    let start = image * side * row + min(band * Self.block, side - Self.block) * row
                    let out = blocks.pointer + (image * perRow + band) * perRow
                    kernels.blockDifferences(base + start, theirs + start, stride: row, count: whole, into: out)
                    guard perRow > whole else { continue }
                    let edge = start + row - 3 * Self.block
                    kernels.blockDifferences(
                        base + edge, theirs + edge, stride: row, count: 1, into: out + whole)
                }
            }
        }
        var found: UInt16 = 0
        for index in 0..<blocks.count { found = max(found, blocks.pointer[index]) }
        return found
    }

    private func addSample(_ rgb: [UInt8]) {
        let slot = samples % Self.window
        largest.pointer[slot] = measure(rgb, previous)
        medians.pointer[slot] = side < Self.block ? 0 : Self.quantile(blocks.pointer, blocks.count, blocks.count / 2)
        samples += 1
    }

    /// 1.5 times the upper quartile of the differences of consecutive frames, as a sum over a block.
    ///
    /// Half of the blocks changing by noise raises the limit, since something that moves changes few; without such noise
    /// the threshold stays low even where something moves all the time. If half of the differences are above the limit,
    /// the image moves, as that of a shaky camera: then it is 0, for a small movement is no noise.
    private var automaticThreshold: Int {
        guard samples >= Self.leastSamples else { return 0 }
        let count = min(samples, Self.window)
        let median = Int(Self.quantile(medians.pointer, count, count / 2))
        let limit = min(max(Self.quietLimit * Self.values, 4 * median), Self.limit * Self.values)
        guard Int(Self.quantile(largest.pointer, count, count / 2)) <= limit else { return 0 }
        return min(Int(Self.quantile(largest.pointer, count, count * 3 / 4)) * 3 / 2, limit)
    }

    /// Returns the value at `rank` of `count` values in ascending order, by bisection: without sorting or memory.
    private static func quantile(_ values: UnsafePointer<UInt16>, _ count: Int, _ rank: Int) -> UInt16 {
        var (low, high): (UInt16, UInt16) = (0, UInt16(255 * Self.values))
        while low < high {
            let middle = low + (high - low) / 2
            var below = 0
            for index in 0..<count where values[index] <= middle { below += 1 }
            if below > rank { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
