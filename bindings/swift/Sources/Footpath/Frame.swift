import Foundation

/// Writes events as the library takes them: protobuf, the fields of `footpath.v1.Event` that are the application's.
///
/// It writes into memory that it is lent, on the stack for most events, and moves to the heap where that does not do. It
/// checks only what cannot be written; the library checks the rest.
struct Frame {
    private var base: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    private(set) var count = 0
    private var onHeap = false
    /// What cannot be written, in words for the developer.
    private(set) var problem: String?

    /// Calls `body` with an empty frame.
    @inline(__always)
    static func make<Result>(_ body: (inout Frame) -> Result) -> Result {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1024) { buffer in
            var frame = Frame(base: buffer.baseAddress!, capacity: buffer.count)
            defer { frame.free() }
            return body(&frame)
        }
    }

    /// What `write` wrote, for calls that take bytes; `nil` with the reason where it could not.
    static func data(_ write: (inout Frame) -> Void) -> (Data?, String?) {
        make { frame in
            write(&frame)
            return frame.problem == nil ? (Data(frame.bytes), nil) : (nil, frame.problem)
        }
    }

    private init(base: UnsafeMutablePointer<UInt8>, capacity: Int) {
        self.base = base
        self.capacity = capacity
    }

    private func free() {
        if onHeap { base.deallocate() }
    }

    var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: base, count: count) }

    // MARK: The wire format

    @inline(__always)
    private mutating func reserve(_ more: Int) {
        if capacity - count < more { grow(more) }
    }

    @inline(never)
    private mutating func grow(_ more: Int) {
        let larger = max(capacity * 2, count + more)
        let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
        moved.update(from: base, count: count)
        free()
        (base, capacity, onHeap) = (moved, larger, true)
    }

    @inline(__always)
    mutating func byte(_ byte: UInt8) {
        reserve(1)
        base[count] = byte
        count += 1
    }

    @inline(__always)
    private mutating func varint(_ value: UInt64) {
        reserve(10)
        var rest = value
        while rest >= 0x80 {
            base[count] = UInt8(truncatingIfNeeded: rest) | 0x80
            count += 1
            rest >>= 7
        }
        base[count] = UInt8(truncatingIfNeeded: rest)
        count += 1
    }

    @inline(__always)
    private mutating func number(_ field: UInt8, _ value: UInt64) {
        byte(field << 3)
        varint(value)
    }

    @inline(__always)
    private mutating func fixed64(_ field: UInt8, _ bits: UInt64) {
        byte(field << 3 | 1)
        reserve(8)
        UnsafeMutableRawPointer(base + count).storeBytes(of: bits.littleEndian, as: UInt64.self)
        count += 8
    }

    @inline(__always)
    mutating func text(_ field: UInt8, _ text: String) {
        byte(field << 3 | 2)
        let utf8 = text.utf8
        let copied: Void? = utf8.withContiguousStorageIfAvailable { append($0) }
        if copied == nil { Array(utf8).withUnsafeBufferPointer { append($0) } }
    }

    @inline(__always)
    private mutating func append(_ bytes: UnsafeBufferPointer<UInt8>) {
        varint(UInt64(bytes.count))
        guard let start = bytes.baseAddress else { return }
        reserve(bytes.count)
        (base + count).update(from: start, count: bytes.count)
        count += bytes.count
    }

    /// A message of unknown length: one byte is kept for it, and the content moves if it needs more.
    @inline(__always)
    private mutating func message(_ field: UInt8, _ content: (inout Frame) -> Void) {
        byte(field << 3 | 2)
        let at = count
        byte(0)
        content(&self)
        let length = count - at - 1
        if length < 0x80 {
            base[at] = UInt8(truncatingIfNeeded: length)
        } else {
            widen(at, length)
        }
    }

    @inline(never)
    private mutating func widen(_ at: Int, _ length: Int) {
        let more = (UInt64.bitWidth - UInt64(length).leadingZeroBitCount + 6) / 7 - 1
        reserve(more)
        memmove(base + at + 1 + more, base + at + 1, length)
        let end = count + more
        count = at
        varint(UInt64(length))
        count = end
    }

    private mutating func time(_ field: UInt8, _ date: Date) {
        let us = (date.timeIntervalSince1970 * 1_000_000).rounded()
        guard abs(us) < 4e17 else { return cannot("a time lies in the years 1 to 9999") }
        let (seconds, rest) = Int64(us).flooredDivision(by: 1_000_000)
        message(field) { frame in
            frame.number(1, UInt64(bitPattern: seconds))
            frame.number(2, UInt64(rest) * 1_000)
        }
    }

    private mutating func cannot(_ what: String) {
        if problem == nil { problem = what }
    }

    // MARK: Events

    /// An event that has no more than a name and properties.
    @inline(__always)
    mutating func event(_ name: String, _ properties: Properties) {
        text(3, name)
        entries(11, properties)
    }

    mutating func event(_ event: Event) {
        text(3, event.name)
        if let time = event.time { self.time(4, time) }
        if let id = event.person?.anonymousID { text(5, id) }
        if let id = event.person?.userID { text(6, id) }
        if let id = event.sessionID { text(7, id) }
        entries(11, event.properties)
        if !event.changes.isEmpty { message(13) { $0.changes(event.changes) } }
        for group in event.groups {
            message(14) { frame in
                frame.text(1, group.kind)
                frame.text(2, group.id)
                frame.message(3) { $0.changes(group.changes) }
            }
        }
    }

    /// The fields of a `PropertyChanges`.
    mutating func changes(_ changes: Changes) {
        entries(1, changes.set)
        entries(2, changes.setOnce)
        for key in changes.unset.sorted() { text(3, key) }
        for (key, amount) in changes.add.sorted(by: { $0.key < $1.key }) {
            message(4) { frame in
                frame.text(1, key)
                frame.fixed64(2, amount.bitPattern)
            }
        }
    }

    @inline(__always)
    private mutating func entries(_ field: UInt8, _ properties: Properties, depth: Int = 0) {
        for (key, value) in properties.entries {
            message(field) { frame in
                frame.text(1, key)
                frame.message(2) { $0.value(value, depth: depth) }
            }
        }
    }

    /// The one field of a `Value`.
    mutating func value(_ value: Value, depth: Int = 0) {
        switch value {
        case .string(let text): self.text(1, text)
        case .int(let whole): number(2, UInt64(bitPattern: Int64(whole)))
        case .double(let number): fixed64(3, number.bitPattern)
        case .decimal(let text): self.text(4, text)
        case .money(let amount, let currency): money(amount, currency)
        case .bool(let truth): number(6, truth ? 1 : 0)
        case .time(let date): time(7, date)
        case .list(let values): nested(8, depth) { frame in
            for value in values { frame.message(1) { $0.value(value, depth: depth + 1) } }
        }
        case .map(let properties): nested(9, depth) { $0.entries(1, properties, depth: depth + 1) }
        }
    }

    private mutating func nested(_ field: UInt8, _ depth: Int, _ content: (inout Frame) -> Void) {
        guard depth < 5 else { return cannot("lists and maps are nested at most 5 deep") }
        message(field, content)
    }

    private mutating func money(_ text: String, _ currency: String) {
        guard let (units, nanos) = amount(text) else {
            return cannot("\"\(text)\" is not an amount: write digits with an optional sign and at most nine places, as in \"12.50\"")
        }
        message(5) { frame in
            frame.text(1, currency)
            frame.number(2, UInt64(bitPattern: units))
            frame.number(3, UInt64(bitPattern: Int64(nanos)))
        }
    }
}

/// Units and billionths of an amount in text: digits with an optional sign and at most nine places.
func amount(_ text: String) -> (units: Int64, nanos: Int32)? {
    var units: Int64 = 0
    var nanos: Int32 = 0
    var (wholes, places) = (0, 0)
    var (negative, point) = (false, false)
    for (at, byte) in text.utf8.enumerated() {
        switch byte {
        case UInt8(ascii: "-") where at == 0: negative = true
        case UInt8(ascii: "+") where at == 0: break
        case UInt8(ascii: ".") where !point && wholes > 0: point = true
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            let digit = Int64(byte - UInt8(ascii: "0"))
            if point {
                places += 1
                guard places <= 9 else { return nil }
                nanos = nanos * 10 + Int32(digit)
            } else {
                wholes += 1
                // Counted below zero, where there is room for one more.
                let (ten, over) = units.multipliedReportingOverflow(by: 10)
                let (sum, under) = ten.subtractingReportingOverflow(digit)
                guard !over, !under else { return nil }
                units = sum
            }
        default: return nil
        }
    }
    guard wholes > 0, !point || places > 0 else { return nil }
    for _ in places..<9 { nanos *= 10 }
    if negative { return (units, -nanos) }
    return units == .min ? nil : (-units, nanos)
}

extension Int64 {
    /// The quotient towards minus infinity, and what is left.
    fileprivate func flooredDivision(by divisor: Int64) -> (Int64, Int64) {
        let (quotient, rest) = quotientAndRemainder(dividingBy: divisor)
        return rest < 0 ? (quotient - 1, rest + divisor) : (quotient, rest)
    }
}
