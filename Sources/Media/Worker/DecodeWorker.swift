import CFFmpeg
import CSeccomp
import Foundation
import Glibc
import Synchronization

/// The main function of the worker process: `longtake decode-worker REQUEST PARENT`.
///
/// The recording is open as descriptor 3, the pipe as descriptor 4, and the file that a clip is written to as
/// descriptor 5.
public enum DecodeWorker {
    /// Name of the hidden subcommand.
    public static let command = "decode-worker"
    /// Declares that the calling program implements the hidden subcommand, so that its own executable serves as the
    /// worker.
    public static func useThisProgram() { WorkerProcess.isThisProgram.store(true, ordering: .relaxed) }

    /// The restrictions this kernel lets a worker apply to itself, as reported by a worker that decodes nothing.
    package static func sandbox() throws -> Sandbox.State { try WorkerProcess.sandbox() }

    /// True if LONGTAKE_NO_SECCOMP allows decoding without a system call filter where the kernel refuses filters.
    package static var allowsNoFilter: Bool { WorkerProcess.allowsNoFilter }

    static let fileDescriptor: Int32 = 3
    static let pipeDescriptor: Int32 = 4
    static let clipDescriptor: Int32 = 5
    /// The numbers of what a worker is given: the recording, the pipe, standard error and, for a clip, its file.
    static let descriptors = [fileDescriptor, pipeDescriptor, STDERR_FILENO, clipDescriptor]

    /// Of the workers that have ended and were no children of this process: the largest resident set, in bytes, and the CPU
    /// seconds of all.
    package static var usage: (peakBytes: Int, cpuSeconds: Double) { WorkerServerClient.usage }

    /// Decodes and returns the exit status: 0 if the result was sent over the pipe, even if it is a refusal.
    public static func main(request json: String, parent: Int32) -> Int32 {
        if json == WorkerServer.request { return WorkerServer.main(parent: parent) }
        signal(SIGPIPE, SIG_IGN)
        let output = WorkerOutput(descriptor: pipeDescriptor)
        do {
            // No file can be opened once the filter is installed.
            if let missing = MediaLibraries.missing { throw MediaError.missingLibrary(missing) }
            av_log_set_level(AV_LOG_QUIET)
            lt_ffmpeg_count_errors()
            let request = try JSONDecoder().decode(FrameRequest.self, from: Data(json.utf8))
                .resolvingThreads(cpus: ProcessInfo.processInfo.activeProcessorCount)
            var status = stat()
            guard fstat(fileDescriptor, &status) == 0 else { throw MediaError.cannotRead("no file is open") }
            _ = try JSONEncoder().encode(RecordingInfo())  // makes Foundation load now what it loads lazily
            lt_forget_environment()
            var limits = Sandbox.Limits(
                memory: request.memoryLimit, cpuSeconds: request.mostCPUSeconds, threads: request.threads)
            if let clip = request.clip { limits.fileBytes = Int(clamping: clip.maxBytes) }
            let sandbox = try Sandbox.enter(limits, parent: parent)
            if case .sandbox = request.output {
                try output.send(.sandbox, json: sandbox)
                return 0
            }
            guard sandbox.isFiltered || request.allowsNoFilter else {
                throw MediaError.worker(
                    "this kernel refuses system call filters; set LONGTAKE_NO_SECCOMP=1 to decode without one")
            }
            if case .image = request.output {
                try sendImage(size: Int(status.st_size), output: output)
                return 0
            }
            let reader = FileReader(descriptor: fileDescriptor, size: Int64(status.st_size))
            if let clip = request.clip {
                try ClipSession.run(
                    request, clip: clip, reader: reader, descriptor: clipDescriptor, output: output)
                return 0
            }
            if let stills = request.stills {
                try StillSession.run(request, stills: stills, reader: reader, output: output)
                return 0
            }
            try DecodeSession.run(request, reader: reader, output: output)
            return 0
        } catch let error as ImageError {
            try? output.send(.failure, json: WorkerFailure(code: .image, message: error.message))
            return 0
        } catch let error as MediaError {
            try? output.send(.failure, json: WorkerFailure(code: error.code, message: error.message))
            return 0
        } catch {
            try? output.send(.failure, json: WorkerFailure(code: .worker, message: "\(error)"))
            return 1
        }
    }

    /// Sends a still image as one frame.
    private static func sendImage(size: Int, output: WorkerOutput) throws {
        guard size <= StillImage.maximumBytes else {
            throw ImageError.tooManyBytes(size, limit: StillImage.maximumBytes)
        }
        let image = try StillImage.decode(FileBytes.read(fileDescriptor, at: 0, count: size))
        var message = WorkerMessage(.frame, payload: image.pixels.count)
        (message.width, message.height, message.parts) = (image.width, image.height, 1)
        try output.send(message, image.pixels)
        try output.send(.end, json: DecodeResult())
    }
}
