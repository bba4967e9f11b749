"""What a scan says: findings, files, the whole, and their three notations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from python_checks.lua.scan.codes import CODES


@dataclass(frozen=True, order=True)
class Finding:
    """One finding. ``line`` and ``column`` count from 1, columns in characters; ``targets`` are the interpreters it holds for."""

    file: str
    line: int
    column: int
    code: str
    targets: tuple[str, ...]
    why: str
    fix: str

    def sentence(self) -> str:
        """One line for people: place, code, targets, why, and what to do."""
        return f"{self.file}:{self.line}:{self.column}: {self.code} [{', '.join(self.targets)}] {self.why}; fix: {self.fix}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "line": self.line,
            "column": self.column,
            "code": self.code,
            "targets": list(self.targets),
            "why": self.why,
            "fix": self.fix,
        }


@dataclass(frozen=True)
class FileReport:
    """One file. ``loads`` is each interpreter's own message (empty: it compiles); ``not_judged`` says what kept a rule from judging."""

    file: str
    sha256: str
    loads: dict[str, str]
    findings: tuple[Finding, ...]
    not_judged: str = ""

    @property
    def is_clean(self) -> bool:
        """Compiles on every target, was judged whole, and nothing was found."""
        return not self.findings and not self.not_judged and bool(self.loads) and not any(self.loads.values())


@dataclass(frozen=True)
class Report:
    """All files of one scan."""

    targets: tuple[str, ...]
    files: tuple[FileReport, ...]
    problems: tuple[str, ...] = field(default=())

    @property
    def findings(self) -> list[Finding]:
        """All findings, by file and place."""
        return [finding for file in self.files for finding in file.findings]

    @property
    def not_judged(self) -> list[str]:
        """Sentences about what could not be judged."""
        return [f"{f.file}: {f.not_judged}" for f in self.files if f.not_judged] + list(self.problems)

    @property
    def is_clean(self) -> bool:
        """At least one file, and all of them clean."""
        return bool(self.files) and not self.problems and all(file.is_clean for file in self.files)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "targets": list(self.targets),
            "clean": self.is_clean,
            "files": [
                {
                    "file": f.file,
                    "sha256": f.sha256,
                    "loads": {target: not message for target, message in f.loads.items()},
                    "clean": f.is_clean,
                    "findings": [finding.as_dict() for finding in f.findings],
                    "not_judged": f.not_judged,
                }
                for f in self.files
            ],
            "not_judged": self.not_judged,
        }

    def lines(self) -> Iterable[str]:
        """For people."""
        for finding in self.findings:
            yield finding.sentence()
        for sentence in self.not_judged:
            yield f"not judged: {sentence}"
        word = "clean" if self.is_clean else f"{len(self.findings)} findings" if self.findings else "could not judge"
        yield f"{word}: {len(self.files)} files for {', '.join(self.targets)}"

    def sarif(self) -> dict[str, Any]:
        """SARIF 2.1.0, one run; what could not be judged are notifications of the tool."""
        rules = sorted({finding.code for finding in self.findings})
        return {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {"driver": {"name": "rollout lua scan", "rules": [_rule(code) for code in rules]}},
                    "columnKind": "unicodeCodePoints",
                    "invocations": [
                        {
                            "executionSuccessful": not self.not_judged,
                            "toolExecutionNotifications": [
                                {"level": "error", "message": {"text": text}} for text in self.not_judged
                            ],
                        }
                    ],
                    "results": [_result(finding, rules.index(finding.code)) for finding in self.findings],
                }
            ],
        }


def _rule(code: str) -> dict[str, Any]:
    row = CODES[code]
    rule: dict[str, Any] = {
        "id": code,
        "shortDescription": {"text": row.title},
        "defaultConfiguration": {"level": row.level},
    }
    if row.fix:
        rule["help"] = {"text": row.fix}
    return rule


def _result(finding: Finding, rule_index: int) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": quote(finding.file)}, "region": _region(finding)}
    return {
        "ruleId": finding.code,
        "ruleIndex": rule_index,
        "level": CODES[finding.code].level,
        "message": {"text": f"{finding.why}; fix: {finding.fix}"},
        "locations": [{"physicalLocation": place}],
        "properties": {"targets": list(finding.targets)},
    }


def _region(finding: Finding) -> dict[str, int]:
    return {"startLine": finding.line, "startColumn": finding.column}
