// Never compiled by the project's own tests, which run on Linux: there is no Keychain. Keep it small.
#if canImport(Security) && canImport(Darwin)
    import Foundation
    import Security

    /// Keeps the queue's keys in the Keychain, on this device only and from the first unlock after a start on.
    public struct KeychainStore: KeyStore {
        private let service: String
        private let accessGroup: String?

        /// `service` names the app's entries; two clients with queues of their own need two names. An app and an extension
        /// whose batches it sends need the same one, in a Keychain access group that both have.
        public init(service: String = "footpath", accessGroup: String? = nil) {
            (self.service, self.accessGroup) = (service, accessGroup)
        }

        public func find(_ id: String) throws -> Data? {
            var query = entry(id)
            query[kSecReturnData as String] = true
            query[kSecMatchLimit as String] = kSecMatchLimitOne
            var found: CFTypeRef?
            switch SecItemCopyMatching(query as CFDictionary, &found) {
            case errSecSuccess: return found as? Data
            // Proven to be gone. A locked device answers errSecInteractionNotAllowed instead.
            case errSecItemNotFound: return nil
            case let status: throw KeychainFailure(status: status)
            }
        }

        public func make(_ id: String) throws -> Data {
            if let key = try find(id) { return key }
            var bytes = [UInt8](repeating: 0, count: 32)
            let random = SecRandomCopyBytes(kSecRandomDefault, bytes.count, &bytes)
            guard random == errSecSuccess else { throw KeychainFailure(status: random) }
            var item = entry(id)
            item[kSecValueData as String] = Data(bytes)
            item[kSecAttrAccessible as String] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
            switch SecItemAdd(item as CFDictionary, nil) {
            case errSecSuccess: return Data(bytes)
            // Another process of the app was first.
            case errSecDuplicateItem:
                guard let key = try find(id) else { throw KeychainFailure(status: errSecDuplicateItem) }
                return key
            case let status: throw KeychainFailure(status: status)
            }
        }

        public func destroy(_ id: String) throws {
            let status = SecItemDelete(entry(id) as CFDictionary)
            guard status == errSecSuccess || status == errSecItemNotFound else { throw KeychainFailure(status: status) }
        }

        private func entry(_ id: String) -> [String: Any] {
            var entry: [String: Any] = [
                kSecClass as String: kSecClassGenericPassword,
                kSecAttrService as String: service,
                kSecAttrAccount as String: id,
                kSecUseDataProtectionKeychain as String: true,
            ]
            if let accessGroup { entry[kSecAttrAccessGroup as String] = accessGroup }
            return entry
        }
    }

    /// The Keychain refused.
    struct KeychainFailure: Error, CustomStringConvertible {
        let status: OSStatus
        var description: String { "the Keychain answered \(status)" }
    }
#endif
