// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "ask",
    dependencies: [.package(name: "longtake", path: "../..")],
    targets: [
        .executableTarget(name: "ask", dependencies: [.product(name: "Longtake", package: "longtake")])
    ]
)
