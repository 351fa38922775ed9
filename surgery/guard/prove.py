"""One model on its way through the passes and the guard."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import onnx

from surgery.graph import read
from surgery.guard import checker, reference
from surgery.guard.changed_nodes import parting
from surgery.guard.onnx_reference import settle
from surgery.guard.partial_run import Parts
from surgery.passes import all_passes, plug_in_checks
from surgery.pipeline.apply import Outcome, Run, apply_passes, bound_original
from surgery.pipeline.context import Context, Options
from surgery.pipeline.rule import Finding, Pass
from verify.errors import CheckFailed
from verify.inputs.draw import load_npz
from verify.report import Check, Report, counted
from verify.run.session import Halt, Session, one_line
from verify.run.timeouts import beside

WORTH_PARTS = (1 << 20, 1 << 30)  # bytes of a file, without its nodes, between which only what differs runs twice
NODE_BYTES = 256  # what a node takes: where there are many and no weights, running twice is quicker than comparing


class Job:
    """One model on its way through the passes and the guard."""

    def __init__(self, model: onnx.ModelProto, source: Any, folder: str, options: Options, run: Run) -> None:
        self.model, self.source, self.folder = model, source, folder
        self.options, self.run = options, run
        self.started = time.perf_counter()
        self.found = reference.Reference(reason="the guard was switched off")
        self.refusal = read.refusal(model)
        self.before = (len(model.graph.node), _bytes(source))
        self.parts: Parts | None = None
        self.loads = False  # whether the fixed model was made ready to run
        self.session: Session | None = None  # it, if it is small enough to be kept

    def work(self, write: Callable[[Outcome], Any]) -> Outcome:
        """Run the passes and the original: only exact passes where it cannot be run.

        Args:
            write: keeps an outcome and gives the fixed model as the runner takes it.
        """
        if self.refusal:
            outcome = Outcome(self.model, [], Context(self.options))
            write(outcome)
            return outcome
        rules: list[Pass] = list(all_passes())
        outcome = apply_passes(self.model, self.folder, rules, self.options)
        if outcome.model is self.model or not self.run.guard:
            write(outcome)
            return outcome
        used = self.used(outcome, rules)
        self.parts = self.parts_of(outcome)
        with beside(self.look) as looking:
            fixed = write(outcome)
            if self.parts is not None:
                shared, folder = reference.weighs_little(self.model), self.folder or None
                session = reference.open_fixed(fixed, "onnxruntime", shared, folder)
                self.loads, self.session = not session.error, session if shared else None
                del session
            self.found = looking.result()
        if not self.found.sets and any(not rule.exact for rule in used):
            outcome = apply_passes(self.model, self.folder, [rule for rule in rules if rule.exact], self.options)
            write(outcome)
        return outcome

    def look(self, halt: Halt) -> reference.Reference:
        """Run the original, with parts of the fixed model where those tell; else, or if it does not run so, alone."""
        if self.parts is not None:
            found = self.look_at_original(halt, self.parts)
            if found.sets or halt.asked:
                return found
            self.parts = None
        return self.look_at_original(halt)

    def parts_of(self, outcome: Outcome) -> Parts | None:
        """Where the fixed model parts from the original, if both are of a size at which that is worth a look."""
        model, context = self.model, outcome.context
        weights = self.before[1] - NODE_BYTES * self.before[0]
        if self.binds() or not WORTH_PARTS[0] <= weights <= WORTH_PARTS[1]:
            return None
        if reference.random_outputs(model) or reference.uses_half(model):
            return None
        found = parting(model, outcome.model, context.renamed_inputs, context.renamed_outputs)
        exact = all(rule.exact for rule in self.used(outcome, all_passes()))
        return None if found is None else Parts(found, model, outcome.model, outcome.types, exact)

    def used(self, outcome: Outcome, rules: Sequence[Pass]) -> list[Pass]:
        """The passes that did something."""
        codes = {finding.code for finding in outcome.applied}
        return [rule for rule in rules if rule.code in codes]

    def look_at_original(self, halt: Halt, parts: Parts | None = None) -> reference.Reference:
        """Run the original."""
        model, source = self.model, self.source
        if self.binds():
            model = source = bound_original(self.model, self.folder, self.options)
        given = self.run.check_inputs
        if given is not None and not isinstance(given, dict):
            given = load_npz(given)
        folder = self.folder or None
        return reference.reference(model, source, given, base_dir=folder, halt=halt, parts=parts)

    def report(self, outcome: Outcome, fixed: Any) -> Report:
        """Compare and sum up; `fixed` gives the fixed model as the runner takes it."""
        report = Report(self.model.graph.name)
        report.findings += outcome.applied
        parity = self.parity(outcome, fixed)
        figures = {
            "nodes_before": self.before[0],
            "nodes_after": len(outcome.model.graph.node),
            "bytes_before": self.before[1],
            "bytes_after": _bytes(fixed()),
            "seconds": round(time.perf_counter() - self.started, 3),
            "passes": dict(Counter(finding.code for finding in outcome.applied)),
            "op_counts": {"before": _operators(self.model), "after": _operators(outcome.model)},
        }
        message = f"left as it is: {self.refusal}" if self.refusal else _said(outcome.applied)
        report.checks.append(Check("surgery", "skip" if self.refusal else "pass", message, figures))
        report.checks += plug_in_checks()
        report.checks += [Check("pass", "skip", trouble) for trouble in outcome.context.troubles]
        report.checks.append(parity)
        report.checks += self.well_formed(outcome, fixed)
        if parity.status == "skip" and self.run.strict and outcome.model is not self.model:
            raise CheckFailed(f"nothing was written: {parity.message}")
        return report

    def well_formed(self, outcome: Outcome, fixed: Any) -> list[Check]:
        """ONNX's own checker on the result, unless nothing changed; a fault the original has too is only noted."""
        if outcome.model is self.model:
            return []
        try:
            checker.check(outcome.model, fixed())
        except Exception as error:
            fault = one_line(error, 200)
            try:
                checker.check(self.model, self.source)
            except Exception:
                return [Check("onnx.checker", "skip", f"neither the original nor the result passes: {fault}")]
            raise CheckFailed(f"nothing was written: the result is not valid ONNX: {fault}") from None
        return [Check("onnx.checker", "pass", "the result is valid ONNX")]

    def parity(self, outcome: Outcome, fixed: Any) -> Check:
        if outcome.model is self.model:
            return Check("parity", "pass", "unchanged, byte for byte")
        if not self.run.guard:
            return Check("parity", "skip", "unchecked: the guard was switched off")
        if not self.found.sets:
            return Check("parity", "skip", f"unchecked: {self.found.reason}; only exact passes were applied")
        check = self.compare(outcome, fixed())
        if not self.binds():
            check = settle(check, self.found, self.model, self.source, lambda f: self.compare(outcome, fixed(), f))
        if check.status == "fail":
            raise CheckFailed(f"nothing was written: {check.message}; {self.culprit()}")
        return check

    def binds(self) -> bool:
        """Whether options change the inputs or outputs, so that the guard runs a changed original."""
        return bool(self.options.set_inputs or self.options.outputs or self.options.input_shapes)

    def compare(self, outcome: Outcome, fixed: Any, found: reference.Reference | None = None) -> Check:
        """Compare `fixed` with `found`, or with what the original gave."""
        session, self.session = self.session, None
        parts, self.parts = self.parts, None
        if parts is not None and self.loads and not parts.trouble:
            return reference.agreed(self.found, parts)
        found = found or self.found
        if session is None or found.backend != "onnxruntime":
            session = reference.open_fixed(fixed, found.backend, found.shared, self.folder or None)
        ready = session
        with beside(lambda halt: self.compared(outcome, found, ready, halt)) as comparing:
            return comparing.result()

    def compared(self, outcome: Outcome, found: reference.Reference, session: Session, halt: Halt) -> Check:
        """Run the whole fixed model on the inputs the original ran on."""
        return reference.compare(
            found,
            session,
            exact=all(rule.exact for rule in self.used(outcome, all_passes())),
            inputs=outcome.context.renamed_inputs,
            outputs=outcome.context.renamed_outputs,
            dropped=tuple(self.options.set_inputs),
            halt=halt,
        )

    def culprit(self) -> str:
        """The first pass of the list with which the result differs, found by halving the list."""
        rules = list(all_passes())
        good, bad = 0, len(rules)
        while bad - good > 1:
            middle = (good + bad) // 2
            outcome = apply_passes(self.model, self.folder, rules[:middle], self.options)
            same = outcome.model is self.model or self.compare(outcome, outcome.model).status == "pass"
            good, bad = (middle, bad) if same else (good, middle)
        return f"it differs since {rules[bad - 1].code} ({rules[bad - 1].name}); try --ignore {rules[bad - 1].code}"


def _bytes(model: Any) -> int:
    """Bytes of a model or of the file it lies in, which is the same and need not be written out to be known."""
    return os.path.getsize(model) if isinstance(model, str) else int(model.ByteSize())


def _said(applied: Sequence[Finding]) -> str:
    """How much was mended of the model as it was given, and how much of what that left."""
    first = sum(finding.details["round"] == 1 for finding in applied)
    later = len(applied) - first
    return f"{counted(first, 'finding')} fixed" + (f", then {later:,} in what that left" if later else "")


def _operators(model: onnx.ModelProto) -> dict[str, int]:
    """How often each operator stands in the main graph."""
    return dict(Counter(f"{node.domain}::{node.op_type}" if node.domain else node.op_type for node in model.graph.node))
