import Foundation
import Glibc
import TestSupport
import Testing

import Store

/// What a disk holds after a power cut: a model that is told each call and knows what of it was flushed.
///
/// A flush of a file keeps its bytes, one of a directory the names in it, and neither keeps anything else.
final class DiskModel {
    /// Names that one call added (or, with nil, took away) in one directory.
    private typealias Change = [(name: String, node: Node?)]

    private final class Node {
        let isDirectory: Bool
        var data: [UInt8] = []
        var flushedData: [UInt8] = []
        var names: [String: Node] = [:]
        var flushedNames: [String: Node] = [:]
        var changes: [Change] = []

        init(isDirectory: Bool) { self.isDirectory = isDirectory }
    }

    /// How much of what was not flushed is there.
    enum Survival {
        case everything
        case nothing
        /// Any of the names; of the bytes none, zeros, or those up to some sector or in some.
        case random(SeededNumbers)
    }

    private let folder: String
    private let root: Node

    /// Begins with what is in a folder now, all of it flushed.
    init(_ folder: String) throws {
        self.folder = folder
        root = try DiskModel.load(folder)
    }

    private static func load(_ path: String) throws -> Node {
        var status = stat()
        try #require(lstat(path, &status) == 0)
        let node = Node(isDirectory: status.st_mode & S_IFMT == S_IFDIR)
        if node.isDirectory {
            for name in try FileManager.default.contentsOfDirectory(atPath: path) {
                node.names[name] = try load(path + "/" + name)
            }
            node.flushedNames = node.names
        } else {
            node.data = try contents(path)
            node.flushedData = node.data
        }
        return node
    }

    func apply(_ event: FaultPlan.Event) throws {
        switch event {
        case .create(let path): try change(path, Node(isDirectory: false))
        case .mkdir(let path): try change(path, Node(isDirectory: true))
        case .write(let path, let bytes): try #require(find(path)).data += bytes
        case .link(let old, let new):
            let linked = try #require(find(old), "\(old)")
            try change(new, linked)
        case .unlink(let path): try change(path, nil)
        case .sync(let path):
            let node = try #require(find(path), "\(path)")
            node.flushedData = node.data
            node.flushedNames = node.names
            node.changes = []
        case .rename(let old, let new):
            let moved = try #require(find(old), "\(old)")
            let (from, to) = (try parent(old), try parent(new))
            if from.node === to.node {
                add([(from.name, nil), (to.name, moved)], to: from.node)
            } else {
                add([(from.name, nil)], to: from.node)
                add([(to.name, moved)], to: to.node)
            }
        }
    }

    private func change(_ path: String, _ node: Node?) throws {
        let (parent, name) = try parent(path)
        add([(name, node)], to: parent)
    }

    private func add(_ change: Change, to node: Node) {
        for (name, child) in change { node.names[name] = child }
        node.changes.append(change)
    }

    private func find(_ path: String) -> Node? {
        path.dropFirst(folder.count).split(separator: "/").reduce(root) { $0?.names[String($1)] }
    }

    private func parent(_ path: String) throws -> (node: Node, name: String) {
        let slash = try #require(path.lastIndex(of: "/"))
        let parent = try #require(find(String(path[..<slash])), "\(path)")
        return (parent, String(path[path.index(after: slash)...]))
    }

    /// Makes the folder as it would be found.
    func build(at path: String, _ survival: Survival) throws {
        var survival = survival
        try build(root, path, &survival)
    }

    private func build(_ node: Node, _ path: String, _ survival: inout Survival) throws {
        try #require(mkdir(path, 0o700) == 0, "\(path)")
        for (name, child) in names(node, &survival).sorted(by: { $0.key < $1.key }) {
            let file = path + "/" + name
            if child.isDirectory {
                try build(child, file, &survival)
                continue
            }
            let bytes = data(child, &survival)
            let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL, 0o600)
            try #require(descriptor >= 0)
            defer { close(descriptor) }
            try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        }
    }

    private func names(_ node: Node, _ survival: inout Survival) -> [String: Node] {
        switch survival {
        case .everything: return node.names
        case .nothing: return node.flushedNames
        case .random(var random):
            defer { survival = .random(random) }
            return node.changes.reduce(into: node.flushedNames) { names, change in
                guard Bool.random(using: &random) else { return }
                for (name, child) in change { names[name] = child }
            }
        }
    }

    private func data(_ node: Node, _ survival: inout Survival) -> [UInt8] {
        switch survival {
        case .everything: return node.data
        case .nothing: return node.flushedData
        case .random(var random):
            defer { survival = .random(random) }
            let (kept, all) = (node.flushedData, node.data)
            let rest = all.count - kept.count
            guard rest > 0 else { return all }
            let sector = Bool.random(using: &random) ? 512 : 4096
            switch Int.random(in: 0..<4, using: &random) {
            case 0: return kept
            case 1: return kept + [UInt8](repeating: 0, count: rest)
            case 2:
                return Array(
                    all.prefix(max(kept.count, Int.random(in: 0...all.count / sector, using: &random) * sector)))
            default:
                var bytes = all
                for start in stride(from: 0, to: all.count, by: sector) where Bool.random(using: &random) {
                    for offset in max(start, kept.count)..<max(kept.count, min(start + sector, all.count)) {
                        bytes[offset] = 0
                    }
                }
                return bytes
            }
        }
    }
}
