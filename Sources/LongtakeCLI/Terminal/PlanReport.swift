import Longtake

/// Prints what a run of a pipeline would do.
enum PlanReport {
    static func show(_ plan: PipelinePlan, _ output: OutputOptions) {
        if output.json { return Console.json(plan) }
        let busy = plan.files.filter { $0.action != .nothing }
        if output.isQuiet {
            return busy.filter { $0.action != .skip }.forEach { Console.line(Console.name($0.path)) }
        }
        let rows = busy.map { file in
            [
                file.action.rawValue, file.frames.map { counted($0, "frame") } ?? "",
                file.bytes.map { Format.bytes($0) } ?? "",
                file.seconds.map { "at most about \(Format.time($0))" } ?? "",
                file.questions > 0 ? counted(file.questions, "question") : "", Console.name(file.path),
                Console.name(file.reason ?? ""),
            ]
        }
        if !rows.isEmpty { Console.line(Format.table(rows)) }
        func count(_ action: PipelinePlan.Action) -> Int { plan.files.count { $0.action == action } }
        var parts = ["\(count(.index)) to index"]
        let frames = plan.files.compactMap(\.frames).reduce(0, +)
        let bytes = plan.files.compactMap(\.bytes).reduce(0, +)
        let seconds = plan.files.compactMap(\.seconds).reduce(0, +)
        if count(.index) > 0 {
            parts[0] += " (\(counted(frames, "frame")), \(Format.bytes(bytes)), at most about \(Format.time(seconds)))"
        }
        if count(.ask) > 0 { parts.append("\(count(.ask)) to ask about") }
        parts.append("\(counted(plan.files.reduce(0) { $0 + $1.questions }, "question"))")
        parts.append("\(count(.nothing)) with nothing to do")
        if count(.skip) > 0 { parts.append("\(count(.skip)) skipped") }
        if plan.alerts > 0 { parts.append("\(counted(plan.alerts, "alert")) to send") }
        if let free = plan.freeBytes { parts.append("\(Format.bytes(free)) free") }
        Console.line("plan: " + parts.joined(separator: ", "))
    }
}
