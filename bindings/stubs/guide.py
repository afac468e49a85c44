"""Checks that every block of code in docs/backends-from-stubs.md stands in the example that test.sh has run, letter by letter."""

import pathlib
import re
import sys
import textwrap

HERE = pathlib.Path(__file__).resolve().parent
GUIDE = HERE.parents[1] / "docs" / "backends-from-stubs.md"
FILES = {
    "go": ["go/main.go"],
    "java": ["java/src/main/java/Shop.java"],
    "js": ["node/shop.js"],
    "xml": ["java/pom.xml"],
    "yaml": ["go/buf.gen.yaml", "node/buf.gen.yaml"],
}
LEAST = {"go": 3, "java": 3, "js": 3, "xml": 1, "yaml": 2}

blocks = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)
found = dict.fromkeys(FILES, 0)
wrong = []
for language, block in blocks:
    if language == "sh":
        continue
    if language not in FILES:
        wrong.append(f"a block of {language or 'no language'}")
        continue
    found[language] += 1
    # Methods are shown without the indentation that they have in their class.
    indents = [" " * n for n in (0, 4, 12)]
    texts = [(HERE / name).read_text() for name in FILES[language]]
    if not any(textwrap.indent(block, indent) in text for indent in indents for text in texts):
        wrong.append(f"a block of {language} that is not in {FILES[language]}:\n{block}")
wrong += [f"{found[language]} blocks of {language}, there should be {least}" for language, least in LEAST.items() if found[language] < least]
if wrong:
    sys.exit("docs/backends-from-stubs.md has " + "\n".join(wrong))
print(f"the guide's {sum(found.values())} blocks are the code that ran")
