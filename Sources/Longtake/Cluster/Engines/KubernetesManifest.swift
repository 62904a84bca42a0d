internal import Foundation

/// Kubernetes: Indexed Jobs for a run, to be applied by kubectl. Nothing here talks to a cluster.
package struct KubernetesManifest {
    private let run: ClusterRun
    private let request: ClusterRequest
    private let image: String
    private let claims: [(name: String, path: String)]

    /// A manifest for a run.
    ///
    /// - Parameters:
    ///   - image: the container image with the program.
    ///   - claims: persistent volume claims and where they are mounted, among them the run's folder and the recordings.
    package init(_ run: ClusterRun, _ request: ClusterRequest, image: String, claims: [(name: String, path: String)]) {
        (self.run, self.request, self.image, self.claims) = (run, request, image, claims)
    }

    /// The documents as YAML; nil if nothing is open.
    package func text() throws -> String? {
        let stages = try run.openStages()
        guard !stages.isEmpty else { return nil }
        return try stages.enumerated().map { number, stage in
            try document(stage, isSuspended: number > 0)
        }.joined(separator: "---\n")
    }

    /// JSON's strings are strings of YAML.
    private func quoted(_ text: String) throws -> String { try JSONText.line(text) }

    private func document(_ stage: ClusterStage, isSuspended: Bool) throws -> String {
        // The index of a pod counts the shards that are open.
        let shell =
            "set -- \(stage.shards.map(String.init).joined(separator: " ")); shift \"$JOB_COMPLETION_INDEX\"; "
            + "exec \(ClusterRequest.line(request.worker)) \"$1\""
        let name = run.plan.id.replacing("_", with: "-") + "-" + stage.kind.rawValue
        var lines = [
            "apiVersion: batch/v1", "kind: Job", "metadata:", "  name: \(name)", "  labels:",
            "    app.kubernetes.io/name: longtake", "    longtake-run: \(try quoted(run.plan.id))", "spec:",
            "  completionMode: Indexed", "  completions: \(stage.shards.count)",
            "  parallelism: \(min(stage.shards.count, request.jobs ?? stage.shards.count))",
        ]
        // Questions wait for indexes: started when the other job is complete.
        if isSuspended { lines.append("  suspend: true") }
        lines += [
            "  backoffLimitPerIndex: \(request.retries)", "  maxFailedIndexes: \(stage.shards.count)",
            "  podFailurePolicy:", "    rules:",
            "      # A node that went away is no failure of the shard.",
            "      - action: Ignore", "        onPodConditions:", "          - type: DisruptionTarget",
            "            status: \"True\"",
            "      # Another program or model, or no such shard: the same everywhere.",
            "      - action: FailIndex", "        onExitCodes:", "          containerName: worker",
            "          operator: In", "          values: [\(Exit.model), \(Exit.usage)]", "  template:",
            "    metadata:",
            "      labels:", "        longtake-run: \(try quoted(run.plan.id))", "    spec:",
            "      restartPolicy: Never",
            "      terminationGracePeriodSeconds: 120",
        ]
        if let seconds = run.timeLimit(stage, request) {
            lines.append("      activeDeadlineSeconds: \(Int(saturating: seconds.rounded(.up)))")
        }
        lines += [
            "      containers:", "        - name: worker", "          image: \(try quoted(image))",
            "          command: [\"/bin/sh\", \"-c\"]", "          args: [\(try quoted(shell))]",
        ]
        if !request.environment.isEmpty {
            lines.append("          env:")
            for (name, value) in request.environment.sorted(by: { $0.key < $1.key }) {
                lines.append("            - {name: \(try quoted(name)), value: \(try quoted(value))}")
            }
        }
        lines += ["          resources:", "            requests:", "              cpu: \"\(request.cores ?? 1)\""]
        if let memory = request.memory {
            lines += [
                "              memory: \"\(memory)\"", "            limits:", "              memory: \"\(memory)\"",
            ]
        }
        lines += ["          volumeMounts:", "            - {name: scratch, mountPath: /tmp}"]
        for claim in claims {
            lines.append("            - {name: \(try quoted(claim.name)), mountPath: \(try quoted(claim.path))}")
        }
        lines += ["      volumes:", "        - {name: scratch, emptyDir: {}}"]
        for claim in claims {
            let name = try quoted(claim.name)
            lines.append("        - {name: \(name), persistentVolumeClaim: {claimName: \(name)}}")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
