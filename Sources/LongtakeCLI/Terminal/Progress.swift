import Foundation
import Glibc

/// Shows progress: one line that is rewritten on a terminal, elsewhere a plain line every half minute.
final class Progress {
    private let isShown: Bool
    private var last = ContinuousClock.now
    private var isDrawn = false

    init(isShown: Bool) { self.isShown = isShown }

    func show(_ text: @autoclosure () -> String) {
        StatusSignal.note(text())
        guard isShown else { return }
        let now = ContinuousClock.now
        guard now - last >= (Console.isTerminal ? .milliseconds(200) : .seconds(30)) else { return }
        last = now
        if Console.isTerminal {
            Console.write("\r\u{1B}[2K" + Self.cut(Console.name(text())), to: STDERR_FILENO)
            isDrawn = true
        } else {
            Console.note(Console.name(text()))
        }
    }

    /// Shows bytes done and to do, and the time since `start`.
    func show(bytes done: Int64, of total: Int64, since start: ContinuousClock.Instant) {
        show(
            "\(Format.bytes(done)) of \(Format.bytes(total)), "
                + Format.time(Double((ContinuousClock.now - start).components.seconds)))
    }

    /// Removes the line before anything else is printed.
    func clear() {
        guard isDrawn else { return }
        Console.write("\r\u{1B}[2K", to: STDERR_FILENO)
        isDrawn = false
    }

    private static func cut(_ text: String) -> String {
        var size = winsize()
        let width = ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
        return text.count < width ? text : String(text.prefix(max(width - 2, 1))) + "…"
    }
}
