import ArgumentParser
package import Longtake

extension DecimalNumber: ExpressibleByArgument {
    /// Parses a command-line argument; nil if it is not a decimal number.
    init?(argument: String) { self.init(argument) }
}
