import Foundation

/// A property's value. Literals are values: `"text"`, `3`, `1.5`, `true`, `[1, 2]`, `["key": "value"]`.
public enum Value: Sendable, Equatable {
    /// UTF-8 text.
    case string(String)
    /// A whole number.
    case int(Int)
    /// A finite number.
    case double(Double)
    /// A decimal number as text, for example "12.340"; kept as written.
    case decimal(String)
    /// An exact amount, for example `.money("12.50", "EUR")`: digits with at most nine places, and an ISO 4217 code.
    case money(String, String)
    /// True or false.
    case bool(Bool)
    /// A moment, to the microsecond.
    case time(Date)
    /// Several values, in order.
    case list([Value])
    /// Values by key.
    case map(Properties)
}

extension Value: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    public init(stringLiteral value: String) { self = .string(value) }
}

extension Value: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: Int) { self = .int(value) }
}

extension Value: ExpressibleByFloatLiteral {
    public init(floatLiteral value: Double) { self = .double(value) }
}

extension Value: ExpressibleByBooleanLiteral {
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

extension Value: ExpressibleByArrayLiteral {
    public init(arrayLiteral elements: Value...) { self = .list(elements) }
}

extension Value: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, Value)...) { self = .map(Properties(elements)) }
}

/// Values by key, in the order they were set; the last value of a key stands. A list rather than a dictionary, because
/// an event has few of them and makes them anew each time.
public struct Properties: Sendable {
    @usableFromInline var entries: [(key: String, value: Value)]

    /// None.
    public init() { entries = [] }

    /// The values of a dictionary, ordered by key.
    public init(_ values: [String: Value]) {
        entries = values.sorted { $0.key < $1.key }.map { (key: $0.key, value: $0.value) }
    }

    init(_ elements: [(String, Value)]) {
        entries = elements.map { (key: $0.0, value: $0.1) }
        dropRepeated()
    }

    /// The value of a key; setting it to `nil` takes it away.
    public subscript(key: String) -> Value? {
        get { entries.first { $0.key == key }?.value }
        set {
            let place = entries.firstIndex { $0.key == key }
            switch (place, newValue) {
            case (let place?, let value?): entries[place].value = value
            case (let place?, nil): entries.remove(at: place)
            case (nil, let value?): entries.append((key: key, value: value))
            case (nil, nil): break
            }
        }
    }

    /// How many there are.
    public var count: Int { entries.count }
    /// Whether there are none.
    public var isEmpty: Bool { entries.isEmpty }
    /// The keys, in order.
    public var keys: [String] { entries.map(\.key) }
    /// As a dictionary.
    public var dictionary: [String: Value] {
        Dictionary(entries.map { ($0.key, $0.value) }, uniquingKeysWith: { _, last in last })
    }

    @usableFromInline mutating func dropRepeated() {
        var at = 1
        while at < entries.count {
            let key = entries[at].key
            if let first = entries[..<at].firstIndex(where: { $0.key == key }) {
                entries[first].value = entries[at].value
                entries.remove(at: at)
            } else {
                at += 1
            }
        }
    }
}

extension Properties: ExpressibleByDictionaryLiteral {
    @inlinable
    public init(dictionaryLiteral elements: (String, Value)...) {
        entries = []
        entries.reserveCapacity(elements.count)
        for (key, value) in elements { entries.append((key: key, value: value)) }
        dropRepeated()
    }
}

extension Properties: Equatable {
    public static func == (one: Properties, other: Properties) -> Bool {
        one.entries.elementsEqual(other.entries) { $0.key == $1.key && $0.value == $1.value }
    }
}

/// Changes to the properties of a person or a group.
public struct Changes: Sendable, Equatable {
    /// Sets a property.
    public var set: Properties
    /// Sets a property where no earlier event did.
    public var setOnce: Properties
    /// Removes properties.
    public var unset: Set<String>
    /// Adds to numbers.
    public var add: [String: Double]

    /// None.
    public init() { (set, setOnce, unset, add) = ([:], [:], [], [:]) }

    public init(
        set: Properties = [:], setOnce: Properties = [:], unset: Set<String> = [], add: [String: Double] = [:]
    ) {
        self.set = set
        self.setOnce = setOnce
        self.unset = unset
        self.add = add
    }

    var isEmpty: Bool { self.set.isEmpty && setOnce.isEmpty && unset.isEmpty && add.isEmpty }
}

extension Changes: ExpressibleByDictionaryLiteral {
    /// Sets these properties.
    public init(dictionaryLiteral elements: (String, Value)...) {
        self.init(set: Properties(elements))
    }
}
