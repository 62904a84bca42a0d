public import ArgumentParser
public import Longtake

extension DecimalNumber: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}
