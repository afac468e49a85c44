import XCTest

@testable import Footpath

/// The bytes of events, written by hand after the protobuf encoding's rules.
final class FrameTests: XCTestCase {
    private func bytes(_ write: (inout Frame) -> Void) -> [UInt8] {
        let (data, problem) = Frame.data(write)
        XCTAssertNil(problem)
        return Array(data ?? Data())
    }

    private func text(_ field: UInt8, _ text: String) -> [UInt8] { message(field, Array(text.utf8)) }

    private func message(_ field: UInt8, _ content: [UInt8]) -> [UInt8] {
        [field << 3 | 2] + varint(UInt64(content.count)) + content
    }

    private func varint(_ value: UInt64) -> [UInt8] {
        value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7f) | 0x80] + varint(value >> 7)
    }

    private func entry(_ field: UInt8, _ key: String, _ value: [UInt8]) -> [UInt8] {
        message(field, text(1, key) + message(2, value))
    }

    func testKnownBytes() {
        // As protoc --encode writes it: name "a", properties { "k": int_value 150 }.
        XCTAssertEqual(
            bytes { $0.event("a", ["k": 150]) },
            [0x1a, 1, 0x61, 0x5a, 8, 0x0a, 1, 0x6b, 0x12, 3, 0x10, 0x96, 0x01])
    }

    func testEveryKindOfValue() {
        let date = Date(timeIntervalSince1970: -0.000001)
        let minusOne = [UInt8](repeating: 0xff, count: 9) + [1]
        let cases: [(Value, [UInt8])] = [
            ("text", text(1, "text")),
            ("", text(1, "")),
            (-1, [0x10] + minusOne),
            (0, [0x10, 0]),
            (1.5, [0x19, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]),
            (.decimal("12.340"), text(4, "12.340")),
            (
                .money("12.50", "EUR"),
                message(5, text(1, "EUR") + [0x10, 12, 0x18] + varint(500_000_000))
            ),
            (
                .money("-0.000000001", "CHF"),
                message(5, text(1, "CHF") + [0x10, 0, 0x18] + minusOne)
            ),
            (true, [0x30, 1]),
            (false, [0x30, 0]),
            (.time(date), message(7, [0x08] + minusOne + [0x10] + varint(999_999_000))),
            ([1, "x"], message(8, message(1, [0x10, 1]) + message(1, text(1, "x")))),
            (["a": [true]], message(9, entry(1, "a", message(8, message(1, [0x30, 1]))))),
        ]
        for (value, expected) in cases {
            XCTAssertEqual(bytes { $0.value(value) }, expected, "\(value)")
        }
    }

    func testAMessageOfAnyLengthGetsItsLength() {
        for length in [0, 1, 120, 121, 122, 123, 124, 125, 126, 127, 128, 1_000, 16_370, 16_384, 70_000] {
            let long = String(repeating: "é", count: length)
            XCTAssertEqual(
                bytes { $0.event("n", ["before": 1, "k": .string(long), "after": 2]) },
                text(3, "n") + entry(11, "before", [0x10, 1]) + entry(11, "k", text(1, long))
                    + entry(11, "after", [0x10, 2]), "\(length)")
        }
    }

    func testAWholeEvent() {
        let changes = Changes(set: ["plan": "pro"], setOnce: ["first": 1], unset: ["old"], add: ["visits": 2])
        let event = Event(
            "paid", ["n": 1], person: Person(userID: "u", anonymousID: "a"),
            time: Date(timeIntervalSince1970: 1.5), sessionID: "s", changes: changes,
            groups: [Group("company", "acme", changes)])
        let change =
            entry(1, "plan", text(1, "pro")) + entry(2, "first", [0x10, 1]) + text(3, "old")
            + message(4, text(1, "visits") + [0x11, 0, 0, 0, 0, 0, 0, 0, 0x40])
        XCTAssertEqual(
            bytes { $0.event(event) },
            text(3, "paid") + message(4, [0x08, 1, 0x10] + varint(500_000_000)) + text(5, "a") + text(6, "u")
                + text(7, "s") + entry(11, "n", [0x10, 1]) + message(13, change)
                + message(14, text(1, "company") + text(2, "acme") + message(3, change)))
    }

    func testAmountsAreReadToTheBillionth() {
        func read(_ text: String) -> String { amount(text).map { "\($0.units) \($0.nanos)" } ?? "-" }
        XCTAssertEqual(read("12.50"), "12 500000000")
        XCTAssertEqual(read("-0.000000001"), "0 -1")
        XCTAssertEqual(read("-3.25"), "-3 -250000000")
        XCTAssertEqual(read("+7"), "7 0")
        XCTAssertEqual(read("-9223372036854775808"), "-9223372036854775808 0")
        XCTAssertEqual(read("9223372036854775807"), "9223372036854775807 0")
        for wrong in ["", "-", ".5", "1.", "1.0000000000", "9223372036854775808", "1e3", "1,5", "--1", "1-", "٣", "1.2.3"] {
            XCTAssertEqual(read(wrong), "-", wrong)
        }
    }

    func testWhatCannotBeWrittenIsSaid() {
        let deep: Value = [[[[[[1]]]]]]
        for value in [.money("x", "EUR"), .time(Date(timeIntervalSince1970: 1e30)), .time(.distantFuture + 1e15), deep] {
            let (data, problem) = Frame.data { $0.event("e", ["k": value]) }
            XCTAssertNil(data)
            XCTAssertNotNil(problem, "\(value)")
        }
        XCTAssertNotNil(Frame.data { $0.value([[[[[1]]]]]) }.0)
    }

    func testPropertiesKeepOrderAndTheLastValue() {
        var properties: Properties = ["b": 1, "a": 2, "b": 3]
        XCTAssertEqual(properties.keys, ["b", "a"])
        XCTAssertEqual(properties["b"], 3)
        properties["a"] = nil
        properties["c"] = true
        XCTAssertEqual(properties.keys, ["b", "c"])
        XCTAssertEqual(Properties(["y": 1, "x": 2]).keys, ["x", "y"])
    }
}
