import Foundation
import Testing

/// What the decode worker is given and what is taken from it, as seen from outside.
@Suite struct WorkerSandboxTests {
    /// Starts the program where seccomp(2) and prctl(PR_SET_SECCOMP) are answered with EINVAL, as by a kernel without filters.
    private static let refusing = """
        import ctypes, os, sys
        library = ctypes.CDLL("libseccomp.so.2")
        library.seccomp_init.restype = ctypes.c_void_p
        class Comparison(ctypes.Structure):
            _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]
        context = ctypes.c_void_p(library.seccomp_init(0x7FFF0000))
        refused = ctypes.c_uint32(0x00050000 | 22)
        set_filter = Comparison(0, 4, 22, 0)
        assert library.seccomp_rule_add_array(context, refused, 157, 1, ctypes.byref(set_filter)) == 0
        assert library.seccomp_rule_add_array(context, refused, 317, 0, None) == 0
        assert library.seccomp_load(context) == 0
        os.execv(sys.argv[1], sys.argv[1:])
        """

    private func run(_ tool: Tool, refusing arguments: [String]) throws -> Tool.Result {
        let script = tool.path("refusing.py")
        try Data(Self.refusing.utf8).write(to: URL(filePath: script))
        return try Child(tool, program: "python3", [script, Tool.executable.path] + arguments).end()
    }

    @Test(arguments: [nil, "", "0", "no", "false", "off", "2", "1", "true", "YES", "On"])
    func `without a filter nothing is decoded, unless a true value says so`(value: String?) throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_NO_SECCOMP"] = value
        let allowed = ["1", "true", "yes", "on"].contains(value?.lowercased())
        let result = try run(
            tool, refusing: ["frames", Fixtures.video.get(), "--fps", "0.2", "--out", tool.path("out")])
        #expect(result.status == (allowed ? 0 : 1), "\(result.errors)")
        #expect(
            result.errors.contains("refuses system call filters; set LONGTAKE_NO_SECCOMP=1") == !allowed,
            "\(result.errors)")
        #expect(result.errors.contains("warning: LONGTAKE_NO_SECCOMP is set") == allowed, "\(result.errors)")
    }

    @Test func `the doctor says whether the kernel takes the filter`() throws {
        var tool = try Tool(model: false)
        defer { tool.remove() }
        let usual = try tool.run("doctor", "--json").object()
        #expect(usual["worker_is_filtered"] as? Bool == true)
        #expect(usual["allows_no_filter"] as? Bool == false)
        let refused = try run(tool, refusing: ["doctor"])
        #expect(refused.text.contains("this kernel refuses system call filters, so nothing is decoded"))
        tool.environment["LONGTAKE_NO_SECCOMP"] = "1"
        #expect(try run(tool, refusing: ["doctor"]).text.contains("recordings are decoded without one"))
        #expect(try tool.run("doctor").text.contains("LONGTAKE_NO_SECCOMP  set"))
    }

    @Test func `the worker has an empty environment, no terminal and no session of ours`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["SECRET"] = "of the user"
        try tool.decode(
            by: """
                cat /proc/$$/environ >'\(tool.path("environment"))'
                readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 >'\(tool.path("descriptors"))'
                cut -d ' ' -f 1,6,7 /proc/$$/stat >'\(tool.path("session"))'
                exec "$LONGTAKE" "$@"
                """)
        #expect(try tool.run("index", Fixtures.video.get()).status == 0)
        #expect(try Data(contentsOf: URL(filePath: tool.path("environment"))).isEmpty)
        let descriptors = try String(contentsOfFile: tool.path("descriptors"), encoding: .utf8).split(separator: "\n")
        #expect(descriptors.prefix(2) == ["/dev/null", "/dev/null"])
        #expect(descriptors.last?.hasPrefix("pipe:") == true, "\(descriptors)")
        // Its own session's first process; terminal 0 is none.
        let session = try String(contentsOfFile: tool.path("session"), encoding: .utf8).split(
            whereSeparator: \.isWhitespace)
        #expect(session.count == 3 && session[0] == session[1] && session[2] == "0", "\(session)")
    }

    @Test func `what a worker writes to standard error is bounded and commands no terminal`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        // More than any pipe holds: a worker that waited for a reader would be stopped by the watchdog.
        try tool.decode(
            by: """
                printf '\\033]0;title\\007\\302\\233 boom \\342\\200\\256\\n' >&2
                head -c 3000000 /dev/zero 2>/dev/null | tr '\\0' '\\n' >&2 2>/dev/null
                kill -9 $$
                """)
        let result = try tool.run("index", Fixtures.video.get())
        #expect(result.status == 14, "\(result.errors)")
        #expect(result.errors.contains("signal 9") && result.errors.contains("boom"), "\(result.errors)")
        #expect(result.errors.utf8.count < 2000)
        for scalar in ["\u{1B}", "\u{07}", "\u{9B}", "\u{202E}"] { #expect(!result.errors.contains(scalar)) }
    }
}
