import Foundation

/// How carefully an event is kept until the server has it.
public enum Delivery: UInt8, Sendable {
    /// On the disk before its receipt says so. The last to go, and never for the sake of others.
    case critical = 1
    /// In memory that outlives the process at once, on the disk soon after.
    case normal = 2
    /// As normal, but the first to go when space is short.
    case lossy = 3
}

/// Whose event it is, where the client does not know: a backend names a person with every call.
public struct Person: Sendable, Equatable {
    /// The device's own id for its user before a login.
    public var anonymousID: String?
    /// The application's id for a known user.
    public var userID: String?

    public init(userID: String? = nil, anonymousID: String? = nil) {
        self.userID = userID
        self.anonymousID = anonymousID
    }

    /// A known user.
    public static func user(_ id: String) -> Person { Person(userID: id) }
    /// Somebody who is known by a device only.
    public static func anonymous(_ id: String) -> Person { Person(anonymousID: id) }
}

/// A group that a person belongs to, and changes to its properties.
public struct Group: Sendable, Equatable {
    /// For example "company".
    public var kind: String
    /// The group's id.
    public var id: String
    /// Changes to the group's properties.
    public var changes: Changes

    public init(_ kind: String, _ id: String, _ changes: Changes = Changes()) {
        self.kind = kind
        self.id = id
        self.changes = changes
    }
}

/// An event with everything that one can say of it. Most events need no more than `track(name, properties)`.
public struct Event: Sendable, Equatable {
    /// 1 to 255 bytes; names that begin with "$" are reserved.
    public var name: String
    /// What is known of it.
    public var properties: Properties
    /// Whose it is; by default the client's own person.
    public var person: Person?
    /// When it happened; by default now.
    public var time: Date?
    /// The visit it belongs to, where the application follows visits itself.
    public var sessionID: String?
    /// Changes to the person's properties.
    public var changes: Changes
    /// Groups of the person, at most five.
    public var groups: [Group]

    public init(
        _ name: String, _ properties: Properties = [:], person: Person? = nil, time: Date? = nil,
        sessionID: String? = nil, changes: Changes = Changes(), groups: [Group] = []
    ) {
        self.name = name
        self.properties = properties
        self.person = person
        self.time = time
        self.sessionID = sessionID
        self.changes = changes
        self.groups = groups
    }
}
