import CFFmpeg
import Foundation
import SystemCalls

/// Decodes groups of packets side by side, each group with a decoder of its own.
///
/// The threads of one decoder wait for rows of the frames before; groups wait for nothing. `CodedFrames.isParallel` says
/// for which streams the frames are certain to be the same. Frames are taken group by group, in order; of those that
/// are not sampled only the properties are kept.
final class GroupDecoders {
    /// Bytes of packets, and of pixels that wait to be presented, up to which another group may be added or decoded.
    private static let most = (packetBytes: 64 << 20, pixelBytes: 256 << 20)
    /// Bytes of one group's frames above which a stream is not decoded in groups.
    private static let largestGroup = 128 << 20

    private let queue = Queue()
    private let threads: [BackgroundThread]
    private let frameBytes: Int
    /// Groups added and not yet taken, in order.
    private var groups: [PacketGroup] = []

    /// Opens the decoders and starts a thread for each.
    ///
    /// - Returns: nil where one decoder with threads of its own serves better, or if no more threads can be started.
    init?(_ stream: UnsafeMutablePointer<AVStream>, _ request: FrameRequest) {
        guard let parameters = stream.pointee.codecpar else { return nil }
        // Two threads per decoder, where there are so many: alone, or the last, it still uses two CPUs.
        let count = min(request.threads, VideoDecoder.mostThreads(parameters))
        guard count > 1 else { return nil }
        let width = max(2, count / 2)
        // 4:2:0 in 16 bits takes 3 bytes per pixel.
        frameBytes = 3 * Int(parameters.pointee.width) * Int(parameters.pointee.height)
        let queue = queue
        var threads: [BackgroundThread] = []
        for _ in 0..<width {
            guard let own = try? Own(stream, request, threads: count / width),
                let thread = try? BackgroundThread({ queue.decode(with: own) })
            else {
                // Releasing the threads joins them.
                queue.end()
                return nil
            }
            threads.append(thread)
        }
        self.threads = threads
    }

    deinit {
        queue.end()
        for thread in threads { thread.join() }
    }

    var isEmpty: Bool { groups.isEmpty }

    /// True if the first group must be taken before another is added.
    var isFull: Bool {
        groups.count > threads.count + 1 || groups.reduce(0) { $0 + $1.packetBytes } > Self.most.packetBytes
    }

    /// Whether a group depends on no packet before it, and its sampled frames find room.
    func fits(_ group: PacketGroup) -> Bool {
        group.startsWithEntry && group.wantedFrames * frameBytes <= Self.largestGroup
    }

    func add(_ group: PacketGroup) {
        groups.append(group)
        queue.add(group)
    }

    /// Takes the group whose frames are presented next; nil if there is none.
    func takeFirst() -> PacketGroup? {
        guard !groups.isEmpty else { return nil }
        let first = groups.removeFirst()
        queue.present(first)
        return first
    }

    /// Waits for the next frame of the group taken last; nil after the last one.
    ///
    /// - Throws: `FullDecodingNeeded` after the frames before a packet that could not be decoded.
    func next(of group: PacketGroup) throws -> HeldFrame? {
        if let frame = queue.next(of: group) { return frame }
        if group.hasFailed { throw FullDecodingNeeded() }
        return nil
    }

    /// A decoder and a frame that belong to one thread.
    private final class Own: @unchecked Sendable {
        // @unchecked: made by one thread and then used by another alone.
        let decoder: VideoDecoder
        let frame: DecodedFrame

        init(_ stream: UnsafeMutablePointer<AVStream>, _ request: FrameRequest, threads: Int) throws {
            let decoder = try VideoDecoder(stream, threads: threads, maxPixels: request.maxPixels)
            decoder.context.pointee.err_recognition |= AV_EF_EXPLODE
            let frame = try DecodedFrame()
            self.decoder = decoder
            self.frame = frame
        }
    }

    /// What the threads share.
    private final class Queue: @unchecked Sendable {
        // @unchecked: all fields, and the groups' frames, are accessed under `condition`.
        private let condition = NSCondition()
        private var waiting: [PacketGroup] = []
        private var presented: PacketGroup?
        private var pixelBytes = 0
        private var isEnded = false

        func add(_ group: PacketGroup) {
            condition.withLock {
                waiting.append(group)
                condition.broadcast()
            }
        }

        func present(_ group: PacketGroup) {
            condition.withLock {
                presented = group
                condition.broadcast()
            }
        }

        func end() {
            condition.withLock {
                isEnded = true
                condition.broadcast()
            }
        }

        func next(of group: PacketGroup) -> HeldFrame? {
            condition.withLock {
                while group.frames.isEmpty, !group.isDone { condition.wait() }
                guard !group.frames.isEmpty else { return nil }
                let frame = group.frames.removeFirst()
                pixelBytes -= frame.pixelBytes
                condition.broadcast()
                return frame
            }
        }

        /// Decodes groups until the end.
        func decode(with own: Own) {
            while let group = take() {
                let isWhole = decode(group, own)
                condition.withLock {
                    group.hasFailed = !isWhole
                    group.isDone = true
                    condition.broadcast()
                }
            }
        }

        private func take() -> PacketGroup? {
            condition.withLock {
                while waiting.isEmpty, !isEnded { condition.wait() }
                return isEnded ? nil : waiting.removeFirst()
            }
        }

        /// Returns false if a packet cannot be decoded, or at the end.
        private func decode(_ group: PacketGroup, _ own: Own) -> Bool {
            let wanted = group.wantedTimes
            for (queued, need) in zip(group.packets, group.needs) where need != .nothing {
                var sent = own.decoder.send(queued.packet)
                if sent == AVERROR(EAGAIN) {
                    guard receive(group, wanted, own) else { return false }
                    sent = own.decoder.send(queued.packet)
                }
                guard sent >= 0, receive(group, wanted, own) else { return false }
            }
            _ = own.decoder.sendEnd()
            guard receive(group, wanted, own) else { return false }
            own.decoder.flush()
            return true
        }

        private func receive(_ group: PacketGroup, _ wanted: Set<Int64>, _ own: Own) -> Bool {
            while true {
                switch own.decoder.receive(into: own.frame) {
                case .frame:
                    guard let held = try? HeldFrame() else { return false }
                    if wanted.contains(own.frame.pointer.pointee.pts) {
                        held.replace(by: own.frame)
                    } else {
                        held.frame.copyProperties(of: own.frame)
                    }
                    av_frame_unref(own.frame.pointer)
                    guard give(held, group) else { return false }
                case .needsInput, .ended: return true
                case .failed: return false
                }
            }
        }

        /// Waits until there is room, unless the group is the one presented; returns false at the end.
        private func give(_ frame: HeldFrame, _ group: PacketGroup) -> Bool {
            condition.withLock {
                while pixelBytes > GroupDecoders.most.pixelBytes, group !== presented, !isEnded { condition.wait() }
                guard !isEnded else { return false }
                group.frames.append(frame)
                pixelBytes += frame.pixelBytes
                condition.broadcast()
                return true
            }
        }
    }
}
