import CFFmpeg
import Foundation
import Glibc

/// The main function of the worker process: `longtake decode-worker REQUEST PARENT`, the recording open as descriptor 3, the
/// pipe as descriptor 4.
public enum DecodeWorker {
    public static let command = "decode-worker"
    static let fileDescriptor: Int32 = 3
    static let pipeDescriptor: Int32 = 4

    /// Decodes and returns the exit status: 0 when all was said over the pipe, even a refusal.
    public static func main(request json: String, parent: Int32) -> Int32 {
        av_log_set_level(AV_LOG_QUIET)
        signal(SIGPIPE, SIG_IGN)
        let output = WorkerOutput(descriptor: pipeDescriptor)
        do {
            let request = try JSONDecoder().decode(FrameRequest.self, from: Data(json.utf8))
            var status = stat()
            guard fstat(fileDescriptor, &status) == 0 else { throw MediaError.cannotRead("no file is open") }
            _ = try JSONEncoder().encode(RecordingInfo())  // whatever Foundation loads lazily, it loads now
            let filtered = try Sandbox.enter(memoryLimit: request.memoryLimit, parent: parent)
            guard filtered || getenv("LONGTAKE_NO_SECCOMP") != nil else {
                throw MediaError.worker(
                    "this kernel refuses system call filters; set LONGTAKE_NO_SECCOMP=1 to decode without one")
            }
            let reader = FileReader(descriptor: fileDescriptor, size: Int64(status.st_size))
            try DecodeSession.run(request, reader: reader, fileSize: Int64(status.st_size), output: output)
            return 0
        } catch let error as MediaError {
            try? output.send(.failure, json: WorkerFailure(code: error.code, message: error.message))
            return 0
        } catch {
            try? output.send(.failure, json: WorkerFailure(code: .worker, message: "\(error)"))
            return 1
        }
    }
}
