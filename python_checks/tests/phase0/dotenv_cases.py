"""Lines of an environment file, and what systemd and python-dotenv make of them.

``(name, text, value by systemd, value by python-dotenv)`` for the key FLAG; None = not set. The systemd column was observed on
systemd 252 (`systemd-run -p EnvironmentFile=`), the other on python-dotenv 1.2.4; test_phase0_world.py asks the world's systemd again.
"""

from __future__ import annotations

CASES: list[tuple[str, str, str | None, str | None]] = [
    ("plain", "FLAG=true\n", "true", "true"),
    ("no newline at the end", "FLAG=true", "true", "true"),
    ("other case", "FLAG=TRUE\n", "TRUE", "TRUE"),
    ("blanks around", "  FLAG = true  \n", "true", "true"),
    ("double quotes", 'FLAG="true"\n', "true", "true"),
    ("single quotes", "FLAG='true'\n", "true", "true"),
    ("blanks in quotes", 'FLAG=" true "\n', " true ", " true "),
    ("windows line ends", "A=1\r\nFLAG=true\r\nB=2\r\n", "true", "true"),
    ("empty", "FLAG=\n", "", ""),
    ("absent", "A=1\n", None, None),
    ("another key that starts alike", "FLAGS=true\nMY_FLAG=true\n", None, None),
    ("comment", "#FLAG=true\n", None, None),
    ("comment with a semicolon", ";A=1\nFLAG=true\n", "true", "true"),
    ("twice, the last counts", "FLAG=true\nFLAG=false\n", "false", "false"),
    ("export is python-dotenv's alone", "export FLAG=true\n", None, "true"),
    ("inline comment is python-dotenv's alone", "FLAG=true # on\n", "true # on", "true"),
    ("a hash without a blank belongs to the value", "FLAG=true#on\n", "true#on", "true#on"),
    ("inside another key's quotes", 'A="x\nFLAG=true\n"\n', None, None),
    ("after another key's quotes", 'A="x\ny"\nFLAG=true\n', "true", "true"),
    ("after a line without an equals sign", "nonsense\nFLAG=true\n", "true", "true"),
    ("after a blank line and blanks", "\n   \n\tFLAG=true\n", "true", "true"),
    ("quotes in the middle", 'FLAG=tr"ue"\n', 'tr"ue"', 'tr"ue"'),
    ("a dollar is a dollar", "FLAG=$X\n", "$X", "$X"),
    ("a comment that ends in a backslash drags on", "#x \\\nFLAG=true\n", None, "true"),
    ("a continued line", "FLAG=tr\\\nue\n", "true", "tr\\"),
    ("an escaped blank", "FLAG=a\\ b\n", "a b", "a\\ b"),
    ("text after the quotes", 'FLAG="tr"ue\n', "true", None),
    ("escapes in double quotes", 'FLAG="a\\"b\\nc"\n', 'a"b\\nc', 'a"b\nc'),
    ("a continued line in quotes", 'FLAG="a\\\nb"\n', "ab", "a\\\nb"),
    ("a backslash in single quotes", "FLAG='a\\b'\n", "a\\b", "a\\b"),
    ("two quoted parts", 'FLAG="a" "b"\n', "ab", None),
    ("an old Mac's line end", "FLAG=true\rX=1\n", "true", "true"),
    ("a blank in another key", "A B=1\nFLAG=true\n", "true", "true"),
    ("an unclosed quote", 'FLAG="true\n', "true\n", None),
    ("tabs around the value", "FLAG=\ttrue\t\n", "true", "true"),
]
