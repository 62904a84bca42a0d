internal import Models
internal import Store
internal import Synchronization
internal import Tensors

/// The SHA-256 of what identifies a checkpoint, computed on a thread of its own while the weights are loaded.
final class IdentityHash {
    private let checkpoint: CheckpointFolder
    private let found: Found
    private let thread: BackgroundThread?

    private final class Found: Sendable {
        let hash = Mutex<String?>(nil)
    }

    init(_ checkpoint: CheckpointFolder) {
        let found = Found()
        self.checkpoint = checkpoint
        self.found = found
        thread = BackgroundThread {
            let hash = ContentHash.sha256(pieces: checkpoint.identityBytes)
            found.hash.withLock { $0 = hash }
        }
    }

    /// Waits for it; where no thread could be started it is computed here.
    var value: String {
        thread?.join()
        return found.hash.withLock(\.self) ?? ContentHash.sha256(pieces: checkpoint.identityBytes)
    }
}
