public import ArgumentParser
public import Longtake

extension DecimalNumber: ExpressibleByArgument {
    /// Parses a command-line argument; nil if it is not a decimal number.
    public init?(argument: String) { self.init(argument) }
}
