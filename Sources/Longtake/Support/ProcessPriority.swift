internal import Glibc

/// The priority of this process.
package enum ProcessPriority {
    /// Lowers the priority by `steps` of nice(1), 0 to 19; ignored where the system does not allow it.
    package static func lower(by steps: Int) {
        _ = nice(Int32(max(0, min(steps, 19))))
    }
}
