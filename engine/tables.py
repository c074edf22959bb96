"""From a run's files to staged tables, each read as it is meant, and the box its children work in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import TypeVar

from engine import sandbox
from engine.intake import take_in
from engine.intake.source import Staged
from engine.phase import Rejects
from engine.profile import Profile, profile
from engine.readings import Earlier, as_meant, merged
from engine.resent import Place, resend
from plans.plan import Plan, Read

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFile:
    """A customer's file: the name it came with and where its bytes lie."""

    name: str
    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """Every table the files hold, staged, with a profile of each."""

    staged: tuple[Staged, ...]
    profiles: tuple[Profile, ...]
    reads: tuple[Read, ...] = ()  #: what was said about reading when they were staged
    earlier: tuple[Earlier, ...] = ()  #: tables of the source's last file
    places: tuple[Place, ...] = ()  #: of a replay: what each table's rows were rejected from


@dataclass(frozen=True, kw_only=True)
class Box:
    """How this run's children are called, and the only folder they may write to."""

    folder: Path
    readable: tuple[Path, ...] = ()
    seconds: float = 3_600.0
    threads: int = 2
    cancel: Callable[[], bool] | None = None
    progress: Callable[[sandbox.Progress], None] | None = None

    @property
    def limits(self) -> sandbox.Limits:
        """What a child of this run may use."""
        return sandbox.Limits(
            folder=self.folder,
            readable=self.readable,
            seconds=self.seconds,
            threads=self.threads,
        )

    def call(self, work: Callable[..., T], *args: object) -> T:
        """`work(*args)` in a sandbox child."""
        return sandbox.call(work, *args, limits=self.limits, cancel=self.cancel)

    def watched(self, work: Callable[..., T], *args: object) -> T:
        """The same for work that reports its progress."""
        return sandbox.call(
            work, *args, limits=self.limits, cancel=self.cancel, progress=self.progress
        )


def read(
    files: Sequence[InputFile],
    *,
    plan: Plan | None,
    given: Read,
    box: Box,
    earlier: Sequence[Earlier] = (),
) -> Tables:
    """Stage and profile every table of the files; SourceError names the file that is refused.

    `earlier` is how tables of this source were read before: it settles what is not sure.
    """
    staged: list[Staged] = []
    for number, file in enumerate(files):
        folder = box.folder / f"staging-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        stage = partial(_stage, file, folder, box)
        staged += as_meant(stage, _options(plan, file.name, given), given, plan, earlier)
    return Tables(
        staged=tuple(staged),
        profiles=box.call(_profiles, tuple(staged)),
        reads=said(plan, given),
        earlier=tuple(earlier),
    )


def read_again(files: Sequence[InputFile], rejects: Rejects, *, plan: Plan, box: Box) -> Tables:
    """Tables of the rejected rows that the files hold, each row at its place in the first run."""
    readable = (*box.readable, *rejects.rejected, *rejects.settled)
    given = [(each.name, each.path) for each in files]
    resent = replace(box, readable=readable).call(
        partial(resend, folder=box.folder), given, rejects
    )
    return Tables(
        staged=resent.staged,
        profiles=box.call(_profiles, resent.staged),
        reads=said(plan, Read()),
        places=resent.places,
    )


def said(plan: Plan | None, given: Read) -> tuple[Read, ...]:
    """What the call and the plan say about reading; staging is good for another try while it is."""
    return (given, *(sheet.read for sheet in plan.sheets)) if plan else (given,)


def _stage(file: InputFile, folder: Path, box: Box, options: Read) -> tuple[Staged, ...]:
    return take_in(
        file.path,
        name=file.name,
        folder=folder,
        read=options,
        seconds=box.seconds,
        cancel=box.cancel,
        progress=box.progress,
    )


def _options(plan: Plan | None, name: str, given: Read) -> Read:
    """How to read a file: the call's word, then that of the first sheet that wants the file."""
    sheets = plan.sheets if plan else ()
    wanting = [
        sheet.read
        for sheet in sheets
        if any(fnmatch(name.lower(), pattern.lower()) for pattern in sheet.files.names)
    ]
    if not wanting and len(sheets) == 1:
        wanting = [sheets[0].read]
    of_plan = wanting[0] if wanting else Read()
    return merged(of_plan, given)


def _profiles(staged: tuple[Staged, ...]) -> tuple[Profile, ...]:
    return tuple(profile(each) for each in staged)
