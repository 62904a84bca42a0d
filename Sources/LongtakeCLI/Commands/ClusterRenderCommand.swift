import ArgumentParser
import Longtake

struct ClusterRenderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "render", abstract: "Print a manifest that runs a cluster run on Kubernetes.",
        discussion: Help.text(
            """
            EXAMPLE
              longtake cluster render --run /shared/tonight --image registry/longtake:1 --claim shared=/shared

            Indexed Jobs (Kubernetes 1.33 or later): one that indexes, and a suspended one that asks, to be resumed when \
            the first is complete. Nothing is sent to a cluster. The claims must hold the run's folder, the recordings and \
            the model under the paths that they have here.
            """))

    @Option(help: "What to write for: kubernetes.", completion: .list(["kubernetes"]))
    var engine: String

    @Option(help: "Container image with this program.")
    var image: String

    @Option(help: "A persistent volume claim and where it is mounted, NAME=PATH. May be repeated.")
    var claim: [String] = []

    @OptionGroup var folder: ClusterRunOptions
    @OptionGroup var options: ClusterEngineOptions
    @OptionGroup var output: OutputOptions

    mutating func run() throws {
        _ = try Choice.check(engine, "--engine", of: ["kubernetes"])
        let claims = try claim.map { text -> (name: String, path: String) in
            let words = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard words.count == 2, words[1].hasPrefix("/") else {
                throw UsageError("invalid --claim \"\(text)\"; use NAME=/PATH")
            }
            return (words[0], words[1])
        }
        guard !claims.isEmpty else {
            throw UsageError("no --claim: the run's folder must be on storage that all pods mount")
        }
        let run = try folder.open()
        let request = try options.request(run, program: options.program ?? "longtake")
        guard let text = try KubernetesManifest(run, request, image: image, claims: claims).text() else {
            return output.note("nothing to do: every unit is published, or recorded as one that cannot be done")
        }
        Console.result(text)
    }
}
