"""A run kept in one folder: its plan version, staged tables, attempts, reports. `run.json` is its state."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import TypeAdapter

from engine.binding.score import Model, chosen
from engine.errors import CompileError, Conflict, NotFound
from engine.mapping import Adviser, adviser
from engine.pipeline import (
    Attempt,
    Request,
    SheetInput,
    Status,
    attempt,
    bound_inputs,
    revise,
)
from engine.policy import Policy, WhenInvalid
from engine.proposal import Decision, Verdict, meant
from engine.results import results
from engine.sandbox import Progress
from engine.settings import from_environment
from engine.tables import Box, InputFile, Tables, read, said
from plans.document import dump
from plans.plan import Read
from plans.versions import PlanVersion

Report = Callable[[Progress], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderRun:
    """What a run without a server remembers."""

    published: PlanVersion  #: the last version a person gave or approved
    request: Request
    tables: Tables
    attempt: Attempt
    safe: bool
    files: tuple[InputFile, ...] = ()
    given: Read = field(default_factory=Read)
    decisions: tuple[Decision, ...] = ()

    @property
    def status(self) -> Status:
        """Where the last attempt ended."""
        return self.attempt.status


_RUN = TypeAdapter(FolderRun)


def box(folder: Path, files: Sequence[Path], progress: Report | None = None) -> Box:
    """Children may read these files and write below `folder`."""
    return Box(folder=folder.resolve(), readable=_absolute(files), progress=progress)


def inputs(files: Sequence[Path]) -> tuple[InputFile, ...]:
    """The files by their names."""
    return tuple(InputFile(name=each.name, path=each.resolve()) for each in files)


def start(
    version: PlanVersion,
    files: Sequence[Path],
    out: Path,
    *,
    policy: Policy,
    mapping: dict[str, str | int],
    read: Read,
    safe: bool,
    progress: Report | None,
) -> FolderRun:
    """Read the files and try the plan; Conflict when the folder holds something already."""
    if out.exists() and any(out.iterdir()):
        raise Conflict(f"the folder {out} is not empty: give another --out, or empty it first")
    request = Request(policy=policy, mapping=_mapping(version, mapping))
    out.mkdir(parents=True, exist_ok=True)
    try:
        work = box(out, files, progress)
        tables = _read(version, files, given=read, box=work)
        made = attempt(
            version, tables, request=request, box=work, adviser=_adviser(), weights=_weights()
        )
    except BaseException:
        shutil.rmtree(out)
        raise
    run = FolderRun(
        published=version,
        request=request,
        tables=tables,
        attempt=made,
        safe=safe,
        files=inputs(files),
        given=read,
    )
    return _keep(run, out, work)


def decide(
    out: Path,
    *,
    verdict: str,
    answers: dict[str, str],
    without: tuple[str, ...],
    reason: str,
    progress: Report | None,
) -> FolderRun:
    """Decide on the open proposal and try the revised plan on what is staged already."""
    run = load(out)
    proposal = run.attempt.proposal
    if run.status is not Status.NEEDS_ATTENTION or proposal is None:
        raise Conflict(f"the run in {out} is {run.status}: nothing waits for a decision")
    decision = Decision(
        etag=proposal.etag,
        verdict=Verdict(verdict),
        answers=answers,
        without=without,
        actor="cli",
        reason=reason,
    )
    decision = meant(proposal, decision)
    version = revise(run.attempt.version, proposal, decision)
    run = replace(run, decisions=(*run.decisions, decision))
    work = box(out, [each.path for each in run.tables.staged], progress)
    if decision.verdict is Verdict.REJECT:
        ended = replace(
            run.attempt, status=Status.FAILED, reason=decision.reason or "rejected", proposal=None
        )
        return _keep(replace(run, attempt=ended), out, work)
    request = run.request
    if decision.verdict is Verdict.TAKE_VALID:
        policy = request.policy.model_copy(update={"when_invalid": WhenInvalid.TAKE_VALID})
        request = replace(request, policy=policy)
    if run.tables.reads != said(version.plan, run.given):
        work = box(out, [each.path for each in run.files], progress)
        tables = _read(version, [each.path for each in run.files], given=run.given, box=work)
        run = replace(run, tables=tables)
    made = attempt(
        version,
        run.tables,
        request=request,
        box=work,
        seen=proposal,
        adviser=_adviser(),
        weights=_weights(),
    )
    return _keep(replace(run, published=version, request=request, attempt=made), out, work)


def _adviser() -> Adviser | None:
    """The model of REKNIT_LLM_MODEL, if there is one."""
    return adviser(from_environment(os.environ))


def _weights() -> Model:
    """How columns are matched, as REKNIT_EMBED says."""
    return chosen(from_environment(os.environ))


def look(
    version: PlanVersion,
    files: Sequence[Path],
    *,
    mapping: dict[str, str | int],
    read: Read,
    progress: Report | None,
) -> tuple[Tables, tuple[SheetInput, ...]]:
    """How the files are read and bound; whatever is staged for that goes away again."""
    with TemporaryDirectory(prefix="reknit-") as scratch:
        tables = _read(version, files, given=read, box=box(Path(scratch), files, progress))
    request = Request(mapping=_mapping(version, mapping))
    return tables, bound_inputs(version, tables, request, weights=_weights())


def load(out: Path) -> FolderRun:
    """The run of a folder; NotFound when there is none."""
    state = out / "run.json"
    if not state.is_file():
        raise NotFound(f"there is no run in {out}: `reknit run … --out {out}` makes one")
    return _RUN.validate_json(state.read_bytes())


def _read(version: PlanVersion, files: Sequence[Path], *, given: Read, box: Box) -> Tables:
    return read(inputs(files), plan=version.plan, given=given, box=box)


def _keep(run: FolderRun, out: Path, work: Box) -> FolderRun:
    """Write the run's files and its state; the state last, so that it never promises too much."""
    shutil.rmtree(out / "results", ignore_errors=True)
    target = out.resolve() / "results"
    work.call(partial(results, folder=target, safe=run.safe), run.attempt, run.tables)
    if run.status is not Status.NEEDS_ATTENTION:
        for made in (*out.glob("staging-*"), *out.glob("out-*"), out / "trial"):
            shutil.rmtree(made, ignore_errors=True)
    (out / "plan.yaml").write_text(dump(run.attempt.version.plan), "utf-8")
    state = out / "run.json.part"
    state.write_bytes(_RUN.dump_json(run))
    state.rename(out / "run.json")
    return run


def _absolute(files: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(each.resolve() for each in files)


def _mapping(version: PlanVersion, said: dict[str, str | int]) -> dict[str, str | int]:
    """The mapping; CompileError when it names a field nobody knows."""
    known = {each.name for template in version.templates for each in template.fields}
    if unknown := [name for name in said if name not in known]:
        raise CompileError(f"mapping: no template of the plan has a field {unknown[0]!r}")
    return said
