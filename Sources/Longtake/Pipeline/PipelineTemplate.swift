internal import Foundation
internal import Glibc
internal import Store

/// A pipeline file to begin with.
package enum PipelineTemplate {
    /// The file's text.
    ///
    /// - Parameters:
    ///   - name: the pipeline's name.
    ///   - input: file or folder with recordings.
    package static func text(name: String, input: String) throws -> String {
        """
        # What this file may contain: docs/pipelines.md, or `longtake pipeline schema`.
        version: 1
        name: \(try JSONText.line(name))
        inputs:
          - \(try JSONText.line(input))
        # Files that changed within this time are left to the next run: they may still be growing.
        min_age: 10m
        questions:
          - id: people
            ask: Who is seen?
            max_tokens: 32
        # One file of answers per day; what was asked is in the catalog.
        outputs:
          - answers/%Y-%m-%d.jsonl

        """
    }

    /// Writes a new pipeline file.
    ///
    /// - Throws: `Failure` `exists` if there is a file of that name, `cannot_write`.
    package static func write(_ text: String, to path: String) throws {
        guard !InputPath(path).exists else {
            throw Failure(
                code: "exists", message: "\(path): exists already; choose another name or remove it",
                exitCode: Exit.usage)
        }
        do {
            try WholeFile.write(Array(text.utf8), to: path)
        } catch {
            throw Failure.cannotWrite(path, error)
        }
    }
}
