/// A value that is made when it is first asked for.
public final class Deferred<Value> {
    private let make: () throws -> Value
    private var made: Value?

    public init(_ make: @escaping () throws -> Value) { self.make = make }

    public func get() throws -> Value {
        if let made { return made }
        let value = try make()
        made = value
        return value
    }
}
