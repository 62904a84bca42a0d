/// A value computed on first use.
package final class Deferred<Value> {
    private let make: () throws -> Value
    /// The value, if it was computed.
    package private(set) var made: Value?

    /// Creates a value that `make` will compute.
    package init(_ make: @escaping () throws -> Value) { self.make = make }

    /// Returns the value, computing it on the first call; after an error the next call tries again.
    package func get() throws -> Value {
        if let made { return made }
        let value = try make()
        made = value
        return value
    }
}
