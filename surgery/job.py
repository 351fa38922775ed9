"""One model on its way through the passes and the guard."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import onnx

from surgery import guard, importer
from surgery.begun import Begun
from surgery.context import Context, Options
from surgery.operating import Outcome, Run, bound_original, operate
from surgery.passes import all_passes
from surgery.rule import Finding, Pass
from surgery.second_opinion import settle
from verify.errors import FoundWanting
from verify.inputs import load_npz
from verify.report import Check, Report, counted
from verify.runner import Halt, one_line

AHEAD = (1 << 20, 512 << 20)  # bytes of a file between which the original runs beside the passes


class Job:
    """One model on its way through the passes and the guard."""

    def __init__(self, model: onnx.ModelProto, source: Any, folder: str, options: Options, run: Run) -> None:
        self.model, self.source, self.folder = model, source, folder
        self.options, self.run = options, run
        self.started = time.perf_counter()
        self.found = guard.Reference(reason="the guard was switched off")
        self.refusal = importer.refusal(model)
        self.before = (len(model.graph.node), _bytes(source))
        self.first: SimpleQueue[dict[str, Any] | None] | None = None
        self.begun: Begun | None = None

    def work(self, write: Callable[[Outcome], Any]) -> Outcome:
        """Run the original and the passes: only exact ones where it cannot be run.

        Args:
            write: keeps an outcome and gives the fixed model as the runner takes it.
        """
        if self.refusal:
            outcome = Outcome(self.model, [], Context(self.options))
            write(outcome)
            return outcome
        with self.ahead() as look:
            rules: list[Pass] = list(all_passes())
            outcome = operate(self.model, self.folder, rules, self.options)
            fixed = write(outcome)
            if outcome.model is self.model or not self.run.guard:
                return outcome
            trust = bool(outcome.context.believed) or any(rule.kind == "trusted" for rule in self.used(outcome, rules))
            if not trust:
                self.begin(outcome, fixed)
            self.found = look(trust)
            if not self.found.sets:
                self.stop()
        if not self.found.sets and any(not rule.exact for rule in self.used(outcome, rules)):
            outcome = operate(self.model, self.folder, [rule for rule in rules if rule.exact], self.options)
            write(outcome)
        return outcome

    @contextmanager
    def ahead(self) -> Iterator[Callable[[bool], guard.Reference]]:
        """What runs the original. One of some size, but not large, is started now, beside the passes."""
        mine = self.run.guard and not self.options.trust_declared_shapes and not self.binds()
        if not mine or not AHEAD[0] <= self.before[1] <= AHEAD[1]:
            yield self.look_at_original
            return
        halt = Halt()
        first: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self.first = first
        with ThreadPoolExecutor(1) as pool:
            early = pool.submit(self.look_at_original, False, halt, first)
            early.add_done_callback(lambda _: first.put(None))
            try:
                yield lambda trust: self.look_at_original(trust) if trust else early.result()
            except BaseException:
                self.stop()
                raise
            finally:
                halt.ask()

    def begin(self, outcome: Outcome, fixed: Any) -> None:
        """Run the fixed model beside the original, where that runs beside the passes."""
        if self.first is None:
            return
        shared, folder = guard.weighs_little(self.model), self.folder or None
        self.begun = Begun(
            lambda: guard.open_fixed(fixed, "onnxruntime", shared, folder),
            self.first,
            lambda values: guard.fed(values, outcome.context.renamed_inputs, ()),
        )

    def stop(self) -> None:
        """End the run of the fixed model that has begun, if any."""
        if self.begun is not None:
            self.begun.stop()
            self.begun = None

    def used(self, outcome: Outcome, rules: Sequence[Pass]) -> list[Pass]:
        """The passes that did something."""
        codes = {finding.code for finding in outcome.applied}
        return [rule for rule in rules if rule.code in codes]

    def look_at_original(
        self, trust: bool, halt: Halt | None = None, first: SimpleQueue[Any] | None = None
    ) -> guard.Reference:
        """Run the original; with `trust`, only on inputs that give the output shapes it declares."""
        model, source = self.model, self.source
        if self.binds():
            model = source = bound_original(self.model, self.folder, self.options)
        given = self.run.check_inputs
        if given is not None and not isinstance(given, dict):
            given = load_npz(given)
        folder = self.folder or None
        return guard.reference(
            model, source, given, base_dir=folder, trust_declared_shapes=trust, halt=halt, first=first
        )

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
        report.checks += [Check("pass", "skip", trouble) for trouble in outcome.context.troubles]
        report.checks.append(parity)
        report.checks += self.well_formed(outcome, fixed)
        if parity.status == "skip" and self.run.strict and outcome.model is not self.model:
            raise FoundWanting(f"nothing was written: {parity.message}")
        return report

    def well_formed(self, outcome: Outcome, fixed: Any) -> list[Check]:
        """ONNX's own checker on the result, unless nothing changed; a fault the original has too is only noted."""
        if outcome.model is self.model:
            return []
        try:
            onnx.checker.check_model(fixed())
        except Exception as error:
            fault = one_line(error, 200)
            try:
                onnx.checker.check_model(self.source)
            except Exception:
                return [Check("onnx.checker", "skip", f"neither the original nor the result passes: {fault}")]
            raise FoundWanting(f"nothing was written: the result is not valid ONNX: {fault}") from None
        return [Check("onnx.checker", "pass", "the result is valid ONNX")]

    def parity(self, outcome: Outcome, fixed: Any) -> Check:
        if outcome.model is self.model:
            return Check("parity", "pass", "unchanged, byte for byte")
        if not self.run.guard:
            return Check("parity", "skip", "unchecked: the guard was switched off")
        if not self.found.sets:
            return Check("parity", "skip", f"unchecked: {self.found.reason}; only exact passes were applied")
        try:
            check = self.compare(outcome, fixed())
        finally:
            self.stop()
        if not self.binds():
            check = settle(check, self.found, self.model, self.source, lambda f: self.compare(outcome, fixed(), f))
        if check.status == "fail":
            raise FoundWanting(f"nothing was written: {check.message}; {self.culprit()}")
        return check

    def binds(self) -> bool:
        """Whether options change the inputs or outputs, so that the guard runs a changed original."""
        return bool(self.options.set_inputs or self.options.outputs or self.options.input_shapes)

    def compare(self, outcome: Outcome, fixed: Any, found: guard.Reference | None = None) -> Check:
        """Compare `fixed` with `found`, or with what the original gave."""
        found = found or self.found
        session: guard.Runs | None = self.begun if found.backend == "onnxruntime" else None
        if session is None:
            session = guard.open_fixed(fixed, found.backend, found.shared, self.folder or None)
        return guard.compare(
            found,
            session,
            exact=all(rule.exact for rule in self.used(outcome, all_passes())),
            inputs=outcome.context.renamed_inputs,
            outputs=outcome.context.renamed_outputs,
            dropped=tuple(self.options.set_inputs),
        )

    def culprit(self) -> str:
        """The first pass of the list with which the result differs, found by halving the list."""
        rules = list(all_passes())
        good, bad = 0, len(rules)
        while bad - good > 1:
            middle = (good + bad) // 2
            outcome = operate(self.model, self.folder, rules[:middle], self.options)
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
