#!/bin/sh
# Lets the compiler look at what is written for Apple's systems, on Linux: with stand-ins for what is missing, conditions turned
# round, and without the Keychain. It finds wrong types and data races; what Apple's SDK would say, it cannot know.
# Called by build.sh, in bindings/swift, after a debug build, with the folder of the sample app.
set -eu
sample=$1
work=.build/apple
rm -rf "$work"
mkdir -p "$work/src"
cp Sources/Footpath/*.swift Sources/Footpath/Apple/*.swift "$work/src"
rm "$work/src/KeychainStore.swift"
sed -i \
    -e 's/#if !(canImport(UIKit) && os(iOS))/#if false/' \
    -e 's/#if canImport(UIKit) && os(iOS)/#if true/' \
    -e 's/#if !canImport(Darwin)/#if false/' -e 's/#if canImport(Darwin)/#if true/' \
    -e 's/#if os(iOS)/#if true/' \
    -e 's/^ *import Darwin/import UIKit/' \
    -e 's/\.background(withIdentifier/.standIn(withIdentifier/' "$work"/src/*.swift
sed -i '1i import UIKit' "$work/src/BackgroundUploads.swift"
swiftc -emit-module -module-name UIKit Tests/AppleStandIns/UIKit.swift -o "$work/UIKit.swiftmodule"
swiftc -wmo -emit-sil -swift-version 6 -warnings-as-errors -module-name Footpath -o /dev/null \
    -I "$work" -I .build/debug/Modules -I Sources/footpathFFI/include "$work"/src/*.swift

# The sample app and its extension, against what was just checked.
cp Tests/AppleStandIns/KeychainStore.swift "$work/src"
modules="-I $work -I .build/debug/Modules -I Sources/footpathFFI/include"
swiftc -emit-module -module-name SwiftUI -I "$work" Tests/AppleStandIns/SwiftUI.swift -o "$work/SwiftUI.swiftmodule"
# shellcheck disable=SC2086
swiftc -wmo -emit-module -swift-version 6 -module-name Footpath -o "$work/Footpath.swiftmodule" $modules "$work"/src/*.swift
for part in App Share; do
    # shellcheck disable=SC2086
    swiftc -wmo -parse-as-library -emit-sil -swift-version 6 -warnings-as-errors -module-name Sample -o /dev/null $modules \
        "$sample/$part"/*.swift "$sample"/Shared/*.swift
done
