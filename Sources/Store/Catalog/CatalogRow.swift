import GRDB

/// A row of a table whose last column is a checksum; SQLite itself keeps none.
protocol CatalogRow {
    static var table: String { get }
    /// The columns in the table's order, `checksum` last.
    static var columns: [String] { get }

    /// The values of all columns but the checksum.
    var values: [(any DatabaseValueConvertible)?] { get }
    /// XXH3-64 of the fields in hex; by default of all values.
    var checksum: String { get }

    /// Decodes a row, whatever its checksum.
    init(fields: CatalogFields) throws
}

extension CatalogRow {
    var checksum: String { CatalogFields.checksum(values.map { $0.map { "\($0)" } }) }
}

extension Catalog {
    /// What happens to a row with the same primary key.
    enum Conflict: String { case replace, ignore }

    static func insert(_ row: some CatalogRow, _ database: Database, or conflict: Conflict = .replace) throws {
        try insert([row], database, or: conflict)
    }

    static func insert<Item: CatalogRow>(
        _ rows: [Item], _ database: Database, or conflict: Conflict = .replace
    ) throws {
        let marks = Item.columns.map { _ in "?" }.joined(separator: ", ")
        let sql = "INSERT OR \(conflict.rawValue) INTO \(Item.table) VALUES (\(marks))"
        for row in rows { try database.execute(sql: sql, arguments: StatementArguments(row.values + [row.checksum])) }
    }

    /// Decodes a row; nil if a value has another type or the checksum does not match.
    static func decode<Item: CatalogRow>(_ row: Row, as _: Item.Type = Item.self) -> Item? {
        let fields = CatalogFields(row)
        guard let item = try? Item(fields: fields), (try? fields.required("checksum")) == item.checksum else {
            return nil
        }
        return item
    }

    /// Returns the intact rows of a table that meet a condition, in its order.
    ///
    /// - Parameter condition: what follows the table's name in a SELECT.
    func select<Item: CatalogRow>(_ condition: String, _ arguments: StatementArguments) throws -> [Item] {
        try read { database in
            try Row.fetchAll(
                database, sql: "SELECT * FROM \(Item.table) \(condition)", arguments: arguments
            ).compactMap { Catalog.decode($0) }
        }
    }
}
