internal import Checkpoints
internal import Glibc
internal import Models
internal import Tensors

extension Asker {
    /// Fuses the prompts with the context's frames, in time order.
    ///
    /// - Parameter cache: gets the keys and values of the frames; the texts after the image placeholder are then not
    ///   fused (`fuseSuffixes` does it). nil: the whole texts are fused.
    /// - Returns: for each computed frame, how many consecutive frames it stands for: a frame with the same patches as
    ///   the one before it, as in still scenes, is counted and not computed again.
    func fuse(
        _ fusing: FusionContext, into cache: PreFusionCache?, progress: (Double) throws -> Void
    ) throws -> [Int] {
        let batch = FrameEncoder.batchSize(rows: model.patchRows)
        let (rows, width, frames) = (model.patchRows, model.vision.hiddenSize, fusing.frames)
        // One extra slot, for the frame that is compared with the last one of a full batch.
        let buffer = Buffer<Float>(count: (batch + 1) * rows * width)
        let slots = MatrixView(buffer.pointer, rows: (batch + 1) * rows, columns: width)
        func slot(_ index: Int) -> MatrixView { slots.rows(index * rows..<(index + 1) * rows) }
        let bytes = rows * width * MemoryLayout<Float>.size
        var all: [Int] = []
        var repeats: [Int] = []
        func compute() {
            let patches = slots.rows(0..<repeats.count * rows)
            if let cache {
                fusing.group.addHead(
                    patches, frames: repeats.count, repeats: repeats, cache: cache, model: model)
            } else {
                fusing.group.add(patches, frames: repeats.count, repeats: repeats, model: model)
            }
            all += repeats
        }
        for (done, frame) in frames.enumerated() {
            let next = slot(repeats.count)
            try fusing.source.patches(frame, next)
            if let last = repeats.indices.last, memcmp(slot(last).base, next.base, bytes) == 0 {
                repeats[last] += 1
                continue
            }
            if repeats.count == batch {
                compute()
                try progress(Double(done) / Double(frames.count))
                slot(0).base.copyMemory(from: next.base, byteCount: bytes)
                repeats = []
            }
            repeats.append(1)
        }
        if !repeats.isEmpty { compute() }
        try progress(1)
        return all
    }

    /// Fuses the texts after the image placeholder with frames whose prompt head was fused before.
    ///
    /// - Parameters:
    ///   - cache: the keys and values of the frames.
    ///   - repeats: per frame of the cache, how many consecutive equal frames it stands for.
    /// - Throws: `LongtakeError` `interrupted` between batches.
    func fuseSuffixes(
        _ fusing: FusionContext, after cache: PreFusionCache, repeats: [Int], progress: (Double) -> Void
    ) throws {
        let (group, population, targetError) = (fusing.group, fusing.source.times.count, fusing.targetError)
        // A partial sample would give a frame that stands for several equal ones more weight than was sampled.
        let mayStop = targetError > 0 && cache.count < population && repeats.allSatisfy { $0 == 1 }
        let steps = mayStop ? FusionPlan.Steps(sampleOf: cache.count) : FusionPlan.Steps(whole: cache.count)
        // Each text stops on its own, so that its answer does not depend on the questions asked with it.
        var parts = group.texts.indices.map { (text: $0, frames: 0..<(steps.sizes.first ?? 0)) }
        while let part = parts.first?.frames {
            let texts = parts.filter { $0.frames == part }.map(\.text)
            parts.removeAll { $0.frames == part }
            try fuseSuffixes(
                of: texts, in: group, after: cache, frames: steps.order[part].sorted(), repeats: repeats
            ) {
                progress((Double(part.lowerBound) + $0 * Double(part.count)) / Double(cache.count))
            }
            for text in texts where part.upperBound < cache.count {
                let error = group.texts[text].relativeStandardError(population: population, from: group.headRows)
                if let error, error <= targetError { continue }
                let next = steps.size(after: part.upperBound, error: error ?? .infinity, target: targetError)
                parts.append((text, part.upperBound..<next))
            }
        }
        progress(1)
    }

    private func fuseSuffixes(
        of texts: [Int], in group: PromptGroup, after cache: PreFusionCache, frames: [Int], repeats: [Int],
        progress: (Double) -> Void
    ) throws {
        let batch = FusionPlan.batchSize(frames: frames.count, bytesPerLayer: cache.bytesPerLayer)
        for first in stride(from: 0, to: frames.count, by: batch) {
            try cancellation.check()
            let next = min(first + batch, frames.count)
            group.addSuffixes(
                of: texts, after: cache, frames: Array(frames[first..<next]), repeats: repeats, model: model)
            progress(Double(next) / Double(frames.count))
        }
    }
}
