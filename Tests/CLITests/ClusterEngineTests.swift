import Foundation
import TestSupport
import Testing

/// Engines that start the workers of a cluster run. None is needed here: `scripts/cluster-test` starts real ones.
@Suite struct ClusterEngineTests {
    /// A run with two recordings in two shards that index and two that ask.
    private func prepare(_ names: [String] = ["a.mkv", "b.mkv"]) throws -> Tool {
        var tool = try Tool(model: false)
        tool.environment["LONGTAKE_MODEL"] = BundledModelTests.repository + "/Models/nano"
        try FileManager.default.createDirectory(atPath: tool.path("recordings"), withIntermediateDirectories: true)
        let text = """
            version: 1
            name: shared
            inputs: [recordings]
            order: path
            fps: 4
            questions:
              - {id: what, ask: "What is shown?"}
            outputs: ["answers.jsonl"]
            """
        try Data(text.utf8).write(to: URL(filePath: tool.path("night.yaml")))
        for name in names {
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc=size=64x48:rate=4", "-t", "3", "-c:v", "mpeg4", "-threads", "1",
                tool.path("recordings/" + name))
        }
        let plan = try tool.run(
            "cluster", "plan", "night.yaml", "--shards", "2", "--run", "shared", "--seconds-per-frame", "0.5")
        try #require(plan.status == 0, "\(plan.errors)")
        return tool
    }

    /// What a dry run prints, with names instead of what differs from run to run.
    private func preview(_ tool: Tool, _ arguments: String...) throws -> String {
        let result = try tool.run(["cluster", "submit", "--run", "shared", "--dry-run"] + arguments)
        #expect(result.status == 0, "\(result.errors)")
        return shortened(result.text, tool)
    }

    private func shortened(_ text: String, _ tool: Tool) -> String {
        text.replacing(tool.folder.resolvingSymlinksInPath().path, with: "DIR").replacing(tool.folder.path, with: "DIR")
            .replacing(Tool.executable.resolvingSymlinksInPath().path, with: "PROGRAM")
            .replacing(BundledModelTests.repository + "/Models/nano", with: "NANO")
            .replacing(/cluster[_-][0-9a-f]{16}/, with: "ID")
    }

    /// A program in a folder that comes first in PATH.
    private func install(_ name: String, _ script: String, _ tool: inout Tool) throws {
        let folder = tool.path("bin")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data("#!/bin/bash\n\(script)\n".utf8).write(to: URL(filePath: folder + "/" + name))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder + "/" + name)
        if tool.environment["PATH"]?.hasPrefix(folder) != true {
            tool.environment["PATH"] = folder + ":" + (tool.environment["PATH"] ?? "")
        }
    }

    /// A PATH with the few programs that are needed, and none of an engine.
    private func withoutEngines(_ tool: inout Tool) throws {
        let folder = tool.path("few")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for name in ["env", "bash", "xargs", "ffmpeg", "cat", "sh"] {
            for place in ["/usr/bin/", "/bin/"] where FileManager.default.fileExists(atPath: place + name) {
                try? FileManager.default.createSymbolicLink(
                    atPath: folder + "/" + name, withDestinationPath: place + name)
            }
        }
        tool.environment["PATH"] = folder
    }

    private static func array(_ kind: String, _ numbers: String) -> String {
        """
        # DIR/shared/slurm-\(kind)-0.sh
        #!/bin/bash
        #SBATCH --job-name=ID
        #SBATCH --array=\(numbers)%8
        #SBATCH --requeue
        #SBATCH --open-mode=append
        #SBATCH --signal=B:USR1@120
        #SBATCH --output=logs/%x-%A_%a.out
        #SBATCH --time=11
        #SBATCH --partition=long
        #SBATCH --cpus-per-task=4
        #SBATCH --mem=24576M
        run=DIR/shared
        shard=$((0 + SLURM_ARRAY_TASK_ID))
        # The worker seals what it has and leaves with status 75.
        trap 'kill -TERM $worker 2>/dev/null' USR1 TERM
        PROGRAM cluster worker --run DIR/shared --model NANO --scratch '/a b' --threads 4 --kv int8 --no-progress --shard $shard &
        worker=$!
        wait $worker
        status=$?
        # A signal ends wait, not the worker.
        while kill -0 $worker 2>/dev/null; do
            wait $worker
            status=$?
        done
        # Status 75: here and now it is not possible. The count is our own: Slurm's is lost with its controller's state.
        if [ $status = 75 ] && [ ! -e "$run/canceled" ]; then
            tries=$run/attempts/$shard.slurm-$SLURM_ARRAY_JOB_ID
            if echo >>"$tries" && [ $(wc -l <"$tries") -le 5 ]; then
                trap - USR1 TERM
                scontrol requeue ${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID && sleep 60
            fi
        fi
        exit $status


        """
    }

    @Test func `array jobs of Slurm`() throws {
        let tool = try prepare()
        defer { tool.remove() }
        let text = try preview(
            tool, "--engine", "slurm", "--jobs", "8", "--threads", "4", "--memory", "24G", "--partition", "long",
            "--scratch", "/a b", "--then-collect", "--", "--kv", "int8")
        let expected = """
            \(Self.array("index", "0-1"))$ sbatch --parsable --chdir=DIR/shared DIR/shared/slurm-index-0.sh

            \(Self.array("ask", "2-3"))$ sbatch --parsable --chdir=DIR/shared --dependency=afterany:JOB1 DIR/shared/slurm-ask-0.sh

            # DIR/shared/slurm-collect.sh
            #!/bin/bash
            #SBATCH --job-name=ID
            #SBATCH --requeue
            #SBATCH --open-mode=append
            #SBATCH --output=logs/%x-collect-%j.out
            #SBATCH --partition=long
            #SBATCH --cpus-per-task=4
            #SBATCH --mem=24576M
            exec PROGRAM cluster collect --run DIR/shared --cache-dir DIR/cache --data-dir DIR/data --model NANO

            $ sbatch --parsable --chdir=DIR/shared --dependency=afterany:JOB1:JOB2 DIR/shared/slurm-collect.sh


            """
        #expect(text == expected, "\(text)")
        // Arrays that Slurm would refuse are divided.
        let small = try preview(tool, "--engine", "slurm", "--array-size", "1", "--time-limit", "2h")
        let arrays = small.split(separator: "\n").filter { $0.contains("--array=") || $0.hasPrefix("shard=") }
        #expect(
            arrays.map(String.init)
                == (0...3).flatMap { ["#SBATCH --array=0", "shard=$((\($0) + SLURM_ARRAY_TASK_ID))"] })
        #expect(small.contains("--dependency=afterany:JOB1:JOB2 ") && small.contains("--time=120"), "\(small)")
        #expect(!FileManager.default.fileExists(atPath: tool.path("shared/engine.json")))
    }

    @Test func `GNU parallel or xargs`() throws {
        var tool = try prepare()
        defer { tool.remove() }
        try withoutEngines(&tool)
        let worker = """
            # DIR/shared/local-worker.sh
            #!/bin/bash
            exec >>DIR/shared/logs/local-"$1".out 2>&1
            exec PROGRAM cluster worker --run DIR/shared --model NANO --no-progress --shard "$1"


            """
        let xargs = try preview(tool, "--engine", "local", "--jobs", "2")
        #expect(
            xargs == worker + """
                # DIR/shared/local-index.txt: 0-1, one number on each line
                $ xargs -P 2 -n 1 -a DIR/shared/local-index.txt bash DIR/shared/local-worker.sh
                # DIR/shared/local-ask.txt: 2-3, one number on each line
                $ xargs -P 2 -n 1 -a DIR/shared/local-ask.txt bash DIR/shared/local-worker.sh

                """, "\(xargs)")
        try install("parallel", "exit 1", &tool)
        let parallel = try preview(tool, "--engine", "local")
        #expect(
            parallel.contains(
                "$ parallel --will-cite --jobs 1 --joblog DIR/shared/logs/local-index.tsv --termseq "
                    + "TERM,60000,KILL,25 --arg-file DIR/shared/local-index.txt bash DIR/shared/local-worker.sh\n"),
            "\(parallel)")
    }

    @Test func `a process with the number of an ended submission is left alone`() throws {
        let tool = try prepare()
        defer { tool.remove() }
        let child = try Child(tool, program: "/usr/bin/sleep", ["600"])
        defer {
            child.send(SIGKILL)
            _ = child.end()
        }
        let host = ProcessInfo.processInfo.hostName.prefix { $0 != "." }
        let submission = """
            {"engine": "local", "number": 1, "state": "submitted", "time": "2026-01-01T00:00:00Z", "host": "\(host)",
             "process": \(child.process.processIdentifier), "jobs": []}
            """
        try Data(submission.utf8).write(to: URL(filePath: tool.path("shared/engine.json")))
        #expect(try tool.run("cluster", "status", "--run", "shared").text.contains("): ended"))
        #expect(try tool.run("cluster", "cancel", "--run", "shared").status == 0)
        #expect(child.process.isRunning)
    }

    @Test func `workers on this machine do everything, and the same again nothing`() throws {
        var tool = try prepare(["a.mkv", "b.mkv", "c.mkv", "d.mkv"])
        defer { tool.remove() }
        try withoutEngines(&tool)
        let done = try tool.run("cluster", "submit", "--run", "shared", "--engine", "local", "--jobs", "2")
        #expect(done.status == 0 && done.text == "8 of 8 units done\n", "\(done.text) \(done.errors)")
        let again = try tool.run("cluster", "submit", "--run", "shared", "--engine", "slurm")
        #expect(again.status == 0 && again.text.hasPrefix("nothing to submit: every unit is published"), "\(again)")
        #expect(try preview(tool, "--engine", "ray").hasPrefix("nothing to submit"))
        let status = try tool.run("cluster", "status", "--run", "shared")
        #expect(status.status == 0 && status.text.contains("\nlocal, ended (since 2"), "\(status.text)")
        let log = try String(contentsOfFile: tool.path("shared/logs/local-0.out"), encoding: .utf8)
        #expect(log.contains("shard 0: 2 published"), "\(log)")
        // Outputs have the order of one machine's run, not that of the shards.
        #expect(try tool.run("cluster", "collect", "--run", "shared").status == 0)
        let answers = try String(contentsOfFile: tool.path("answers.jsonl"), encoding: .utf8).split(separator: "\n")
        let order = answers.compactMap { $0.firstMatch(of: /[a-d]\.mkv/).map { String($0.output) } }
        #expect(order == ["a.mkv", "b.mkv", "c.mkv", "d.mkv"])
    }

    @Test func `a job of Ray`() throws {
        let tool = try prepare()
        defer { tool.remove() }
        let text = try preview(
            tool, "--engine", "ray", "--address", "http://head:8265", "--memory", "1G", "--threads", "2")
        let parts = text.components(separatedBy: "# DIR/shared/ray_job.json\n")
        try #require(parts.count == 2, "\(text)")
        let driver = parts[0].replacing("# DIR/shared/ray_driver.py\n", with: "")
        #expect(driver.split(separator: "\n", omittingEmptySubsequences: false).count <= 100)
        try Data(driver.utf8).write(to: URL(filePath: tool.path("driver.py")))
        let compiled = try Child(
            tool, program: "python3", ["-c", "compile(open('driver.py').read(), 'driver.py', 'exec')"]
        ).end()
        #expect(compiled.status == 0, "\(compiled.errors)")
        let expected = """
            {
              "cpus" : 2,
              "memory" : 1073741824,
              "retries" : 5,
              "run" : "DIR/shared",
              "seconds" : [
                612,
                602.2
              ],
              "stages" : [
                [
                  0,
                  1
                ],
                [
                  2,
                  3
                ]
              ],
              "worker" : [
                "PROGRAM",
                "cluster",
                "worker",
                "--run",
                "DIR/shared",
                "--model",
                "NANO",
                "--threads",
                "2",
                "--no-progress",
                "--shard"
              ]
            }

            POST http://head:8265/api/jobs/
            {
              "entrypoint" : "python3 DIR/shared/ray_driver.py",
              "runtime_env" : {
                "env_vars" : {

                }
              },
              "submission_id" : "ID-1"
            }

            """
        #expect(parts[1] == expected, "\(parts[1])")
    }

    @Test func `a manifest for Kubernetes`() throws {
        var tool = try prepare()
        defer { tool.remove() }
        tool.environment["LONGTAKE_KEEP"] = nil
        tool.environment["TZ"] = "UTC"
        let result = try tool.run(
            "cluster", "render", "--engine", "kubernetes", "--run", "shared", "--image", "registry/longtake:1",
            "--claim", "shared=/shared", "--memory", "2G")
        #expect(result.status == 0, "\(result.errors)")
        let file = tool.path("jobs.yaml")
        try result.text.write(toFile: file, atomically: true, encoding: .utf8)
        let python = BundledModelTests.repository + "/.build/test-python/bin/python"
        try RealTool.run(python, ["-m", "kubernetes_validate", "--strict", file])
        let jobs = shortened(result.text, tool).components(separatedBy: "---\n")
        try #require(jobs.count == 2)
        func expected(_ kind: String, _ shards: String, _ seconds: Int, suspended: String) -> String {
            """
            apiVersion: batch/v1
            kind: Job
            metadata:
              name: ID-\(kind)
              labels:
                app.kubernetes.io/name: longtake
                longtake-run: "ID"
            spec:
              completionMode: Indexed
              completions: 2
              parallelism: 2
            \(suspended)  backoffLimitPerIndex: 5
              maxFailedIndexes: 2
              podFailurePolicy:
                rules:
                  # A node that went away is no failure of the shard.
                  - action: Ignore
                    onPodConditions:
                      - type: DisruptionTarget
                        status: "True"
                  # Another program or model, or no such shard: the same everywhere.
                  - action: FailIndex
                    onExitCodes:
                      containerName: worker
                      operator: In
                      values: [12, 64]
              template:
                metadata:
                  labels:
                    longtake-run: "ID"
                spec:
                  restartPolicy: Never
                  terminationGracePeriodSeconds: 120
                  activeDeadlineSeconds: \(seconds)
                  containers:
                    - name: worker
                      image: "registry/longtake:1"
                      command: ["/bin/sh", "-c"]
                      args: ["set -- \(shards); shift \\"$JOB_COMPLETION_INDEX\\"; exec longtake cluster worker --run DIR/shared --model NANO --no-progress --shard \\"$1\\""]
                      env:
                        - {name: "TZ", value: "UTC"}
                      resources:
                        requests:
                          cpu: "1"
                          memory: "2147483648"
                        limits:
                          memory: "2147483648"
                      volumeMounts:
                        - {name: scratch, mountPath: /tmp}
                        - {name: "shared", mountPath: "/shared"}
                  volumes:
                    - {name: scratch, emptyDir: {}}
                    - {name: "shared", persistentVolumeClaim: {claimName: "shared"}}

            """
        }
        #expect(jobs[0] == expected("index", "0 1", 612, suspended: ""), "\(jobs[0])")
        #expect(jobs[1] == expected("ask", "2 3", 603, suspended: "  suspend: true\n"), "\(jobs[1])")
        let refused = try tool.run(
            "cluster", "render", "--engine", "kubernetes", "--run", "shared", "--image", "x", "--claim", "shared")
        #expect(refused.status == 64 && refused.errors.contains("use NAME=/PATH"), "\(refused.errors)")
    }

    @Test func `engines that are missing or refuse`() throws {
        var tool = try prepare()
        defer { tool.remove() }
        let submit = ["cluster", "submit", "--run", "shared", "--engine"]
        let unknown = try tool.run(submit + ["slrum"])
        #expect(unknown.status == 64, "\(unknown.errors)")
        #expect(
            unknown.errors.contains("invalid --engine \"slrum\"; use slurm, local or ray; did you mean slurm?"),
            "\(unknown.errors)")
        #expect(try tool.run("cluster", "cancel", "--run", "shared").errors.contains("was not submitted"))
        try withoutEngines(&tool)
        let missing = try tool.run(submit + ["slurm"])
        #expect(
            missing.status == 64 && missing.errors.contains("install it (Debian's package slurm-client)"),
            "\(missing.errors)")
        // Nothing listens there.
        let ray = try tool.run(submit + ["ray", "--address", "http://127.0.0.1:9"])
        #expect(ray.status == 75 && ray.errors.contains("is this the address of Ray's dashboard?"), "\(ray.errors)")

        try install("sbatch", "echo 'sbatch: error: invalid partition' >&2; exit 1", &tool)
        try install("scontrol", "echo 'MaxArraySize            = 1001'", &tool)
        try install("squeue", "", &tool)
        let refused = try tool.run(submit + ["slurm"])
        #expect(
            refused.status == 75 && refused.errors.contains("sbatch: sbatch: error: invalid partition"),
            "\(refused.errors)")
        // Refused before anything was accepted: the same again is possible.
        try install("sbatch", "echo \"$@\" >>\"$0.log\"; echo $((6 + $(cat \"$0.log\" | grep -c .)))", &tool)
        try install("grep", "exec /bin/grep \"$@\"", &tool)
        let done = try tool.run(submit + ["slurm"])
        #expect(done.status == 0 && done.text == "4 shards submitted to slurm as 7, 8\n", "\(done.text) \(done.errors)")
        let log = try String(contentsOfFile: tool.path("bin/sbatch.log"), encoding: .utf8)
        #expect(log.contains("--dependency=afterany:7 ") && log.contains("slurm-ask-0.sh"), "\(log)")
        try install("squeue", "echo 'RUNNING None'; echo 'PENDING Dependency'", &tool)
        let twice = try tool.run(submit + ["slurm"])
        #expect(twice.status == 64 && twice.errors.contains("which still works on it"), "\(twice.errors)")
        let status = try tool.run("cluster", "status", "--run", "shared")
        #expect(status.text.contains("jobs 7, 8: 1 pending (Dependency), 1 running"), "\(status.text)")
        try install("scancel", "echo \"$@\" >\"$0.log\"", &tool)
        #expect(try tool.run("cluster", "cancel", "--run", "shared").status == 0)
        let canceled = try String(contentsOfFile: tool.path("bin/scancel.log"), encoding: .utf8)
        #expect(canceled.hasPrefix("--name=cluster_"), "\(canceled)")
        #expect(FileManager.default.fileExists(atPath: tool.path("shared/canceled")))
        try install("squeue", "echo 'CANCELLED None'", &tool)
        #expect(try tool.run(submit + ["slurm"]).status == 0)
        #expect(!FileManager.default.fileExists(atPath: tool.path("shared/canceled")))
    }

    @Test func `a simulated run is near the bound, and the same for the same seed`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        func simulate(_ seed: Int, _ rate: String) throws -> [String: Any] {
            try tool.run(
                "cluster", "simulate", "--units", "20000", "--nodes", "20", "--loss-rate", rate, "--seed", "\(seed)",
                "--json"
            ).object()
        }
        let first = try simulate(1, "0.01")
        let ratio = try #require(first["ratio"] as? Double)
        #expect(ratio >= 1 && ratio < 1.05, "\(first)")
        #expect(try (simulate(1, "0.01") as NSDictionary).isEqual(to: first))
        #expect(try !(simulate(2, "0.01") as NSDictionary).isEqual(to: first))
        let calm = try simulate(1, "0")
        #expect(calm["losses"] as? Int == 0 && calm["redone_seconds"] as? Double == 0, "\(calm)")
        #expect(calm["starts"] as? Int == 1000, "\(calm)")
    }
}
