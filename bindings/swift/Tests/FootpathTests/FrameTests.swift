import XCTest

@testable import Footpath

final class FrameTests: XCTestCase {
    func testNothing() {}
}
