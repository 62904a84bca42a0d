// swift-tools-version: 6.2
import PackageDescription

// The layers of the house, bottom first. A target may import only what its row names: SwiftPM refuses the rest,
// and `scripts/check-layers` refuses what SwiftPM would let through by transitivity.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
    .treatAllWarnings(as: .error),
]
let strictC: [CSetting] = [.treatAllWarnings(as: .error)]

/// The commit for `longtake --version`; empty where the sources are no git checkout.
let commit = Context.gitInformation.map { $0.currentCommit.prefix(12) + ($0.hasUncommittedChanges ? "+" : "") } ?? ""

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
    name: "longtake",
    products: [
        .executable(name: "longtake", targets: ["LongtakeCLI"]),
        .library(name: "Longtake", targets: ["Longtake"]),
    ],
    traits: [
        .trait(name: "OneDNN", description: "Large products by oneDNN; without it OpenBLAS does them, in f32 only."),
        .default(enabledTraits: ["OneDNN"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", .upToNextMinor(from: "1.8.2")),
        .package(url: "https://github.com/groue/GRDB.swift", .upToNextMinor(from: "7.10.0")),
        .package(url: "https://github.com/jpsim/Yams", .upToNextMinor(from: "6.2.2")),
    ],
    targets: [
        // System libraries: a module map and a shim.h each, nothing else.
        .systemLibrary(name: "COneDNN", providers: [.apt(["libdnnl-dev"])]),
        .systemLibrary(name: "COpenBLAS", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "COpenMP", providers: [.apt(["libgomp1"])]),
        .systemLibrary(name: "CSeccomp", pkgConfig: "libseccomp", providers: [.apt(["libseccomp-dev"])]),
        .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(name: "CKernels", cSettings: strictC),
        // FFmpeg's headers (libavformat-dev, libavcodec-dev, libswscale-dev); the libraries are loaded when they are needed.
        .target(name: "CFFmpeg", cSettings: strictC),
        // libcurl's headers (libcurl4-openssl-dev); the library is loaded when a model is downloaded.
        .target(name: "CCurl", cSettings: strictC),

        // What the program does before its libraries are initialized.
        .target(name: "CStart", cSettings: strictC + [.define("LONGTAKE_COMMIT", to: "\"\(commit)\"")]),

        // System calls and threads, for all targets above.
        .target(name: "SystemCalls", swiftSettings: strict),

        // Leaves: none of them knows another one, except that models are made of tensors.
        .target(
            name: "Tensors",
            dependencies: [
                "CKernels", "COpenMP", "COpenBLAS", .target(name: "COneDNN", condition: .when(traits: ["OneDNN"])),
                "SystemCalls",
            ],
            swiftSettings: strict),
        .target(name: "Media", dependencies: ["CFFmpeg", "CSeccomp", "SystemCalls"], swiftSettings: strict),
        .target(name: "Checkpoints", dependencies: ["SystemCalls", "Tensors"], swiftSettings: strict),
        .target(name: "Hub", dependencies: ["CCurl", "CCrypto", "Checkpoints", "SystemCalls"], swiftSettings: strict),
        .target(name: "Tokenizers", dependencies: ["Checkpoints", "SystemCalls"], swiftSettings: strict),
        .target(name: "Models", dependencies: ["Checkpoints", "Tensors"], swiftSettings: strict),
        .target(name: "Store", dependencies: ["CXXHash", "CCrypto", "SystemCalls", grdb], swiftSettings: strict),

        // Where the leaves meet, and the command line in front of it.
        .target(
            name: "Longtake",
            dependencies: [
                "Checkpoints", "Hub", "Media", "Models", "Store", "SystemCalls", "Tensors", "Tokenizers", yams,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "LongtakeCLI", dependencies: ["CStart", "Longtake", "SystemCalls", argumentParser],
            swiftSettings: strict),

        // The example of the documentation, which sees only what is public; `make example` builds it as a package of its own.
        .executableTarget(
            name: "AskExample", dependencies: ["Longtake"], path: "Examples/ask/Sources/ask", packageAccess: false,
            swiftSettings: strict),

        // What the tests of several targets share: real tools, pictures that tell their number, broken time stamps.
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
        // Goes into the decode worker's sandbox and tries to get out of it.
        .executableTarget(
            name: "SandboxProbe", dependencies: ["Media", "CSeccomp"], path: "Tests/SandboxProbe", swiftSettings: strict
        ),
        .testTarget(name: "TensorsTests", dependencies: ["Tensors", "CKernels"], swiftSettings: strict),
        // Tests that start a program find it beside them; they do not depend on it, so that they compile meanwhile.
        .testTarget(name: "MediaTests", dependencies: ["Media", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "CheckpointsTests",
            dependencies: ["Checkpoints", "Tokenizers", "Tensors", "Models", "Longtake", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "TokenizersTests", dependencies: ["Tokenizers", "Checkpoints", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "ModelsTests", dependencies: ["Models", "Checkpoints", "Tensors"], swiftSettings: strict),
        .testTarget(name: "SystemCallsTests", dependencies: ["SystemCalls", "TestSupport"], swiftSettings: strict),
        .testTarget(name: "StoreTests", dependencies: ["Store", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "LongtakeTests",
            dependencies: [
                "Longtake", "Models", "Checkpoints", "Tokenizers", "Tensors", "Media", "Store", "TestSupport",
            ],
            swiftSettings: strict),
        .testTarget(name: "CLITests", dependencies: ["TestSupport"], swiftSettings: strict),
    ]
)
