"""Brings the tiers to what they should say, one flag at a time.

Others act meanwhile: operators, and this function a second time. So a row is written only over an older one,
together with its audit record; and after a parameter was written, its version tells whether somebody else
wrote it between the look and the write, whose value is then judged, and put again where it counts.

A switch's parameter is only ever written to say on. Parameter Store has no conditional write and gives every
value a new moment, so an off from here would be newer than the kill that came a moment before it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lambdas.audit_record import AuditTrail, Change
from lambdas.flag_row import FlagRow
from lambdas.flag_update.declaration import ON, Declaration, InvalidValueError, told
from lambdas.flag_update.judgement import (
    Evidence,
    Held,
    InForce,
    Refusal,
    Version,
    goes_to_the_table,
    judge,
    parameter_goes_first,
)
from lambdas.flag_update.parameters import FlagParameters
from lambdas.flag_update.table import TableContent

ATTEMPTS = 5
"""Looks at a parameter that others keep writing to; the next run goes on."""

REFUSED, REPLICATED, FAILURES = "Refused", "Replicated", "Failures"


class RestlessError(Exception):
    """A parameter that was written by others at every look."""


@dataclass
class _Flag:
    """What is known and done of one flag in this run."""

    declaration: Declaration
    held: Held | None
    evidence: Evidence
    ours: set[int] = field(default_factory=set)
    """Versions of the parameter that this run wrote."""
    reported: set[int] = field(default_factory=set)
    """Versions of the parameter whose refusal this run reported."""

    @property
    def name(self) -> str:
        return self.declaration.name

    def to_judge(self, versions: Sequence[Version]) -> Sequence[Version]:
        """The versions that may be in force: of a switch all, as replicas do."""
        if self.declaration.is_switch:
            return versions
        return [version for version in versions if version.number not in self.ours]

    def reads(self, text: str) -> str | None:
        """The value of a text, None where it has none."""
        try:
            return self.declaration.read(text)
        except InvalidValueError:
            return None


class Reconciliation:
    """One run. `author` is the ARN that stands in records of what the function does by itself.

    `read_table` reads the table that `table` names.
    """

    def __init__(
        self,
        *,
        parameters: FlagParameters,
        read_table: Callable[[], TableContent],
        trail: AuditTrail,
        table: str,
        author: str,
        now_ms: int,
    ) -> None:
        self._parameters = parameters
        self._read_table = read_table
        self._trail = trail
        self._table = table
        self._author = author
        self._now_ms = now_ms
        self.counts: Counter[str] = Counter({REFUSED: 0, REPLICATED: 0, FAILURES: 0})
        self.rows: dict[str, FlagRow] = {}
        """What the table holds after the run, where a reader can rely on it."""

    def run(
        self, declarations: Mapping[str, Declaration], texts: Mapping[str, str], content: TableContent
    ) -> None:
        """Settle every flag; one that fails is reported and does not keep the others."""
        for name in sorted(texts.keys() - declarations.keys()):
            log("flag unknown", flag=name[:100], remedy="remove the parameter; it does nothing")
        in_force: dict[str, str] = {}
        for declaration in declarations.values():
            row = content.row(declaration, now_ms=self._now_ms)
            if row is not None:
                self.rows[row.flag] = row
            flag = _Flag(
                declaration=declaration,
                held=content.held(declaration, now_ms=self._now_ms),
                evidence=_evidence(declaration, content, in_force, declarations),
            )
            try:
                in_force[flag.name] = self._settle(flag, texts.get(flag.name))
            except Exception as error:
                self.failed(f"flag {flag.name}", error)

    def failed(self, what: str, error: Exception) -> None:
        """Count and log a failure."""
        self.counts[FAILURES] += 1
        log("flag update failed", what=what, reason=f"{type(error).__name__}: {error}")

    def _settle(self, flag: _Flag, text: str | None) -> str:
        """The value that is in force in the end."""
        held = flag.held
        if text is None:
            return self._create(flag)
        if held is not None and held.is_sound and flag.reads(text) == held.value:
            return flag.reads(text) or flag.declaration.default
        for _attempt in range(ATTEMPTS):
            in_force, settled = self._step(flag)
            if settled:
                return in_force
        raise RestlessError(f"its parameter was written by others {ATTEMPTS} times; the next run goes on")

    def _create(self, flag: _Flag) -> str:
        """Make a parameter that is gone; never one that turns a switch off, for nobody asked for that.

        It may have been on and deleted before anything but replicas saw it; off would be the newer change.
        """
        held = flag.held
        value = held.value if held is not None and held.value is not None else flag.declaration.default
        if flag.declaration.is_switch and value != ON:
            log("flag gone", flag=flag.name, remedy=f"put {value}, or on; without it the table counts")
            return value
        if self._parameters.create(flag.name, value, flag.declaration.meaning):
            log("flag created again", flag=flag.name, value=value)
            self._record(flag, "repaired", "", value, "its parameter was gone", who=self._author)
        return value

    def _step(self, flag: _Flag) -> tuple[str, bool]:
        """Look at the parameter's history once, and write what it takes: value, and whether that was all."""
        versions = self._parameters.history(flag.name)
        current = versions[-1]
        judgement = judge(flag.declaration, flag.held, flag.to_judge(versions), flag.evidence)
        in_force, said = judgement.in_force, flag.reads(current.text)
        if said == in_force.value and in_force.version is None:
            in_force = replace(in_force, version=current)
        if goes_to_the_table(flag.held, in_force) and not self._replicate(flag, in_force):
            self._look_at_the_table(flag)
            return in_force.value, False
        if judgement.refusal is not None:
            self._refuse(flag, judgement.refusal, in_force.value)
        if said == in_force.value:
            return in_force.value, True
        repair = self._repair(flag, current, in_force.value) if judgement.refusal is None else None
        value = in_force.value if repair is None else repair.after
        if flag.declaration.is_switch and value != ON:
            if repair is not None:
                log("flag left alone", flag=flag.name, value=repair.before, in_force=value, remedy="put off")
            return value, True
        if repair is not None:
            self._trail.append(repair)
            log("flag repaired", flag=flag.name, value=value, before=repair.before, reason=repair.why)
        written = self._parameters.put(flag.name, value)
        flag.ours.add(written)
        return value, written == current.number + 1

    def _look_at_the_table(self, flag: _Flag) -> None:
        """Look again at what the table holds of a flag."""
        content = self._read_table()
        flag.held = content.held(flag.declaration, now_ms=self._now_ms)
        row = content.row(flag.declaration, now_ms=self._now_ms)
        if row is not None:
            self.rows[flag.name] = row

    def _replicate(self, flag: _Flag, in_force: InForce) -> bool:
        """Write what the parameter says to the table; False where somebody else wrote there meanwhile."""
        held, version = flag.held, in_force.version
        assert version is not None  # noqa: S101 - what goes to the table comes from the parameter
        why = f"version {version.number} of the parameter"
        row = FlagRow(
            flag=flag.name,
            value=in_force.value,
            changed_at_ms=version.changed_at_ms,
            changed_by=version.changed_by,
            why=why,
        )
        before = "" if held is None else told(held.text)
        change = self._change(flag, "in-force", before, row.value, why, who=version.changed_by)
        unreadable = "" if held is None or held.value is not None else held.text
        if not self._trail.append_with(
            change, row.put(self._table, now_ms=self._now_ms, unreadable=unreadable)
        ):
            log("flag overtaken", flag=flag.name, reason="the table holds something newer by now")
            return False
        self.counts[REPLICATED] += 1
        self.rows[flag.name] = row
        flag.held = Held(
            text=row.value,
            value=row.value,
            changed_at_ms=row.changed_at_ms,
            changed_by=row.changed_by,
        )
        log("flag replicated", flag=flag.name, value=row.value, version=version.number)
        return True

    def _refuse(self, flag: _Flag, refusal: Refusal, in_force: str) -> None:
        version = refusal.version
        if version.number in flag.reported:
            return
        flag.reported.add(version.number)
        why = f"version {version.number} of the parameter: {refusal.reason}"
        self._record(flag, "refused", in_force, told(version.text), why, who=version.changed_by)
        self.counts[REFUSED] += 1
        log(
            "flag refused",
            flag=flag.name,
            value=told(version.text),
            reason=refusal.reason,
            in_force=in_force,
            version=version.number,
            changed_by=version.changed_by,
        )

    def _repair(self, flag: _Flag, current: Version, in_force: str) -> Change:
        """Why the parameter is to be written over, and with what."""
        held, who, value = flag.held, self._author, in_force
        if current.number in flag.ours or held is None:
            why = f"version {current.number} of the parameter was written over a valid one"
        elif parameter_goes_first(flag.declaration, current, held):
            value = flag.declaration.read(current.text)
            who, why = current.changed_by, f"the table held {told(held.text)!r} without an older moment"
        else:
            who, why = held.changed_by, f"newer in the table than version {current.number} of the parameter"
        return self._change(flag, "repaired", told(current.text), value, why, who=who)

    def _record(self, flag: _Flag, action: str, before: str, after: str, why: str, *, who: str) -> None:
        self._trail.append(self._change(flag, action, before, after, why, who=who))

    def _change(self, flag: _Flag, action: str, before: str, after: str, why: str, *, who: str) -> Change:
        return Change(
            subject=f"flag#{flag.name}",
            who=who or self._author,
            how="replication",
            action=action,
            before=before,
            after=after,
            why=why,
        )


def _evidence(
    declaration: Declaration,
    content: TableContent,
    in_force: Mapping[str, str],
    declarations: Mapping[str, Declaration],
) -> Evidence:
    needed = {
        value: int(in_force.get(flag, declarations[flag].default))
        for value, flag in declaration.evidence.items()
    }
    return Evidence(counted=content.decisions.get(declaration.name, {}), needed=needed)


def log(event: str, **fields: object) -> None:
    """Print one line of JSON."""
    print(json.dumps({"event": event, **fields}, ensure_ascii=False))
